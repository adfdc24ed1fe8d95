"""The capture of one wire: a pcap file that is written as packets pass, and bounded."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

#: pcap with nanoseconds (draft-ietf-opsawg-pcap): magic, version 2.4, no time zone, any size,
#: Ethernet.
FILE_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
_PACKET = struct.Struct("<IIII")
_SECOND = 1_000_000_000


class Recording:
    """Writes packets into a file, each at once, until the file is full.

    What was recorded before in the same file stays: a machine that is switched off and on again
    goes on in the same capture.

    Args:
        path: of the file; nobody else may read it.
        limit: bytes that it may have.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.limit = limit
        #: Whether there was no room for a packet; nothing is recorded any more then.
        self.is_full = False
        self.packets = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        if not self._size:
            self._size = os.write(self._file, FILE_HEADER)

    def keep(self, frame: bytes) -> bool:
        """Write a packet with the time of now; tell whether there was room for it.

        Raises:
            OSError: the disk is full.
        """
        if self.is_full or self._size + _PACKET.size + len(frame) > self.limit:
            self.is_full = True
            return False
        now = time.time_ns()
        head = _PACKET.pack(now // _SECOND, now % _SECOND, len(frame), len(frame))
        written = os.write(self._file, head + frame)
        self._size += written
        self.packets += 1
        if written != len(head) + len(frame):
            raise OSError(28, os.strerror(28), str(self.path))
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
