"""The capture format of Wireshark: sections, interfaces, blocks.

https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcapng.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from tailstest.lab.capture_stream import LARGEST_PACKET, CaptureStream
from tailstest.lab.packet import Packet
from tailstest.lab.pcap import SECOND, without_check

SECTION = b"\x0a\x0d\x0d\x0a"
BYTE_ORDER = 0x1A2B_3C4D
INTERFACE, OLD_PACKET, SIMPLE_PACKET, STATISTICS, PACKET = 1, 2, 3, 5, 6
#: Blocks without packets: names, journal entries, keys, what only one program knows.
SKIPPED = frozenset({4, 9, 10, 0x0BAD, 0x4000_0BAD})

#: Bounds of what one block and one section may claim; real ones are far below.
LARGEST_BLOCK = 16 * 1024 * 1024
MOST_INTERFACES = 4096

#: What the wires of our labs write as the application of a section.
OUR_WIRE = b"tailstest wire"

#: Options: of a section, of an interface, of its statistics, of a packet.
APPLICATION = 4
RESOLUTION, CHECK_LENGTH, TIME_OFFSET = 9, 13, 14
LOST_BY_INTERFACE, LOST_BY_SYSTEM = 5, 7
FLAGS, LOST_BEFORE = 2, 4


@dataclass
class _Interface:
    link: int
    snaplen: int
    #: Units per second of its clock, seconds to add, bytes of the frame check sequence.
    units: int = 1_000_000
    offset: int = 0
    check: int = 0


@dataclass
class _Section:
    order: str
    #: Whether one of our wires wrote it, and its packets say who sent them.
    is_ours: bool = False
    interfaces: list[_Interface] = field(default_factory=list)
    #: Interface number to what it lost, as its latest statistics say.
    lost: dict[int, int] = field(default_factory=dict)


def read_pcapng(stream: CaptureStream) -> Iterator[Packet]:
    """Yield the packets of a file whose first four bytes, those of a section, have been read.

    Raises:
        CaptureDamaged: it is cut off, or a field cannot be right, or there is a block that might
            hold packets and is not known.
    """
    section = _section(stream, 0)
    while True:
        start = stream.offset
        head = stream.read_or_end(4, "the type of a block")
        if head is None:
            return
        if head == SECTION:
            section = _section(stream, start)
            continue
        (kind,) = struct.unpack(f"{section.order}I", head)
        body = _body(stream, section.order, start, _length(stream, section.order, start))
        try:
            packet = _block(stream, section, kind, body)
        except (_Wrong, struct.error) as error:
            reason = str(error) if isinstance(error, _Wrong) else "a block is too short"
            raise stream.damaged(reason, start) from None
        if packet is not None:
            yield packet


class _Wrong(Exception):
    """Something in a block cannot be right."""


def _length(stream: CaptureStream, order: str, start: int) -> int:
    (total,) = struct.unpack(f"{order}I", stream.read(4, "the length of a block"))
    if total < 12 or total % 4 or total > LARGEST_BLOCK:
        raise stream.damaged(f"a block of {total} bytes", start)
    return int(total)


def _body(stream: CaptureStream, order: str, start: int, total: int, done: int = 8) -> bytes:
    """Return the body of a block of which `done` bytes have been read."""
    rest = stream.read(total - done, "a block")
    (again,) = struct.unpack(f"{order}I", rest[-4:])
    if again != total:
        raise stream.damaged(f"a block of {total} bytes ends as one of {again}", start)
    return rest[:-4]


def _section(stream: CaptureStream, start: int) -> _Section:
    raw = stream.read(8, "the header of a section")
    for order in "<>":
        if struct.unpack(f"{order}I", raw[4:])[0] == BYTE_ORDER:
            break
    else:
        raise stream.damaged("a section without its byte order mark", start)
    (total,) = struct.unpack(f"{order}I", raw[:4])
    if total < 28 or total % 4 or total > LARGEST_BLOCK:
        raise stream.damaged(f"a section header of {total} bytes", start)
    body = _body(stream, order, start, total, done=12)
    major, minor = struct.unpack(f"{order}HH", body[:4])
    if major != 1:
        raise stream.damaged(f"version {major}.{minor} instead of 1.x", start)
    try:
        is_ours = (APPLICATION, OUR_WIRE) in _options(order, body[12:])
    except _Wrong as error:
        raise stream.damaged(str(error), start) from None
    return _Section(order, is_ours)


def _block(stream: CaptureStream, section: _Section, kind: int, body: bytes) -> Packet | None:
    order = section.order
    if kind == PACKET:
        number, high, low, kept, length = struct.unpack_from(f"{order}IIIII", body)
        direction = 0
        for code, value in _options(order, body[20 + _padded(kept) :]):
            if code == LOST_BEFORE and len(value) == 8:
                stream.lost += struct.unpack(f"{order}Q", value)[0]
            elif code == FLAGS and len(value) == 4 and section.is_ours:
                direction = struct.unpack(f"{order}I", value)[0] & 3
        ticks = high << 32 | low
        return _packet(stream, section, number, ticks, kept, length, body[20:], direction)
    if kind == OLD_PACKET:
        number, drops, high, low, kept, length = struct.unpack_from(f"{order}HHIIII", body)
        stream.lost += drops if drops != 0xFFFF else 0
        return _packet(stream, section, number, high << 32 | low, kept, length, body[20:])
    if kind == SIMPLE_PACKET:
        (length,) = struct.unpack_from(f"{order}I", body)
        snaplen = section.interfaces[0].snaplen if section.interfaces else 0
        kept = min(length, snaplen or length)
        return _packet(stream, section, 0, None, kept, length, body[4:])
    if kind == INTERFACE:
        _add_interface(section, body)
    elif kind == STATISTICS:
        _statistics(stream, section, body)
    elif kind not in SKIPPED:
        raise _Wrong(f"a block of the unknown type {kind:#x}, which may hold packets")
    return None


def _packet(
    stream: CaptureStream,
    section: _Section,
    number: int,
    ticks: int | None,
    kept: int,
    length: int,
    data: bytes,
    direction: int = 0,
) -> Packet:
    if number >= len(section.interfaces):
        raise _Wrong(f"a packet of interface {number}, which is not described")
    if kept > LARGEST_PACKET or kept > length or kept > len(data):
        raise _Wrong(f"a packet with {kept} of {length} bytes kept, in a block of {len(data)}")
    interface = section.interfaces[number]
    data = data[:kept]
    if interface.check:
        data, length = without_check(data, length, interface.check)
    time = None
    if ticks is not None:
        time = ticks * SECOND // interface.units + interface.offset * SECOND
    stream.packets += 1
    return Packet(stream.packets, time, interface.link, data, length, direction)


def _add_interface(section: _Section, body: bytes) -> None:
    if len(section.interfaces) >= MOST_INTERFACES:
        raise _Wrong(f"more than {MOST_INTERFACES} interfaces")
    link, _reserved, snaplen = struct.unpack_from(f"{section.order}HHI", body)
    interface = _Interface(link, snaplen)
    for code, value in _options(section.order, body[8:]):
        if code == RESOLUTION and len(value) == 1:
            exponent = value[0] & 0x7F
            interface.units = 2**exponent if value[0] & 0x80 else 10**exponent
        elif code == CHECK_LENGTH and len(value) == 1:
            interface.check = value[0]
        elif code == TIME_OFFSET and len(value) == 8:
            (interface.offset,) = struct.unpack(f"{section.order}q", value)
    section.interfaces.append(interface)


def _statistics(stream: CaptureStream, section: _Section, body: bytes) -> None:
    (number,) = struct.unpack_from(f"{section.order}I", body)
    if number >= len(section.interfaces):
        raise _Wrong(f"statistics of interface {number}, which is not described")
    lost = 0
    for code, value in _options(section.order, body[12:]):
        if code in (LOST_BY_INTERFACE, LOST_BY_SYSTEM) and len(value) == 8:
            lost += struct.unpack(f"{section.order}Q", value)[0]
    stream.lost += max(0, lost - section.lost.get(number, 0))
    section.lost[number] = max(lost, section.lost.get(number, 0))


def _options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(data):
        code, size = struct.unpack_from(f"{order}HH", data, place)
        if code == 0:
            return
        value = data[place + 4 : place + 4 + size]
        if len(value) < size:
            raise _Wrong("an option that is longer than its block")
        yield code, value
        place += 4 + _padded(size)


def _padded(size: int) -> int:
    return size + -size % 4
