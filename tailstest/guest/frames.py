"""Frames of the protocol between host and guest (PROTOCOL.md), and finding them in a stream."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

#: Version of the protocol; agent and host must have the same.
VERSION = 1

MAGIC = b"\x00TT\x01"
HEADER = struct.Struct(">4sBIIII")  # magic, kind, epoch, request, payload length, crc
MAX_PAYLOAD = 65_536

#: Completes whatever frame the other side still waits for, so that it can look for the next one.
FILLER = bytes(HEADER.size + MAX_PAYLOAD)

#: Bytes that the host may send to one request before the guest gives it credit for more.
WINDOW = 256 * 1024

#: Bytes of one data frame; smaller than a frame may be, so that requests take turns.
CHUNK = 32_768


class Kind(IntEnum):
    """What a frame is; below 16 from the host, from 16 on from the guest."""

    HELLO = 1
    REQUEST = 2
    DATA = 3
    END = 4
    KILL = 5
    HELLO_ANSWER = 16
    STARTED = 17
    RESULT = 18
    ERROR = 19
    STDOUT = 20
    STDERR = 21
    CONTENT = 22
    CREDIT = 23


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `kind` is a plain number: the other side may send any."""

    kind: int
    epoch: int
    request: int
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame.

    Raises:
        ValueError: the payload is larger than `MAX_PAYLOAD`.
    """
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"payload of {len(frame.payload)} bytes; the limit is {MAX_PAYLOAD}")
    head = HEADER.pack(MAGIC, frame.kind, frame.epoch, frame.request, len(frame.payload), 0)[:-4]
    crc = zlib.crc32(frame.payload, zlib.crc32(head))
    return head + struct.pack(">I", crc) + frame.payload


class FrameReader:
    """Finds frames in a stream of bytes, also behind garbage.

    It holds less than one frame of the largest size between two calls.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.skipped = 0

    @property
    def buffered(self) -> int:
        """Bytes that wait for more."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Add bytes; return the frames that became complete. Never raises."""
        self._buffer += data
        frames: list[Frame] = []
        while self._find_magic():
            _, kind, epoch, request, length, crc = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if length > MAX_PAYLOAD:
                self._skip(1)
            elif len(self._buffer) < end:
                break
            elif self._crc(end) != crc:
                self._skip(1)
            else:
                payload = bytes(self._buffer[HEADER.size : end])
                del self._buffer[:end]
                frames.append(Frame(kind, epoch, request, payload))
        return frames

    def _find_magic(self) -> bool:
        """Skip to the next magic; return whether a whole header stands there."""
        start = self._buffer.find(MAGIC)
        if start < 0:  # its beginning may be there already
            self._skip(max(0, len(self._buffer) - len(MAGIC) + 1))
            return False
        self._skip(start)
        return len(self._buffer) >= HEADER.size

    def _skip(self, count: int) -> None:
        del self._buffer[:count]
        self.skipped += count

    def _crc(self, end: int) -> int:
        head = zlib.crc32(self._buffer[: HEADER.size - 4])
        with memoryview(self._buffer) as view, view[HEADER.size : end] as payload:
            return zlib.crc32(payload, head)
