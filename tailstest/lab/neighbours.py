"""ICMPv6: what belongs to finding neighbours and routers (RFC 4861, 4862, 3810), and what not.

Neighbour discovery stays on the link. What claims to be it but is addressed to somebody further
away, has been routed, or carries options that it does not need, is not taken for it.
"""

from __future__ import annotations

import struct

from tailstest.lab.protocols import ICMP6_TYPES
from tailstest.lab.seen import NotUnderstood, Seen, address_text

ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 133, 135, 136
MLD2_REPORT = 143
#: Bytes in front of the options.
HEADERS = {ROUTER_SOLICITATION: 8, NEIGHBOUR_SOLICITATION: 24, NEIGHBOUR_ADVERTISEMENT: 24}
SOURCE_ADDRESS, TARGET_ADDRESS, NONCE = 1, 2, 14
#: ff02::1:ff00:0/104, where the owner of an address that ends alike listens (RFC 4291, 2.7.1).
SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")
ALL_MLD_ROUTERS = bytes.fromhex("ff020000000000000000000000000016")


def read_icmp6(seen: Seen, message: bytes, *, hop_limit: int) -> None:
    """Set the kind of an ICMPv6 message: "neighbour" if it is exactly that, else "icmp6".

    Raises:
        NotUnderstood: it is too short, or wrong inside.
    """
    if len(message) < 8:
        raise NotUnderstood("too short for its ICMPv6 header")
    kind, code = message[0], message[1]
    seen.protocol = f"ICMPv6 {ICMP6_TYPES.get(kind, f'type {kind}')}"
    if kind == MLD2_REPORT and seen.destination == ALL_MLD_ROUTERS:
        _groups(seen, message, hop_limit)
        seen.kind = "neighbour"
    elif kind in HEADERS and code == 0 and hop_limit == 255 and _stays_here(seen.destination):
        _discovery(seen, message, kind)
        seen.kind = "neighbour"
    else:
        seen.kind = "icmp6"


def _stays_here(address: bytes) -> bool:
    """Return whether an address is on the link: multicast ff02::/16, or fe80::/10."""
    return address[:2] == b"\xff\x02" or (address[0] == 0xFE and address[1] & 0xC0 == 0x80)


def _discovery(seen: Seen, message: bytes, kind: int) -> None:
    place = HEADERS[kind]
    if len(message) < place:
        raise NotUnderstood(f"too short for its {seen.protocol}")
    if any(message[5:8]) or (message[4] and kind != NEIGHBOUR_ADVERTISEMENT):
        raise NotUnderstood(f"{seen.protocol} with something in its reserved bytes")
    while place < len(message):
        if len(message) < place + 8 or not message[place + 1]:
            raise NotUnderstood(f"{seen.protocol} with a broken option")
        option, size = message[place], message[place + 1] * 8
        value = message[place + 2 : place + size]
        if len(value) < size - 2:
            raise NotUnderstood(f"{seen.protocol} with an option that is cut off")
        if option in (SOURCE_ADDRESS, TARGET_ADDRESS) and size == 8:
            if seen.sender and value != seen.sender:
                raise NotUnderstood(f"{seen.protocol} that tells another MAC than its sender's")
        elif option != NONCE or size != 8:
            raise NotUnderstood(f"{seen.protocol} with option {option}")
        place += size


def _groups(seen: Seen, message: bytes, hop_limit: int) -> None:
    """Check that a report names only groups that neighbour discovery needs."""
    (count,) = struct.unpack_from("!H", message, 6)
    place = 8
    for _ in range(count):
        if len(message) < place + 20:
            raise NotUnderstood("an MLDv2 report that is cut off")
        extra, sources = message[place + 1], int.from_bytes(message[place + 2 : place + 4], "big")
        group = message[place + 4 : place + 20]
        if not group.startswith(SOLICITED_NODE):
            raise NotUnderstood(f"an MLDv2 report for the group {address_text(group)}")
        if extra or sources:
            raise NotUnderstood("an MLDv2 report with sources or extra data")
        place += 20
    if place != len(message) or hop_limit != 1 or message[1] or any(message[4:6]):
        raise NotUnderstood("an MLDv2 report with something behind or around it")
