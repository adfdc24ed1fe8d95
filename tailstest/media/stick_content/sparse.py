"""Sparse files: only what was written is looked at, so that gigabytes of nothing cost nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tailstest.core.errors import InfrastructureError

#: Bytes that are copied at once.
_CHUNK = 1 << 20


def make_sparse(file: Path, size: int) -> Path:
    """Make a file of `size` bytes that takes no room; nobody else may read it.

    Raises:
        InfrastructureError: no space, no permission.
    """
    try:
        file.touch(mode=0o600)
        os.truncate(file, size)
    except OSError as error:
        raise InfrastructureError(f"cannot write {file}: {error.strerror}") from error
    return file


def extents(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data, as pairs of begin and end, within a range of bytes."""
    place = start
    while place < end:
        try:
            begin = os.lseek(descriptor, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        if begin >= end:
            return
        place = min(os.lseek(descriptor, begin, os.SEEK_HOLE), end)
        yield begin, place


def copy_range(source: Path, target: Path, *, start: int, size: int, to: int) -> None:
    """Copy a range of a file into an existing one; holes are not written.

    Args:
        start, size: of the range in the source, in bytes.
        to: where it goes in the target.

    Raises:
        InfrastructureError: no space, or a file cannot be read.
    """
    try:
        with source.open("rb") as reading, target.open("r+b") as writing:
            for begin, end in extents(reading.fileno(), start, start + size):
                reading.seek(begin)
                writing.seek(begin - start + to)
                while begin < end:
                    block = reading.read(min(_CHUNK, end - begin))
                    if not block:
                        return
                    writing.write(block)
                    begin += len(block)
    except OSError as error:
        raise InfrastructureError(
            f"cannot copy {source} into {target}: {error.strerror}",
            hint="is there free space in the run's folder?",
        ) from error
