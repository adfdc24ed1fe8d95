"""Captures of our own wires, as pcapng: who sent a packet stands beside it.

https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcapng.html
"""

from __future__ import annotations

import struct

from tailstest.lab.capture_stream import LARGEST_PACKET
from tailstest.lab.packet import ETHERNET
from tailstest.lab.pcapng import (
    APPLICATION,
    BYTE_ORDER,
    FLAGS,
    INTERFACE,
    OUR_WIRE,
    PACKET,
    RESOLUTION,
    SECTION,
)

#: Units of the clock: 10 to the power of minus this, in seconds.
_NANOSECONDS = 9
#: Length of a section that is not known before it ends.
_UNKNOWN = -1
_BLOCK = struct.Struct("<II")
_PACKET = struct.Struct("<IIIII")
_FLAGS = struct.Struct("<HHIHH")


def file_header() -> bytes:
    """Return what a capture begins with: a section that says it is ours, and an interface."""
    (kind,) = struct.unpack("<I", SECTION)
    section = struct.pack("<IHHq", BYTE_ORDER, 1, 0, _UNKNOWN) + _option(APPLICATION, OUR_WIRE)
    interface = struct.pack("<HHI", ETHERNET, 0, LARGEST_PACKET)
    return _block(kind, section + _END) + _block(
        INTERFACE, interface + _option(RESOLUTION, bytes([_NANOSECONDS])) + _END
    )


def packet_block(frame: bytes, time: int, direction: int) -> bytes:
    """Return a packet as it stands in a capture.

    Args:
        time: nanoseconds since 1970.
        direction: `INBOUND` or `OUTBOUND`.
    """
    head = _PACKET.pack(0, time >> 32, time & 0xFFFF_FFFF, len(frame), len(frame))
    return _block(PACKET, head + _padded(frame) + _FLAGS.pack(FLAGS, 4, direction, 0, 0))


def _block(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return _BLOCK.pack(kind, total) + body + total.to_bytes(4, "little")


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


#: The option behind the last one.
_END = _option(0, b"")
