"""Reading a capture file from front to back, with the place of every piece for error messages."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from tailstest.core.errors import InfrastructureError, UsageError

#: The most bytes of one packet: libpcap's MAXIMUM_SNAPLEN. More is a damaged file.
LARGEST_PACKET = 262_144


class CaptureDamaged(UsageError):
    """A capture file is cut off or is not what it says; names file, offset and what is wrong."""


class CaptureStream:
    """A file that is read once, in order.

    Attributes:
        path: of the file, for messages.
        offset: bytes read so far.
        packets: handed out so far.
        lost: packets that the recording program says it lost.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.offset = 0
        self.packets = 0
        self.lost = 0
        self._file = file

    def read(self, size: int, what: str) -> bytes:
        """Return `size` bytes.

        Args:
            what: is being read, for the message.

        Raises:
            CaptureDamaged: the file ends before.
        """
        data = self.read_or_end(size, what)
        if data is None:
            raise self.damaged(f"the file ends where {what} should be", self.offset)
        return data

    def read_or_end(self, size: int, what: str) -> bytes | None:
        """Return `size` bytes, or None if the file ends exactly here."""
        try:
            data = self._file.read(size)
        except OSError as error:
            raise InfrastructureError(
                f"{self.path}: cannot be read at byte {self.offset}: {error.strerror}"
            ) from error
        if len(data) < size:
            if not data and size:
                return None
            raise self.damaged(
                f"the file ends in the middle of {what}: {len(data)} of {size} bytes are there",
                self.offset,
            )
        self.offset += size
        return data

    def damaged(self, what: str, offset: int) -> CaptureDamaged:
        """Return the error for something wrong at `offset`."""
        return CaptureDamaged(
            f"{self.path}: damaged at byte {offset} (behind packet {self.packets}): {what}",
            hint="record it again, and let the recording program end before the file is read",
        )
