"""What networks of a lab look like: their addresses, names and hardware addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["isolated", "full"]

#: Networks that one lab can have; their number is a part of their addresses.
MOST_NETWORKS = 200
#: Wires in one network.
MOST_WIRES = 50
#: Neighbours in one network; their number is a part of their addresses.
MOST_NEIGHBOURS = 50

#: Where the lab's Internet is: addresses that are reserved for documentation (RFC 5737, RFC 3849),
#: so they look public to whoever checks, and belong to nobody.
WEB = "203.0.113.80"
WEB6 = "2001:db8:ffff::80"
TIME = "203.0.113.123"
MAIL = "203.0.113.25"
PROXY = "203.0.113.128"
INTERNET = ("203.0.113.0/24", "198.51.100.0/24")
INTERNET6 = "2001:db8:ffff::/48"

#: The domain of the lab's own names.
DOMAIN = "lab.test"

#: Names of servers that every full lab has, to their addresses. Who serves there is started when a
#: scenario asks for it; until then a machine that tries is refused.
NAMES = {
    f"www.{DOMAIN}": (WEB, WEB6),
    f"time.{DOMAIN}": (TIME,),
    f"mail.{DOMAIN}": (MAIL,),
    f"proxy.{DOMAIN}": (PROXY,),
}


@dataclass(frozen=True)
class Network:
    """One network: a bridge with a server that gives out addresses and answers for names.

    Attributes:
        number: from 1.
        kind: "isolated" has nothing but that server; "full" reaches the lab's Internet.
    """

    number: int
    kind: Kind

    @property
    def bridge(self) -> str:
        """Name of the bridge, inside the lab."""
        return f"net{self.number}"

    @property
    def mac(self) -> str:
        """MAC address of the bridge: what machines know as their router."""
        return f"52:54:00:76:00:{self.number:02x}"

    @property
    def gateway(self) -> str:
        """IPv4 address of router and resolver."""
        return f"10.76.{self.number}.1"

    @property
    def prefix(self) -> str:
        """IPv4 network."""
        return f"10.76.{self.number}.0/24"

    @property
    def gateway6(self) -> str:
        """IPv6 address of router and resolver."""
        return f"2001:db8:76:{self.number:x}::1"

    @property
    def prefix6(self) -> str:
        """IPv6 network."""
        return f"2001:db8:76:{self.number:x}::/64"

    @property
    def link_local(self) -> str:
        """IPv6 address of the router on the link itself, made of its MAC address (RFC 4291)."""
        return f"fe80::5054:ff:fe76:{self.number:x}"

    @property
    def addresses(self) -> tuple[str, str]:
        """First and last IPv4 address that machines are given."""
        return f"10.76.{self.number}.100", f"10.76.{self.number}.199"


@dataclass(frozen=True)
class Seat:
    """The place of a neighbour in a network: another computer beside the machine.

    Its addresses are none that machines are given.

    Attributes:
        network: that it is in.
        number: from 1, for each network.
    """

    network: Network
    number: int

    @property
    def name(self) -> str:
        """Name of the neighbour among the lab's servers."""
        return f"neighbour-{self.network.number}-{self.number}"

    @property
    def mac(self) -> str:
        """MAC address of its card."""
        return f"52:54:00:76:01:{self.number:02x}"

    @property
    def address(self) -> str:
        """IPv4 address."""
        return f"10.76.{self.network.number}.{199 + self.number}"

    @property
    def address6(self) -> str:
        """IPv6 address."""
        return f"2001:db8:76:{self.network.number:x}::{199 + self.number:x}"

    @property
    def link_local(self) -> str:
        """IPv6 address on the link itself, made of its MAC address (RFC 4291)."""
        return f"fe80::5054:ff:fe76:{0x100 + self.number:x}"
