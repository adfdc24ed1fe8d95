"""An image as a file: is it one, and which one is it?"""

from __future__ import annotations

import hashlib
import stat
import struct
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.text import printable

#: ISO 9660: sectors of 2048 bytes, the first volume descriptor in sector 16 (ECMA-119, 6.2, 8.4).
SECTOR = 2048
DESCRIPTOR = 16 * SECTOR
#: Last two bytes of a boot sector.
BOOT_MARK = b"\x55\xaa"


def check_image(path: Path) -> Path:
    """Return the path if there is an image that may be booted from.

    Raises:
        UsageError: missing, a folder, unreadable, empty, cut off, or no disk image at all.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a device or something like it"
            raise UsageError(
                f"{path}: this is {kind}, not a file", hint="give the .iso or .img file itself"
            )
        size = state.st_size
        if size == 0:
            raise UsageError(f"{path}: the file is empty", hint="download or build the image again")
        with path.open("rb") as file:
            head = file.read(DESCRIPTOR + SECTOR)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UsageError(
            f"{printable(str(path))}: there is no such image",
            hint="give a file, or a name from `tailstest image list`",
        ) from error
    except PermissionError as error:
        raise UsageError(
            f"{path}: you may not read this file",
            hint="change its permissions or those of its folder, or copy it to a folder of yours",
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    said = _size_of_volume(head)
    if said is None and head[510:512] != BOOT_MARK:
        raise UsageError(
            f"{path}: neither an ISO 9660 image nor a disk with a boot sector",
            hint="compressed images (.xz, .gz) must be unpacked first",
        )
    if said is not None and said > size:
        raise UsageError(
            f"{path}: cut off: the image says it has {said} bytes, the file has {size}",
            hint="download the image again and compare its checksum",
        )
    return path


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Digests:
    """Remembers the digests of files for as long as these do not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int, int], str] = {}

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file in hexadecimal.

        Raises:
            OSError: it cannot be read.
        """
        told = path.stat()
        # The time of the last change cannot be set back, as that of the last writing can.
        signature = str(path), told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino
        if signature not in self._known:
            self._known[signature] = digest_of(path)
        return self._known[signature]


def _size_of_volume(head: bytes) -> int | None:
    """Return the bytes that the primary volume descriptor promises; None without one."""
    descriptor = head[DESCRIPTOR : DESCRIPTOR + SECTOR]
    if len(descriptor) < SECTOR or descriptor[1:6] != b"CD001":
        return None
    blocks, block_size = (
        struct.unpack_from("<I", descriptor, 80)[0],
        struct.unpack_from("<H", descriptor, 128)[0],
    )
    return int(blocks) * int(block_size)
