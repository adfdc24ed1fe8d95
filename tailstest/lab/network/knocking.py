"""What a neighbour sends to find out who answers, and what it reads out of an answer.

Standard library only: it is used inside the lab.
"""

from __future__ import annotations

import socket
import struct
from typing import Literal, NamedTuple

from tailstest.lab.eui64 import interface_id

What = Literal["ping", "open", "refused", "udp", "udp refused", "other"]

#: Number in our echo requests.
ECHO_ID = 0x7473

_ARP, _IPV4, _IPV6 = b"\x08\x06", b"\x08\x00", b"\x86\xdd"
_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_SYN, _RST, _SYN_ACK = 0x02, 0x04, 0x12
_SOLICITATION, _ADVERTISEMENT = 135, 136
#: Errors that quote what they are about (RFC 792, RFC 4443), and talk about groups, neighbours and
#: routers, which every computer with IPv6 takes part in (RFC 2710, 4861, 3810).
_ERRORS, _ERRORS6 = (3, 4, 5, 11, 12), (1, 2, 3, 4)
_LINK6 = (130, 131, 132, 133, 134, 135, 136, 137, 143)

_DNS = "1234 0000 0001 0000 0000 0000"
#: A question for each UDP port that its service would answer.
QUESTIONS = {
    # Which name servers has the root? (RFC 1035)
    53: bytes.fromhex("1234 0100 0001 0000 0000 0000 00 0002 0001"),
    # DHCPINFORM without a word (RFC 2131): servers answer, clients do not.
    67: bytes.fromhex("01010600 00007473") + bytes(228) + bytes.fromhex("63825363 350108 ff"),
    # What time is it? (RFC 4330)
    123: b"\x1b" + bytes(47),
    # Which NetBIOS names have you? (RFC 1002, 4.2.17)
    137: bytes.fromhex(f"{_DNS} 20 434b") + b"A" * 30 + bytes.fromhex("00 0021 0001"),
    # SNMP 1: who are you? (RFC 1157; the community is "public")
    161: bytes.fromhex("302602010004067075626c6963a01902010102010002010030")
    + bytes.fromhex("0e300c06082b060102010101000500"),
    1900: b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
    b'MAN: "ssdp:discover"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n',
    # Which services are there? The answer shall come to us alone (RFC 6762, 5.4; RFC 6763, 9).
    5353: bytes.fromhex("0000 0000 0001 0000 0000 0000")
    + b"\x09_services\x07_dns-sd\x04_udp\x05local\x00"
    + bytes.fromhex("000c 8001"),
    # Who is called "wpad"? (RFC 4795)
    5355: bytes.fromhex(f"{_DNS} 04 77706164 00 0001 0001"),
}
#: Groups in which the same questions are asked.
GROUPS = {
    5353: ("224.0.0.251", "ff02::fb"),
    5355: ("224.0.0.252", "ff02::1:3"),
    1900: ("239.255.255.250", "ff02::c"),
}


class Answer(NamedTuple):
    """Something that a computer sent to a neighbour which asked.

    Attributes:
        address: whose answer it is.
        what: "open" and "refused" are about TCP; "other" is anything else that came.
        port: that it is about; 0 for "ping", a protocol's number or a port for "other".
    """

    address: str
    what: What
    port: int = 0


class Sighting(NamedTuple):
    """Somebody with this MAC address has this address: he said so."""

    address: str
    mac: bytes


def echo_request(version: int, number: int) -> bytes:
    """Return a ping; with IPv6 the kernel completes it.

    Args:
        version: 4 or 6.
        number: of the ping.
    """
    kind = 8 if version == 4 else 128
    parts = [kind << 8, 0, ECHO_ID, number & 0xFFFF]
    if version == 4:
        parts[1] = checksum(struct.pack("!4H", *parts))
    return struct.pack("!4H", *parts)


def arp_question(own: bytes, sender: str, wanted: str) -> bytes:
    """Return a frame that asks everybody for the MAC address of an IPv4 address (RFC 826)."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    addresses = own + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(wanted)
    return b"\xff" * 6 + own + _ARP + head + addresses


def is_arp_answer(frame: bytes, asked_by: str) -> bool:
    """Return whether a frame answers the question that was asked with this sender."""
    is_answer = frame[12:14] == _ARP and frame[20:22] == b"\0\2"
    return is_answer and frame[38:42] == socket.inet_aton(asked_by)


def opening(source: str, target: str, source_port: int, port: int) -> bytes:
    """Return TCP's first segment to a port, without what stands before it (RFC 9293)."""
    # No data yet, a header of 24 bytes with the option "segments of 1460 bytes", a window of 1024.
    head = struct.pack(
        "!HHIIBBHHHBBH", source_port, port, 0x74617473, 0, 0x60, _SYN, 1024, 0, 0, 2, 4, 1460
    )
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    total = checksum(addresses + struct.pack("!HH", _TCP, len(head)) + head)
    return head[:16] + struct.pack("!H", total) + head[18:]


def made_of(mac: bytes, prefix: str) -> str:
    """Return the IPv6 address that a computer makes of its MAC address there.

    Args:
        prefix: of 64 bits, such as "fe80::".
    """
    return _text(socket.inet_pton(socket.AF_INET6, prefix)[:8] + interface_id(mac))


def checksum(data: bytes) -> int:
    """Return the checksum of the Internet (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def read(frame: bytes, own: bytes) -> Sighting | Answer | None:
    """Return what a frame of somebody else tells a neighbour; None if it tells nothing.

    Args:
        own: MAC address of the neighbour. What is not sent to it alone is no answer.
    """
    kind, packet = frame[12:14], frame[14:]
    if kind == _ARP and len(packet) >= 28:
        return Sighting(_text(packet[14:18]), frame[6:12])
    if frame[:6] != own:
        return None
    if kind == _IPV4 and len(packet) >= 20:
        header = (packet[0] & 15) * 4
        return _read_packet(_text(packet[12:16]), packet[9], packet[header:], frame[6:12])
    if kind == _IPV6 and len(packet) >= 40:
        return _read_packet(_text(packet[8:24]), packet[6], packet[40:], frame[6:12])
    return Answer("", "other", int.from_bytes(kind, "big"))


def _read_packet(
    address: str, protocol: int, content: bytes, mac: bytes
) -> Sighting | Answer | None:
    if protocol == _TCP and len(content) >= 14:
        flags, port = content[13], int.from_bytes(content[:2], "big")
        if flags & _RST:
            return Answer(address, "refused", port)
        return Answer(address, "open" if flags & _SYN_ACK == _SYN_ACK else "other", port)
    if protocol == _UDP and len(content) >= 8:
        return Answer(address, "udp", int.from_bytes(content[:2], "big"))
    if protocol == _ICMP and len(content) >= 8:
        return _read_icmp(address, content)
    if protocol == _ICMP6 and len(content) >= 8:
        return _read_icmp6(address, content, mac)
    return Answer(address, "other", protocol)


def _read_icmp(address: str, content: bytes) -> Answer:
    quoted = content[8:]
    if content[0] == 0:
        return Answer(address, "ping")
    if content[0] in _ERRORS and len(quoted) >= 20:
        header = (quoted[0] & 15) * 4
        return _refused(_text(quoted[16:20]), quoted[9], quoted[header:])
    return Answer(address, "other", _ICMP)


def _read_icmp6(address: str, content: bytes, mac: bytes) -> Sighting | Answer | None:
    kind, quoted = content[0], content[8:]
    if kind == _ADVERTISEMENT and len(quoted) >= 16:
        return Sighting(_text(quoted[:16]), mac)
    if kind == _SOLICITATION:
        return Sighting(address, mac)
    if kind in _LINK6:
        return None
    if kind == 129:
        return Answer(address, "ping")
    if kind in _ERRORS6 and len(quoted) >= 40:
        return _refused(_text(quoted[24:40]), quoted[6], quoted[40:])
    return Answer(address, "other", _ICMP6)


def _refused(address: str, protocol: int, content: bytes) -> Answer:
    """Return what an error says about the packet that it quotes."""
    port = int.from_bytes(content[2:4], "big")
    if protocol == _TCP:
        return Answer(address, "refused", port)
    if protocol == _UDP:
        return Answer(address, "udp refused", port)
    return Answer(address, "other", protocol)


def _text(address: bytes) -> str:
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address)
