"""The IPv6 addresses that a machine gave itself, as everybody on its network hears them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network

from tailstest.lab.packet import OUTBOUND, Packet

_ICMP6, _NEIGHBOUR_SOLICITATION = 58, 135
_NOBODY = bytes(16)


def own_addresses(
    packets: Iterable[Packet], other_macs: Iterable[str], prefixes: Iterable[str]
) -> list[str]:
    """Return the addresses that a machine sent from, or asked whether somebody has them (RFC 4862).

    Args:
        packets: of its wire.
        other_macs: who else is there, for packets of which nobody recorded who sent them.
        prefixes: that the addresses must be in.
    """
    others = {bytes.fromhex(mac.replace(":", "")) for mac in other_macs}
    networks = [IPv6Network(prefix) for prefix in prefixes]
    told: dict[bytes, None] = {}
    for packet in packets:
        data = packet.data
        is_own = packet.direction == OUTBOUND if packet.direction else data[6:12] not in others
        if is_own and data[12:14] == b"\x86\xdd" and len(data) >= 54:
            told[_told(data)] = None
    addresses = [IPv6Address(each) for each in told if len(each) == 16]
    return [str(each) for each in addresses if any(each in network for network in networks)]


def _told(data: bytes) -> bytes:
    """Return the sender of a packet, or the address that it wants to have if it has none yet."""
    source = data[22:38]
    if source == _NOBODY and data[20] == _ICMP6 and data[54:55] == bytes([_NEIGHBOUR_SOLICITATION]):
        return data[62:78]
    return source
