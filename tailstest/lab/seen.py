"""What was seen in one packet: who sent what to whom, and what could not be understood."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from tailstest.lab.packet import Packet


class NotUnderstood(Exception):
    """A packet, or a part of one, is not what a parser here knows; its text says which part."""


@dataclass(slots=True)
class Seen:
    """One packet, dissected as far as it was understood.

    Attributes:
        packet: it is about.
        kind: "arp", "rarp", "neighbour", "tcp", "udp", "icmp", "icmp6"; "" for everything else.
        protocol: what a person calls it.
        sender, receiver: MAC addresses, 6 bytes; empty if the link has none or it is not there.
        source, destination: IP addresses, 4 or 16 bytes; empty if there are none.
        source_port, destination_port: 0 if there are none.
        ether_type: of the outermost header; -1 if there is none.
        start: where in the data the innermost part that was understood as such begins.
        end: where the packet ends in the data; behind it is padding.
        names: that it asks for or tells, as far as a parser read them for the report.
        trouble: why it is not understood; empty if it is.
    """

    packet: Packet
    kind: str = ""
    protocol: str = "unknown"
    sender: bytes = b""
    receiver: bytes = b""
    source: bytes = b""
    destination: bytes = b""
    source_port: int = 0
    destination_port: int = 0
    ether_type: int = -1
    start: int = 0
    end: int = 0
    names: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def payload(self) -> bytes:
        """Return what the innermost header that was understood carries."""
        return self.packet.data[self.start : self.end or None]


def mac_text(mac: bytes) -> str:
    """Return a MAC address as people write it; "" for none."""
    return mac.hex(":") if mac else ""


def address_text(address: bytes) -> str:
    """Return an IP address as people write it; "" for none."""
    return str(ipaddress.ip_address(address)) if address else ""
