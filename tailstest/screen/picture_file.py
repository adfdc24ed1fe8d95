"""Picture files that somebody else made, read with every way in which they can be wrong."""

from __future__ import annotations

from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.screen.frame import MAX_SIDE, FrameIncomplete, Pixels, decode_picture

#: First line of a file that Git LFS put in place of the real one.
LFS_MARK = b"version https://git-lfs.github.com/spec/"


def open_picture(file: Path) -> Pixels:
    """Read a picture file of any mode as blue, green, red.

    Raises:
        UsageError: the file is missing, empty, a Git LFS pointer, too large, or no picture.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(64 * 1024 * 1024)
    except OSError as error:
        reason = "the link leads nowhere" if file.is_symlink() else error.strerror
        raise UsageError(
            f"{file}: the picture cannot be read: {reason}",
            hint="a reference needs a PNG beside its JSON file, with the same name",
        ) from error
    if data.startswith(LFS_MARK):
        raise UsageError(
            f"{file}: this is a Git LFS pointer, not a picture",
            hint="run: git lfs install && git lfs pull",
        )
    if not data:
        raise UsageError(f"{file}: the file is empty")
    try:
        return decode_picture(data)
    except FrameIncomplete as error:
        raise UsageError(
            f"{file}: not a usable PNG or JPEG picture of at most {MAX_SIDE} pixels a side"
            f" ({error.message.removeprefix('screenshot incomplete: ')})"
        ) from error
