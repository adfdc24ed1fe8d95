"""The capture of one wire: a pcapng file that is written as packets pass, and bounded."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tailstest.lab.packet import INBOUND, OUTBOUND
from tailstest.lab.pcapng_writing import file_header, packet_block


class Recording:
    """Writes packets into a file, each at once, until the file is full.

    Each says whether the machine sent it: a MAC address is only what the sender says of himself.
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
            self._size = os.write(self._file, file_header())

    def keep(self, frame: bytes, *, sent: bool) -> bool:
        """Write a packet with the time of now; tell whether there was room for it.

        Args:
            sent: by the machine; otherwise it is given to the machine.

        Raises:
            OSError: the disk is full.
        """
        block = packet_block(frame, time.time_ns(), OUTBOUND if sent else INBOUND)
        if self.is_full or self._size + len(block) > self.limit:
            self.is_full = True
            return False
        written = os.write(self._file, block)
        self._size += written
        self.packets += 1
        if written != len(block):
            raise OSError(28, os.strerror(28), str(self.path))
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
