"""Policies: what a machine may send, in a TOML file; everything else is a leak."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    StringConstraints,
    model_validator,
)

from tailstest.core.settings import Strict, read_toml, validated

#: The policy that `tailstest capture policy` prints.
TEMPLATE = Path(__file__).with_name("default_policy.toml")

#: Ethernet types that have whole packets of other types inside: VLAN tags, MPLS, PPPoE, MACsec,
#: backbone bridging.
CARRIERS = frozenset({0x8100, 0x88A8, 0x9100, 0x8847, 0x8848, 0x8864, 0x88E5, 0x88E7})


def _mac(value: object) -> bytes:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", value):
        return bytes.fromhex(value.replace(":", "").replace("-", ""))
    raise ValueError(f'{value!r} is no MAC address; one looks like "52:54:00:12:34:56"')


def _ports(value: object) -> tuple[int, int]:
    parts = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value) if isinstance(value, str) else None
    if parts:
        first, last = int(parts[1]), int(parts[2])
    elif isinstance(value, int) and not isinstance(value, bool):
        first = last = value
    else:
        first, last = 1, 0
    if not 0 <= first <= last <= 65535:
        raise ValueError(f'{value!r} is no port; write 443 or "9001-9030"')
    return first, last


Mac = Annotated[bytes, BeforeValidator(_mac)]
Ports = Annotated[tuple[int, int], BeforeValidator(_ports)]
#: A name in DNS, or "*." and what it ends in.
Name = Annotated[
    str, StringConstraints(to_lower=True, pattern=r"^(\*\.)?[^\s.*]+(\.[^\s.*]+)*$", max_length=255)
]
HostName = Annotated[
    str, StringConstraints(to_lower=True, pattern=r"^[^\s]+$", min_length=1, max_length=255)
]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class MachineFacts(Strict):
    """The machine.

    Attributes:
        macs: the only MAC addresses that it may use; none: any.
    """

    macs: tuple[Mac, ...] = ()


class Others(Strict):
    """Who else is in the capture: what these send is not looked at.

    Attributes:
        macs: of the lab, the gateway, other machines.
        addresses: the same for captures without MAC addresses (raw IP).
    """

    macs: tuple[Mac, ...] = ()
    addresses: tuple[IPvAnyNetwork, ...] = ()


class Usual(Strict):
    """What a machine needs to be on a network at all, and may do unless it is forbidden here.

    Attributes:
        arp, neighbour_discovery, dhcp, dhcp6: whether it may.
        rarp: announcements of QEMU after a machine was restored; counted as ignored.
        dhcp_servers: that it may address directly, as it does to renew.
        dhcp_host_names: that it may tell; any other is a leak.
        dhcp_client_id: "mac": it must be made of the MAC address in use; "any": it may be anything.
    """

    arp: bool = True
    rarp: bool = True
    neighbour_discovery: bool = True
    dhcp: bool = True
    dhcp6: bool = False
    dhcp_servers: tuple[IPvAnyAddress, ...] = ()
    dhcp_host_names: tuple[HostName, ...] = ()
    dhcp_client_id: Literal["mac", "any"] = "mac"


class Rule(Strict):
    """One thing that is allowed.

    Attributes:
        title: for people.
        to: addresses or networks.
        protocol: TCP, UDP, or echo requests and the like.
        ports: of the other side; for TCP and UDP only.
        names: the message must be a DNS question for one of them; for UDP only.
        macs: only for these senders; none: for all.
    """

    title: Title
    to: Annotated[tuple[IPvAnyNetwork, ...], Field(min_length=1)]
    protocol: Literal["tcp", "udp", "icmp", "icmp6"]
    ports: tuple[Ports, ...] = ()
    names: tuple[Name, ...] | None = None
    macs: tuple[Mac, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Rule:
        if self.protocol in ("tcp", "udp") and not self.ports:
            raise ValueError(f'"{self.title}": {self.protocol} needs ports')
        if self.protocol not in ("tcp", "udp") and self.ports:
            raise ValueError(f'"{self.title}": {self.protocol} has no ports')
        if self.names is not None and self.protocol != "udp":
            raise ValueError(f'"{self.title}": names can be read in udp only')
        return self

    def describe(self) -> str:
        """Return what the rule allows, in one line."""
        hosts = [
            str(each.network_address) if each.num_addresses == 1 else str(each) for each in self.to
        ]
        text = f"{self.protocol.upper()} to {', '.join(hosts)}"
        if self.ports:
            ports = (str(low) if low == high else f"{low}-{high}" for low, high in self.ports)
            text += f", port {', '.join(ports)}"
        if self.names is not None:
            text += f", names {', '.join(self.names) or '(none)'}"
        if self.macs:
            text += f", from {', '.join(mac.hex(':') for mac in self.macs)}"
        return text


class Ignored(Strict):
    """Frames of another kind than IP and ARP that are known and harmless.

    Attributes:
        title: for people.
        ether_type: for example 0x88cc.
        to: the MAC address that they must go to.
    """

    title: Title
    ether_type: Annotated[int, Field(ge=0x600, le=0xFFFF)]
    to: Mac

    @model_validator(mode="after")
    def _carries_nothing(self) -> Ignored:
        if self.ether_type in (0x0800, 0x0806, 0x8035, 0x86DD):
            raise ValueError(f'"{self.title}": {self.ether_type:#06x} is understood, use a rule')
        if self.ether_type in CARRIERS:
            raise ValueError(f'"{self.title}": {self.ether_type:#06x} carries other packets')
        return self


class Forbidden(Strict):
    """What must not be in any packet of the machine, not even in an allowed one.

    Attributes:
        macs: real MAC addresses, in each way in which they are written or built into others.
        host_names: real names of the computer.
    """

    macs: tuple[Mac, ...] = ()
    host_names: tuple[HostName, ...] = ()


class Policy(Strict):
    """A policy; `docs/leak-checks.md` says what each part means.

    Attributes:
        expect_packets: how many packets of the machine there must be at least, ignored ones not
            counted.
        nothing_before: a packet of the machine before this is a leak, whatever it is.
    """

    expect_packets: Annotated[int, Field(ge=0)] = 1
    nothing_before: AwareDatetime | None = None
    machine: MachineFacts = MachineFacts()
    others: Others = Others()
    usual: Usual = Usual()
    allow: tuple[Rule, ...] = ()
    ignore: tuple[Ignored, ...] = ()
    forbidden: Forbidden = Forbidden()

    @model_validator(mode="after")
    def _no_contradictions(self) -> Policy:
        if both := set(self.machine.macs) & set(self.others.macs):
            raise ValueError(f"{min(both).hex(':')} is in machine.macs and in others.macs")
        if both := set(self.forbidden.macs) & {*self.machine.macs, *self.others.macs}:
            raise ValueError(f"{min(both).hex(':')} is in forbidden.macs and in another macs")
        return self

    def with_others(self, macs: Iterable[str]) -> Policy:
        """Return the same policy where these MAC addresses, too, are of others."""
        more = {"macs": (*self.others.macs, *map(_mac, macs))}
        return self.model_copy(update={"others": self.others.model_copy(update=more)})


def load_policy(file: Path) -> Policy:
    """Read a policy.

    Raises:
        UsageError: the file cannot be read, or names the file, the key and what is wrong with it.
    """
    values: dict[str, Any] = read_toml(file)
    return validated(Policy, values, lambda _key: str(file))
