"""Packing the files of a checkpoint, and unpacking them with a check."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import IO, Any

import zstandard

from tailstest.core.errors import InfrastructureError
from tailstest.core.settings import Strict

#: How the names of packed files end.
SUFFIX = ".zst"

#: Level 1 packs the memory of a desktop (340 MB) to 157 MB in about a second on two cores; level 3
#: takes twice the time for 5 % less.
_LEVEL = 1
_CHUNK = 1024 * 1024
#: A piece of a file that is nothing but zeros becomes a hole. Media of gigabytes are mostly holes.
_HOLE = bytes(64 * 1024)
#: Bytes of a file that is packed. Holes are read like anything else, at 4 s for each GiB on two
#: cores: this much takes half as long as the start of a desktop, which is what is to be spared.
MOST_BYTES = 8 * 1024**3


class StoredFile(Strict):
    """One file of a checkpoint as it is stored: packed size in bytes, and SHA-256 of that."""

    size: int
    sha256: str


class CheckpointDamaged(InfrastructureError):
    """A checkpoint is not what was saved."""


def pack(source: Path, folder: Path) -> StoredFile:
    """Write a file, packed, into a folder; it is on the disk when this returns.

    Raises:
        InfrastructureError: it has more than `MOST_BYTES`.
        OSError: it cannot be read or written.
    """
    apparent = source.stat().st_size
    if apparent > MOST_BYTES:
        raise InfrastructureError(
            f"a checkpoint is not stored: its file {source.name} has {apparent / 1024**3:.1f} GiB, "
            f"and more than {MOST_BYTES // 1024**3} GiB take too long to pack",
            hint="a smaller stick or disk will do for most scenarios",
        )
    packed = folder / f"{source.name}{SUFFIX}"
    digest, size = hashlib.sha256(), 0
    packer = zstandard.ZstdCompressor(level=_LEVEL, threads=-1)
    with source.open("rb") as raw, create_private(packed) as out:
        for chunk in packer.read_to_iter(raw, read_size=_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return StoredFile(size=size, sha256=digest.hexdigest())


def unpack(packed: Path, expected: StoredFile, target: Path | None) -> None:
    """Unpack a file; where it has long stretches of zeros, what comes out has holes.

    Args:
        target: None only checks it.

    Raises:
        CheckpointDamaged: it is gone, or not what was saved; what was written is of no use.
        InfrastructureError: there is no room.
    """
    try:
        with packed.open("rb") as file, create_private(target or Path(os.devnull)) as out:
            raw = _Digesting(file)
            source = io.BufferedReader(raw, _CHUNK)
            # Empty memory packs ten thousand to one: what comes out is bounded, too.
            with zstandard.ZstdDecompressor().stream_reader(source, read_size=_CHUNK) as unpacked:
                while piece := unpacked.read(len(_HOLE)):
                    if piece == _HOLE:
                        out.seek(len(piece), os.SEEK_CUR)
                    else:
                        out.write(piece)
            if target is not None:
                out.truncate()  # there may be a hole at the end
            while not source.closed and source.read(_CHUNK):
                pass  # behind the end of what was packed; the digest tells
    except zstandard.ZstdError as error:
        raise CheckpointDamaged(f"{packed} is damaged: {error}") from error
    except FileNotFoundError as error:
        raise CheckpointDamaged(f"{packed} is missing") from error
    except OSError as error:
        raise InfrastructureError(
            f"cannot unpack {packed}: {error.strerror}", hint="is there free space for the run?"
        ) from error
    if raw.size != expected.size or raw.digest.hexdigest() != expected.sha256:
        raise CheckpointDamaged(f"{packed} is not what was saved: its digest differs")


def create_private(path: Path) -> IO[bytes]:
    """Open a file for writing that only its owner may read; what was in it is gone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


class _Digesting(io.RawIOBase):
    """Reads a file, and knows size and digest of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.digest, self.size = hashlib.sha256(), 0
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer)  # type: ignore[attr-defined]  # a file on the disk
        self.digest.update(memoryview(buffer)[:count])
        self.size += count
        return int(count)
