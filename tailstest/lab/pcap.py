"""The classic capture format of tcpdump, both byte orders, microseconds and nanoseconds.

https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcap.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tailstest.lab.capture_stream import LARGEST_PACKET, CaptureStream
from tailstest.lab.packet import Packet

#: First four bytes to byte order and nanoseconds per unit of the fraction of a second.
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
SECOND = 1_000_000_000
#: In the field of the link type: "a frame check sequence is kept", and its length in 16-bit words.
CHECK_KEPT = 0x0400_0000


def read_pcap(stream: CaptureStream, magic: bytes) -> Iterator[Packet]:
    """Yield the packets of a file whose first four bytes have been read.

    Raises:
        CaptureDamaged: it is cut off, or a field cannot be right.
    """
    order, unit = MAGICS[magic]
    header = struct.unpack(f"{order}HHiIII", stream.read(20, "the header of the file"))
    major, minor, link_field = header[0], header[1], header[5]
    if (major, minor) != (2, 4):
        raise stream.damaged(f"version {major}.{minor} instead of 2.4", 4)
    link = link_field & 0xFFFF
    check = (link_field >> 28) * 2 if link_field & CHECK_KEPT else 0
    unpack = struct.Struct(f"{order}IIII").unpack
    units = SECOND // unit
    while True:
        start = stream.offset
        head = stream.read_or_end(16, "the header of a packet")
        if head is None:
            return
        seconds, fraction, kept, length = unpack(head)
        if kept > LARGEST_PACKET or kept > length or fraction >= units:
            raise stream.damaged(
                f"no packet begins like this: {kept} of {length} bytes kept, "
                f"time {seconds} s and {fraction}/{units}",
                start,
            )
        data = stream.read(kept, "a packet") if kept else b""
        stream.packets += 1
        if check:
            data, length = without_check(data, length, check)
        yield Packet(stream.packets, seconds * SECOND + fraction * unit, link, data, length)


def without_check(data: bytes, length: int, check: int) -> tuple[bytes, int]:
    """Return data and length of a packet without its frame check sequence of `check` bytes."""
    real = max(0, length - check)
    return data[:real], real
