"""What somebody wants on a stick, before it exists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.text import printable

#: File systems by the names that people use, and the most bytes that a label may have there.
#: FAT and NTFS: documentation of mkfs.fat and mkntfs; exFAT: 11 characters; ext4: 16 bytes;
#: btrfs: 255 bytes.
FILE_SYSTEMS = {"FAT32": 11, "exFAT": 11, "NTFS": 32, "ext4": 16, "btrfs": 255, "none": 0}
#: Kinds of encryption; empty is none.
ENCRYPTIONS = ("", "LUKS1", "LUKS2")
#: Kinds of partition tables.
TABLES = ("GPT", "MBR", "no")

#: Most bytes of a passphrase that cryptsetup takes (its manual: 512 characters when typed).
PASSPHRASE_LIMIT = 512

#: Partitions begin and end at multiples of this, as every current tool does it.
ALIGNMENT = 1 << 20


@dataclass(frozen=True)
class Volume:
    """A file system, encrypted or not.

    Attributes:
        file_system: one of `FILE_SYSTEMS`; "none" leaves the place empty.
        label: of the file system.
        encryption: one of `ENCRYPTIONS`.
        passphrase: for that; any text, taken as UTF-8.
        files: folder on the host whose content is copied in; None copies nothing.
        size: bytes of the partition; None takes what is left.
    """

    file_system: str
    label: str = ""
    encryption: str = ""
    passphrase: str = ""
    files: Path | None = None
    size: int | None = None

    def check(self) -> None:
        """Raise if there cannot be such a volume.

        Raises:
            UsageError: says what is wrong, and what is possible.
        """
        if self.file_system not in FILE_SYSTEMS:
            raise UsageError(
                f"there is no file system {printable(self.file_system)!r}",
                hint=f"use one of: {', '.join(FILE_SYSTEMS)}",
            )
        if self.encryption not in ENCRYPTIONS:
            raise UsageError(
                f"there is no encryption {printable(self.encryption)!r}",
                hint="use LUKS1 or LUKS2, or leave the cell empty",
            )
        if bool(self.encryption) != bool(self.passphrase):
            raise UsageError(
                "encryption and passphrase go together: one of them is missing",
                hint="fill in both columns, or neither",
            )
        if len(self.passphrase.encode()) > PASSPHRASE_LIMIT:
            raise UsageError(f"a passphrase has at most {PASSPHRASE_LIMIT} bytes")
        most = FILE_SYSTEMS[self.file_system]
        if len(self.label.encode()) > most:
            raise UsageError(
                f"the label {printable(self.label)!r} is too long for {self.file_system}",
                hint=f"it may have {most} bytes",
            )
        if "\0" in self.label + self.passphrase:
            raise UsageError("a label or passphrase cannot contain the character NUL")
        if self.files is not None:
            if self.file_system in {"exFAT", "none"}:
                raise UsageError(
                    f"files cannot be copied into {self.file_system} without mounting it",
                    hint="choose FAT32, NTFS, ext4 or btrfs, or let the machine copy them",
                )
            if not self.files.is_dir():
                raise UsageError(
                    f"{self.files}: there is no such folder",
                    hint="the column `files` names a folder beside the features",
                )


def places(volumes: list[Volume], table: str, size: int) -> list[tuple[int, int]]:
    """Return where the volumes go on a stick, as pairs of begin and size in bytes.

    Args:
        table: one of `TABLES`.
        size: of the stick in bytes.

    Raises:
        UsageError: they do not fit, or there are more than the table can have.
    """
    if not volumes:
        raise UsageError("no partition was described", hint="add a row to the table")
    if table == "no":
        if len(volumes) > 1:
            raise UsageError("without a partition table a stick has one file system only")
        return [(0, size)]
    most = 4 if table == "MBR" else 128
    if len(volumes) > most:
        raise UsageError(f"a partition table of kind {table} has at most {most} partitions")
    # The backup of a GPT is at the end of the stick.
    end = (size - (ALIGNMENT if table == "GPT" else 0)) // ALIGNMENT * ALIGNMENT
    fixed = sum(_aligned(volume.size) for volume in volumes if volume.size is not None)
    open_ended = [volume for volume in volumes if volume.size is None]
    left = end - ALIGNMENT - fixed
    if left < ALIGNMENT * len(open_ended) or len(open_ended) > 1:
        raise UsageError(
            f"the partitions do not fit on a stick of {size} bytes",
            hint="give all but one of them a size, and the stick room for their sum and 2 MiB",
        )
    found, begin = [], ALIGNMENT
    for volume in volumes:
        own = left if volume.size is None else _aligned(volume.size)
        found.append((begin, own))
        begin += own
    return found


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
