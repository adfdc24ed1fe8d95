"""One packet as a capture file has it, and the kinds of link that it may come from."""

from __future__ import annotations

from typing import NamedTuple

#: https://www.tcpdump.org/linktypes.html; 12 and 14 are what BSD and OpenBSD call raw IP.
ETHERNET = 1
RAW_IP = frozenset({12, 14, 101, 228, 229})
LINUX_COOKED, LINUX_COOKED_2 = 113, 276
WIFI, WIFI_RADIOTAP = 105, 127

LINK_NAMES = {
    ETHERNET: "Ethernet",
    **dict.fromkeys(RAW_IP, "raw IP"),
    LINUX_COOKED: "Linux cooked",
    LINUX_COOKED_2: "Linux cooked 2",
    WIFI: "Wi-Fi",
    WIFI_RADIOTAP: "Wi-Fi with radiotap",
}


#: Which way a packet went, as the flags of pcapng have it; 0: nobody knows.
INBOUND, OUTBOUND = 1, 2


class Packet(NamedTuple):
    """One packet of a capture file.

    Attributes:
        number: its place in the file, from 1, as other tools count.
        time: nanoseconds since 1970 in UTC; None if the file does not say.
        link: type of the link, one of `LINK_NAMES` or a number that nothing here understands.
        data: what was kept of it, without a frame check sequence.
        length: bytes that it had; more than `data` if the capture cut it off.
        direction: `OUTBOUND` if the machine sent it and `INBOUND` if the machine was given it, as
            the wires of our labs record it; 0 in captures from elsewhere, where both words may
            mean anything.
    """

    number: int
    time: int | None
    link: int
    data: bytes
    length: int
    direction: int = 0


def link_name(link: int) -> str:
    """Return what a person calls a link type."""
    return LINK_NAMES.get(link, f"link type {link}")
