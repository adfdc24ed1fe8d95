"""A medium with faults, for nbdkit's Python plugin.

nbdkit loads this file into an interpreter of its own: it must not import anything of tailstest.
Its parameters are `file` (the content, a raw file) and `faults` (JSON, see `media.faults.Faults`).
The interface is described in nbdkit-python-plugin(3).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

API_VERSION = 2

_settings: dict[str, str] = {}
#: Where the one who started the server listens.
_complaints = 2


class Medium:
    """The content and what is wrong with it.

    Args:
        file: name of a raw file of the size that the medium says it has.
        faults: the attributes of `Faults`.

    Raises:
        OSError: the file cannot be opened, or another server has it.
    """

    def __init__(self, file: str, faults: dict[str, Any]) -> None:
        self._descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.size = os.fstat(self._descriptor).st_size
        self._unreadable = faults["unreadable"]
        self._unwritable = faults["unwritable"]
        self._kept = faults["kept"] or self.size
        self._wraps = faults["beyond"] == "wraps"

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill a buffer with what is read from an offset on.

        Raises:
            OSError: a part of it cannot be read.
        """
        _refuse(self._unreadable, offset, len(buffer))
        place = 0
        while place < len(buffer):
            where, count = self._really(offset + place, len(buffer) - place)
            if where is None:
                buffer[place : place + count] = bytes(count)
            else:
                with _trouble_of_the_host():
                    count = os.preadv(self._descriptor, [buffer[place : place + count]], where)
                    if count == 0:
                        raise OSError(errno.EIO, "the file has become shorter")
            place += count

    def write(self, data: memoryview, offset: int) -> None:
        """Write at an offset.

        Raises:
            OSError: a part of it cannot be written; nothing of it has been then.
        """
        _refuse(self._unwritable, offset, len(data))
        place = 0
        while place < len(data):
            where, count = self._really(offset + place, len(data) - place)
            if where is not None:
                with _trouble_of_the_host():
                    count = os.pwrite(self._descriptor, data[place : place + count], where)
            place += count

    def _really(self, offset: int, count: int) -> tuple[int | None, int]:
        """Return where in the file an offset is (None: nowhere), and for how many bytes."""
        if offset < self._kept:
            return offset, min(count, self._kept - offset)
        if not self._wraps:
            return None, count
        where = offset % self._kept
        return where, min(count, self._kept - where)


@contextmanager
def _trouble_of_the_host() -> Iterator[None]:
    """End the server instead of letting the guest take a full disk of the host for a bad medium."""
    try:
        yield
    except OSError as error:
        os.write(_complaints, f"{error.strerror}\n".encode())
        os._exit(1)


def _refuse(places: list[list[int]], offset: int, count: int) -> None:
    for start, end in places:
        if offset < end and start < offset + count:
            raise OSError(errno.EIO, "bad place")


# What nbdkit calls


def config(key: str, value: str) -> None:
    """Take a parameter."""
    _settings[key] = value


def config_complete() -> None:
    """See that nothing is missing."""
    for key in ("file", "faults"):
        if key not in _settings:
            raise ValueError(f"the parameter {key} is missing")


def get_ready() -> None:
    """Open the file before anybody can connect, so that trouble with it ends the server."""
    global _medium
    _medium = Medium(_settings["file"], json.loads(_settings["faults"]))


_medium: Medium | None = None


def after_fork() -> None:
    """Keep nbdkit from printing each error of a bad place: the guest decides how many."""
    global _complaints
    _complaints = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def open(_readonly: bool) -> Medium:
    """Return the medium for one connection; all of them see the same."""
    assert _medium is not None
    return _medium


def get_size(medium: Medium) -> int:
    """Return the size that the medium says it has."""
    return medium.size


def pread(medium: Medium, buffer: bytearray, offset: int, _flags: int) -> None:
    """Read."""
    medium.read_into(memoryview(buffer), offset)


def pwrite(medium: Medium, buffer: bytearray, offset: int, _flags: int) -> None:
    """Write."""
    medium.write(memoryview(buffer), offset)


def flush(_medium: Medium, _flags: int) -> None:
    """Do nothing: it need not survive the host."""
