"""The files of an ISO image, read on the host, by the names that the image itself prefers.

An ISO 9660 image may hold up to three trees of names for the same files: Rock Ridge (the names of
POSIX, with links), Joliet (cut to about 64 characters, no links) and the plain ones (capitals,
version numbers such as ";1"). Linux mounts the first that there is in this order (fs/isofs), and
so do we.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pycdlib.pycdlib import PyCdlib
from pycdlib.pycdlibexception import PyCdlibException

from tailstest.core.errors import UsageError
from tailstest.core.text import printable
from tailstest.media.image_file import check_image

Names = Literal["Rock Ridge", "Joliet", "plain"]

#: An image with more is no live image, or wants to keep us busy: the installer images that
#: we make, with all of GRUB, have 665.
MOST_ENTRIES = 200_000
#: Folders inside of folders; a damaged image may hold a folder that holds itself.
DEEPEST = 64

#: What the library falls over when it believes a damaged image.
_CONFUSION = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


@dataclass(frozen=True)
class IsoEntry:
    """One file, folder or link.

    Attributes:
        path: from the root of the image, beginning with a slash.
        kind: what it is.
        size: bytes of a file.
        target: of a link, as it is written there.
    """

    path: str
    kind: Literal["file", "folder", "link"]
    size: int = 0
    target: str = ""


class IsoTree:
    """An open image; use it as a context manager.

    Args:
        path: the image.

    Attributes:
        names: whose names are used.

    Raises:
        UsageError: there is no such file, or it is no ISO 9660 image.
    """

    def __init__(self, path: Path) -> None:
        check_image(path)
        self._path = path
        self._iso = PyCdlib()
        with self._reading():
            self._iso.open(str(path))
        self.names: Names = "plain"
        self._keyword = "iso_path"
        if self._iso.has_rock_ridge():
            self.names, self._keyword = "Rock Ridge", "rr_path"
        elif self._iso.has_joliet():
            self.names, self._keyword = "Joliet", "joliet_path"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the image."""
        with self._reading():
            self._iso.close()

    def entries(self) -> Iterator[IsoEntry]:
        """Yield everything below the root, a folder before what is in it.

        Raises:
            UsageError: the image is damaged, too full or too deep.
        """
        for entry, _own in self._walk():
            yield entry

    def find(self, path: str) -> IsoEntry:
        """Return one entry.

        Args:
            path: from the root. In an image with plain names only, small letters stand for
                capitals, and version numbers may be left out.

        Raises:
            UsageError: there is none; says whose names were searched.
        """
        return self._find(path)[0]

    def read(self, path: str, *, limit: int = 256 * 1024 * 1024) -> bytes:
        """Return the content of a file.

        Args:
            path: as for `find`; links are not followed.
            limit: bytes that it may have.

        Raises:
            UsageError: there is no such file, or it is larger.
        """
        entry, own = self._find(path)
        if entry.kind != "file":
            raise UsageError(f"{printable(path)} in {self._path} is a {entry.kind}, not a file")
        if entry.size > limit:
            raise UsageError(
                f"{printable(path)} in {self._path} has {entry.size} bytes, more than {limit}"
            )
        return self._read(own)

    def contents(self, *, largest: int) -> Iterator[tuple[IsoEntry, bytes | None]]:
        """Yield every file with what is in it, None for those that are larger than wanted.

        Args:
            largest: bytes of the largest file to read.

        Raises:
            UsageError: the image is damaged, too full or too deep.
        """
        for entry, own in self._walk():
            if entry.kind == "file":
                yield entry, self._read(own) if entry.size <= largest else None

    def _read(self, own: str) -> bytes:
        out = io.BytesIO()
        with self._reading():
            self._iso.get_file_from_iso_fp(out, **{self._keyword: own})
        return out.getvalue()

    def _find(self, path: str) -> tuple[IsoEntry, str]:
        wanted = self._comparable("/" + path.strip("/"))
        for entry, own in self._walk():
            if self._comparable(entry.path) == wanted:
                return entry, own
        raise UsageError(
            f"there is no {printable(path)} in {self._path} (by its {self.names} names)",
            hint=f"`tailstest image files {self._path}` lists what is there",
        )

    def _comparable(self, path: str) -> str:
        return path.casefold() if self.names == "plain" else path

    def _walk(self) -> Iterator[tuple[IsoEntry, str]]:
        """Yield each entry with the path by which the library knows it."""
        folders, count = [("/", "/", 1)], 0
        while folders:
            shown, own, depth = folders.pop()
            below = []
            for record in self._children(own):
                count += 1
                if count > MOST_ENTRIES or depth > DEEPEST:
                    raise UsageError(f"{self._path} has too many files, or folders too deep")
                raw = self._name(record)
                name = raw if self.names != "plain" else raw.partition(";")[0].rstrip(".")
                entry = self._entry(record, shown + name)
                yield entry, own + raw
                if entry.kind == "folder":
                    below.append((f"{shown}{name}/", f"{own}{raw}/", depth + 1))
            folders += reversed(below)

    def _children(self, own: str) -> list[Any]:
        with self._reading():
            listed = self._iso.list_children(**{self._keyword: own.rstrip("/") or "/"})
            return [each for each in listed if each and not (each.is_dot() or each.is_dotdot())]

    def _name(self, record: Any) -> str:
        with self._reading():
            if self.names == "Rock Ridge":
                return str(record.rock_ridge.name().decode("utf-8", "surrogateescape"))
            encoding = "utf-16_be" if self.names == "Joliet" else "utf-8"
            return str(record.file_identifier().decode(encoding, "replace"))

    def _entry(self, record: Any, path: str) -> IsoEntry:
        with self._reading():
            if self.names == "Rock Ridge" and record.rock_ridge.is_symlink():
                target = record.rock_ridge.symlink_path().decode("utf-8", "surrogateescape")
                return IsoEntry(path, "link", target=target)
            if record.is_dir():
                return IsoEntry(path, "folder")
            return IsoEntry(path, "file", size=int(record.get_data_length()))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn whatever a damaged image does to the library into one clear error."""
        try:
            yield
        except (PyCdlibException, OSError, struct.error, *_CONFUSION) as error:
            raise UsageError(
                f"{self._path} cannot be read as an ISO 9660 image: {printable(str(error))}"
            ) from error
