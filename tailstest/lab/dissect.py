"""Dissecting packets so that nothing is skipped: what is not understood is said to be so.

The fields follow RFC 791, 8200, 768, 9293, 826 and 903, and for cooked captures
https://www.tcpdump.org/linktypes.html. No library does it this way round: dpkt and Scapy keep what
they do not know as data and go on.
"""

from __future__ import annotations

import struct

from tailstest.lab import wifi
from tailstest.lab.neighbours import read_icmp6
from tailstest.lab.packet import (
    ETHERNET,
    LINUX_COOKED,
    LINUX_COOKED_2,
    RAW_IP,
    WIFI,
    WIFI_RADIOTAP,
    Packet,
    link_name,
)
from tailstest.lab.protocols import ETHER_TYPES, ICMP_TYPES, IP_PROTOCOLS, port_name
from tailstest.lab.seen import NotUnderstood, Seen

IPV4, IPV6, ARP, RARP = 0x0800, 0x86DD, 0x0806, 0x8035
#: Ethernet fills a frame with zeros up to this length, without the frame check sequence.
SHORTEST_FRAME = 60
#: A hop-by-hop header that only says "router alert: MLD" (RFC 2711), as RFC 3810 asks for.
MLD_ALERT = bytes.fromhex("3a00050200000100"), bytes.fromhex("3a00010005020000")


def dissect(packet: Packet) -> Seen:
    """Return what is in a packet; never raises, whatever the packet is."""
    seen = Seen(packet, end=len(packet.data))
    try:
        _link(seen, packet.data)
    except NotUnderstood as error:
        seen.trouble = str(error)
    except Exception as error:  # noqa: BLE001 - a packet is hostile, and one that breaks a parser
        # must be a finding and not the end of the check
        seen.trouble = f"it breaks the parser ({type(error).__name__})"
    if packet.length > len(packet.data):
        seen.trouble = f"cut off: only {len(packet.data)} of {packet.length} bytes were recorded"
    return seen


def _link(seen: Seen, data: bytes) -> None:
    link = seen.packet.link
    if link == ETHERNET:
        _needs(len(data), 14, "Ethernet header")
        seen.receiver, seen.sender = data[:6], data[6:12]
        _network(seen, data, int.from_bytes(data[12:14], "big"), 14)
    elif link in RAW_IP:
        _needs(len(data), 1, "IP header")
        version = data[0] >> 4
        if version not in (4, 6):
            raise NotUnderstood(f"IP version {version}")
        _network(seen, data, IPV4 if version == 4 else IPV6, 0)
    elif link == LINUX_COOKED:
        _needs(len(data), 16, "header of a cooked capture")
        size, kind = int.from_bytes(data[4:6], "big"), int.from_bytes(data[14:16], "big")
        seen.sender = data[6:12] if size == 6 else b""
        _network(seen, data, kind, 16)
    elif link == LINUX_COOKED_2:
        _needs(len(data), 20, "header of a cooked capture")
        seen.sender = data[12:18] if data[11] == 6 else b""
        _network(seen, data, int.from_bytes(data[:2], "big"), 20)
    elif link in (WIFI, WIFI_RADIOTAP):
        wifi.read_wifi(seen, data, radiotap=link == WIFI_RADIOTAP)
    else:
        seen.protocol = link_name(link)
        raise NotUnderstood(f"a capture of {link_name(link)}")


def _network(seen: Seen, data: bytes, ether_type: int, at: int) -> None:
    seen.ether_type, seen.start = ether_type, at
    if ether_type == IPV4:
        _ipv4(seen, data, at)
    elif ether_type == IPV6:
        _ipv6(seen, data, at)
    elif ether_type in (ARP, RARP):
        _arp(seen, data, at)
    elif ether_type < 0x600:
        seen.protocol = "IEEE 802.3"
        raise NotUnderstood("a frame with a length instead of a type (IEEE 802.3, spanning tree)")
    else:
        name = ETHER_TYPES.get(ether_type)
        seen.protocol = name or f"type {ether_type:#06x}"
        raise NotUnderstood(f"Ethernet type {ether_type:#06x}" + (f" ({name})" if name else ""))


def _arp(seen: Seen, data: bytes, at: int) -> None:
    reverse = seen.ether_type == RARP
    seen.protocol = "RARP" if reverse else "ARP"
    _needs(len(data), at + 28, seen.protocol)
    if data[at : at + 6] != b"\0\x01\x08\0\x06\x04":
        raise NotUnderstood(f"{seen.protocol} for something else than Ethernet and IPv4")
    operation = int.from_bytes(data[at + 6 : at + 8], "big")
    if operation not in ((3, 4) if reverse else (1, 2)):
        raise NotUnderstood(f"{seen.protocol} operation {operation}")
    _end(seen, data, at + 28)
    seen.source, seen.destination = data[at + 14 : at + 18], data[at + 24 : at + 28]
    if seen.sender and data[at + 8 : at + 14] != seen.sender:
        raise NotUnderstood(f"{seen.protocol} that tells another MAC address than its sender's")
    wanted = data[at + 18 : at + 24]
    if any(wanted) and wanted not in (seen.sender, seen.receiver, b"\xff" * 6) and seen.receiver:
        raise NotUnderstood(f"{seen.protocol} with an unknown MAC address of its receiver")
    if reverse and any(seen.source + seen.destination):
        raise NotUnderstood("RARP that tells an IP address")
    if reverse:
        seen.source = seen.destination = b""
    seen.kind = "rarp" if reverse else "arp"


def _ipv4(seen: Seen, data: bytes, at: int) -> None:
    seen.protocol = "IPv4"
    _needs(len(data), at + 20, "IPv4 header")
    first, total, fragment, protocol = struct.unpack_from("!BxH2xHxB", data, at)
    seen.source, seen.destination = data[at + 12 : at + 16], data[at + 16 : at + 20]
    if first >> 4 != 4:
        raise NotUnderstood(f"IP version {first >> 4} with the Ethernet type of IPv4")
    if first & 15 < 5 or total < (first & 15) * 4:
        raise NotUnderstood("an IPv4 header that is too short")
    seen.protocol = IP_PROTOCOLS.get(protocol, f"IP protocol {protocol}")
    seen.start = at + (first & 15) * 4
    if fragment & 0xBFFF:
        seen.protocol += " fragment" if fragment & 0x3FFF else ""
        raise NotUnderstood(
            "a fragment of an IPv4 packet" if fragment & 0x3FFF else "a reserved flag of IPv4"
        )
    _end(seen, data, at + total)
    _transport(seen, data, protocol, version=4)
    if first & 15 > 5:
        raise NotUnderstood("IPv4 options")


def _ipv6(seen: Seen, data: bytes, at: int) -> None:
    seen.protocol = "IPv6"
    _needs(len(data), at + 40, "IPv6 header")
    size, protocol = struct.unpack_from("!4xHB", data, at)
    seen.source, seen.destination = data[at + 8 : at + 24], data[at + 24 : at + 40]
    if data[at] >> 4 != 6:
        raise NotUnderstood(f"IP version {data[at] >> 4} with the Ethernet type of IPv6")
    seen.start = at + 40
    alert = protocol == 0 and data[at + 40 : at + 48] in MLD_ALERT
    if alert:
        protocol, seen.start = 58, at + 48
    seen.protocol = IP_PROTOCOLS.get(protocol, f"IP protocol {protocol}")
    _end(seen, data, at + 40 + size)
    _transport(seen, data, protocol, version=6, alert=alert)


def _transport(seen: Seen, data: bytes, protocol: int, version: int, alert: bool = False) -> None:
    at, size = seen.start, seen.end - seen.start
    if protocol == 6:
        _needs(size, 20, "TCP header")
        seen.source_port, seen.destination_port = struct.unpack_from("!HH", data, at)
        seen.protocol = port_name("tcp", seen.source_port, seen.destination_port)
        header = (data[at + 12] >> 4) * 4
        if not 20 <= header <= size:
            raise NotUnderstood("a TCP header that is too short or too long")
        seen.start += header
        seen.kind = "tcp"
    elif protocol == 17:
        _needs(size, 8, "UDP header")
        seen.source_port, seen.destination_port, length = struct.unpack_from("!HHH", data, at)
        seen.protocol = port_name("udp", seen.source_port, seen.destination_port)
        if length != size:
            raise NotUnderstood(f"UDP that says {length} bytes and has {size}")
        seen.start += 8
        seen.kind = "udp"
    elif protocol == 1 and version == 4:
        _needs(size, 8, "ICMP header")
        seen.protocol = f"ICMP {ICMP_TYPES.get(data[at], f'type {data[at]}')}"
        seen.kind = "icmp"
    elif protocol == 58 and version == 6:
        read_icmp6(seen, data[at : seen.end], hop_limit=data[at - (48 if alert else 40) + 7])
        if alert and seen.kind != "neighbour":
            raise NotUnderstood("IPv6 hop-by-hop options in front of something else than MLD")
    else:
        inner = " inside" if protocol in (4, 41) else ""
        what = f"IPv{4 if protocol == 4 else 6}{inner} IPv{version} (a tunnel)"
        raise NotUnderstood(what if inner else f"IP protocol {protocol} ({seen.protocol})")


def _end(seen: Seen, data: bytes, end: int) -> None:
    """Set where the packet ends; behind it may be only the zeros that Ethernet fills up with."""
    if seen.packet.length > len(data):
        return  # cut off, which `dissect` says; what is left may still tell ports
    if end > len(data):
        raise NotUnderstood(f"a packet that says it is {end - len(data)} bytes longer than it is")
    seen.end = end
    if end < len(data) and (len(data) > SHORTEST_FRAME or any(data[end:])):
        raise NotUnderstood(f"{len(data) - end} bytes behind the end of the packet")


def _needs(there: int, size: int, what: str) -> None:
    if there < size:
        raise NotUnderstood(f"too short for its {what}")
