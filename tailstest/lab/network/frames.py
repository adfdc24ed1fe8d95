"""Ethernet frames in a stream, as QEMU's `-netdev stream` sends and expects them.

Each frame stands behind its length, four bytes, the most significant first (QEMU, net/stream.c).
"""

from __future__ import annotations

import struct

#: The largest frame that QEMU hands over, in bytes (NET_BUFSIZE in QEMU's include/net/net.h).
LARGEST_FRAME = 4096 + 65536

_LENGTH = struct.Struct("!I")


class StreamDamaged(Exception):
    """What came is no stream of frames."""


class FrameReader:
    """Cuts a stream of bytes into frames; holds at most one frame that is not whole yet."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that are whole now.

        Raises:
            StreamDamaged: a frame is longer than any that QEMU sends.
        """
        rest = self._rest
        rest += data
        frames, place = [], 0
        while len(rest) - place >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest, place)
            if length > LARGEST_FRAME:
                raise StreamDamaged(f"a frame of {length} bytes")
            end = place + _LENGTH.size + length
            if end > len(rest):
                break
            frames.append(bytes(rest[place + _LENGTH.size : end]))
            place = end
        del rest[:place]
        return frames


def framed(frame: bytes) -> bytes:
    """Return a frame as it stands in the stream."""
    return _LENGTH.pack(len(frame)) + frame
