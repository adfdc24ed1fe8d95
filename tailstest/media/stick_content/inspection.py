"""Looking at a stick from the host, without mounting anything and without root."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.text import printable
from tailstest.media.host_tool import HostTool
from tailstest.media.pattern_search import SearchResult, search_path
from tailstest.media.stick_content import luks
from tailstest.media.stick_content.partition_table import (
    AMBIVALENT,
    BLKID,
    NOTHING,
    TableFound,
    read_table,
)
from tailstest.media.stick_content.sparse import copy_range, make_sparse
from tailstest.media.usb_stick import QEMU_IMG, UsbStick

MTYPE = HostTool("mtype", package="mtools")
DEBUGFS = HostTool("debugfs", package="e2fsprogs")
E2FSCK = HostTool("e2fsck", package="e2fsprogs")
NTFSCAT = HostTool("ntfscat", package="ntfs-3g")

#: Most bytes of a file that are read; what a guest wrote is hostile.
READ_LIMIT = 64 << 20

#: What blkid calls things, and what people call them.
_NAMES = {"vfat": "FAT32", "exfat": "exFAT", "ntfs": "NTFS", "iso9660": "ISO 9660"}


@dataclass(frozen=True)
class FileSystemFound:
    """What a partition holds.

    Attributes:
        kind: "FAT32", "ext4", "LUKS2"...; "none" if nothing is known there, "several" if there are
            signs of more than one, as an old file system leaves them below a new one.
        label: of the file system.
    """

    kind: str
    label: str


class StickInspection:
    """A stick that nobody writes to meanwhile.

    Args:
        whole: its content as a raw file.
        folder: for what is taken out of it.
    """

    def __init__(self, whole: Path, folder: Path) -> None:
        self._whole = whole
        self._folder = folder

    @classmethod
    @contextmanager
    def of(cls, stick: UsbStick) -> Iterator[StickInspection]:
        """Open a stick; afterwards nothing is left of what was taken out of it.

        Raises:
            SetupError: qemu-img is not installed.
            InfrastructureError: no space, or its file is damaged.
        """
        with tempfile.TemporaryDirectory(dir=stick.overlay.parent, prefix="look-") as folder:
            whole = Path(folder) / "whole"
            command = ["convert", "-O", "raw", "-f", stick.format, str(stick.overlay), str(whole)]
            QEMU_IMG.run(*command)
            yield cls(whole, Path(folder))

    @property
    def table(self) -> TableFound:
        """Its partition table."""
        return read_table(self._whole)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole stick, in hexadecimal."""
        with self._whole.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def search(self, needles: Mapping[str, bytes]) -> SearchResult:
        """Search all bytes of the stick; see `media.pattern_search`.

        Raises:
            InfrastructureError: it cannot be read.
        """
        return search_path(self._whole, needles)

    def file_system(self, number: int, passphrase: str = "") -> FileSystemFound:
        """Return what a partition holds.

        Args:
            passphrase: looks into an encrypted one.

        Raises:
            CheckFailed: there is no such partition, or the passphrase does not open it.
        """
        return _probe(self._partition(number, passphrase))

    def opens(self, number: int, passphrase: str) -> bool:
        """Tell whether a passphrase opens an encrypted partition.

        Raises:
            CheckFailed: there is no such partition, or it is not encrypted.
        """
        part = self._partition(number)
        if not _probe(part).kind.startswith("LUKS"):
            raise CheckFailed(f"partition {number} is not encrypted: it holds {_probe(part).kind}")
        return luks.opens(part, passphrase)

    def read(self, number: int, path: str, passphrase: str = "") -> bytes:
        """Return the content of a file on a partition.

        Args:
            path: from the top of the file system.

        Raises:
            CheckFailed: no such partition, file system or file.
            UsageError: files of this file system cannot be read without mounting it.
            InfrastructureError: the file is too large.
        """
        if not path or any(character in path for character in '"\n\r\0\\*?['):
            raise UsageError(f"this is no path of a file on a stick: {printable(path)!r}")
        part = self._partition(number, passphrase)
        kind = _probe(part).kind
        content = self._taken_out(part, kind, path.strip("/"))
        if content is None:
            raise CheckFailed(
                f"there is no file {printable(path)!r} on partition {number}, which holds {kind}"
            )
        return content

    def _taken_out(self, part: Path, kind: str, path: str) -> bytes | None:
        """Return what is in a file; None if there is none.

        The file may be said to have any size, or to go round in a circle: no more than one byte
        above the limit is written anywhere, and nothing is read before the size is known.
        """
        printed, target = self._folder / "printed", self._folder / "file"
        target.unlink(missing_ok=True)
        most = READ_LIMIT + 1
        if kind == "FAT32":
            status = MTYPE.attempt_into(target, "-i", str(part), f"::/{path}", most=most)
        elif kind == "ext4":
            # As a system that mounts it would: what a power cut left in the journal counts.
            E2FSCK.attempt("-y", "-E", "journal_only", str(part))
            # Within quotes, debugfs takes two of them for one.
            quoted = str(target).replace('"', '""')
            DEBUGFS.attempt_into(printed, "-R", f'dump "/{path}" "{quoted}"', str(part), most=most)
            status = 0 if target.exists() else 1  # what it ends with does not tell
        elif kind == "NTFS":
            status = NTFSCAT.attempt_into(target, "-f", str(part), f"/{path}", most=most)
        else:
            raise UsageError(
                f"files of a partition that holds {kind} cannot be read without mounting it",
                hint="let the machine read them",
            )
        if target.exists() and target.stat().st_size > READ_LIMIT:
            raise InfrastructureError(f"{printable(path)} has more than {READ_LIMIT} bytes")
        return target.read_bytes() if status == 0 else None

    def _partition(self, number: int, passphrase: str = "") -> Path:
        found = {each.number: each for each in self.table.partitions}
        if number not in found:
            known = ", ".join(map(str, found)) or "none"
            raise CheckFailed(f"there is no partition {number} on the stick; there are: {known}")
        entry, whole = found[number], self._whole.stat().st_size
        if entry.start < 0 or entry.size <= 0 or entry.start + entry.size > whole:
            raise CheckFailed(f"partition {number} reaches beyond the end of the stick")
        part = self._folder / f"part-{number}"
        if not part.exists():
            make_sparse(part, entry.size)
            copy_range(self._whole, part, start=entry.start, size=entry.size, to=0)
        if not passphrase:
            return part
        if not self.opens(number, passphrase):
            raise CheckFailed(f"the passphrase does not open partition {number}")
        content = self._folder / f"content-{number}"
        content.unlink(missing_ok=True)
        luks.decrypt_into(part, content, passphrase)
        return content


def same_content(first: UsbStick, second: UsbStick) -> str:
    """Return where two sticks differ, in words; empty if they have the same bytes.

    Zeros that somebody wrote are the same as the zeros of a place that nobody wrote to.

    Raises:
        SetupError: qemu-img is not installed.
        InfrastructureError: a file is damaged.
    """
    size, other = _size_of(first), _size_of(second)
    if size != other:  # qemu-img takes what is missing of the smaller one for zeros
        return f"{size} bytes, the other one {other}"
    # Not its strict mode (-s), which compares what is allocated, too.
    status, stdout, stderr = QEMU_IMG.attempt(
        *("compare", "-f", first.format, "-F", second.format),
        *(str(first.overlay), str(second.overlay)),
    )
    if status == 0:
        return ""
    said = printable((stdout or stderr).decode(errors="replace").strip()[:200])
    if status == 1:  # its manual: images differ
        return said
    raise InfrastructureError(f"qemu-img cannot compare the sticks: {said}")


def _size_of(stick: UsbStick) -> int:
    """Return how large a stick is, in bytes."""
    words = ("--output=json", "-f", stick.format, str(stick.overlay))
    return int(json.loads(QEMU_IMG.run("info", *words))["virtual-size"])


def _probe(part: Path) -> FileSystemFound:
    status, stdout, stderr = BLKID.attempt("-p", "-o", "export", str(part))
    pairs = dict(
        line.split("=", 1) for line in stdout.decode(errors="replace").splitlines() if "=" in line
    )
    kind = pairs.get("TYPE", "")
    if status == NOTHING:
        return FileSystemFound("none", "")
    if status == AMBIVALENT:
        return FileSystemFound("several", "")
    if status != 0:
        said = printable(stderr.decode(errors="replace").strip()[-200:])
        raise InfrastructureError(f"blkid cannot read this (exit status {status}): {said}")
    if not kind:
        return FileSystemFound("a partition table", "")
    if kind == "crypto_LUKS":
        return FileSystemFound(f"LUKS{pairs.get('VERSION', '')}", "")
    if kind == "vfat" and pairs.get("VERSION", "FAT32") != "FAT32":
        return FileSystemFound(printable(pairs["VERSION"]), _label(pairs))
    return FileSystemFound(_NAMES.get(kind, printable(kind)), _label(pairs))


def _label(pairs: dict[str, str]) -> str:
    # blkid writes a backslash before what a shell would take for more than a letter.
    raw, kept = pairs.get("LABEL", ""), []
    characters = iter(raw)
    for character in characters:
        kept.append(next(characters, "") if character == "\\" else character)
    return printable("".join(kept))
