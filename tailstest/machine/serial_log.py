"""The serial console of a machine: a file that QEMU writes and we read, within a bound."""

from __future__ import annotations

import os
from pathlib import Path

from tailstest.core.errors import InfrastructureError

#: Characters of the end of the console that are searched for a text.
SEARCHED = 1024 * 1024


class SerialLog:
    """Reads what a guest printed on its first serial port.

    QEMU appends to the file. When a guest has printed more than the limit, the file is cut to
    nothing after its beginning was kept, so that no guest can fill the host's disk.

    Args:
        path: file that QEMU appends to.
        limit: bytes kept.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self._limit = limit
        self._position = 0
        self._text = bytearray()
        self.dropped = 0
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise InfrastructureError(
                f"cannot write the serial log {path}: {error.strerror}"
            ) from error

    def text(self) -> str:
        """Return all that is kept so far; bytes that are not UTF-8 become replacement marks."""
        self.read_new()
        return self._text.decode("utf-8", "replace")

    def contains(self, wanted: str) -> bool:
        """Tell whether `wanted` was printed; line ends and spaces count as they are."""
        self.read_new()
        return wanted.encode() in bytes(self._text[-SEARCHED:])

    def read_new(self) -> None:
        """Take in what QEMU has appended since the last call, and keep the file bounded."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                new = file.read(self._limit)
                self._position = file.tell()
            if self._position > self._limit:
                os.truncate(self.path, 0)
                self._position = 0
        except OSError as error:
            raise InfrastructureError(
                f"cannot read the serial log {self.path}: {error.strerror}"
            ) from error
        self._text += new
        if len(self._text) > self._limit:
            surplus = len(self._text) - self._limit
            # The beginning tells how the boot went, the end how it ended; the middle goes.
            head = self._limit // 4
            del self._text[head : head + surplus]
            self.dropped += surplus
