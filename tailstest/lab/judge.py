"""Judging one packet by a policy: what allows it, or why it is a leak."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from tailstest.lab.dhcp import client_id_is, duid_is, read_dhcp
from tailstest.lab.dhcp6 import read_dhcp6
from tailstest.lab.forbidden import ForbiddenThings
from tailstest.lab.names import NAME_PORTS, asked_name, texts_of
from tailstest.lab.packet import OUTBOUND
from tailstest.lab.policy import Policy, Rule
from tailstest.lab.seen import NotUnderstood, Seen, mac_text

BROADCAST = b"\xff\xff\xff\xff"
#: ff02::1:2, where DHCPv6 servers and relays listen (RFC 8415, 7.1).
DHCP6_SERVERS = bytes.fromhex("ff020000000000000000000000010002")


class Judgement(NamedTuple):
    """What a policy says about a packet.

    Attributes:
        leak: why it is one; empty if it is allowed.
        usual: what it is of the usual traffic; empty if it is something else.
        ignored: title of the entry by which it is ignored.
        rule: number of the rule that allows it; -1 for none.
        by_addresses: whether the rule looked at nothing but addresses and ports.
    """

    leak: str = ""
    usual: str = ""
    ignored: str = ""
    rule: int = -1
    by_addresses: bool = False


class Judge:
    """A policy, ready to judge packets."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._usual = policy.usual
        self._rules = [_ReadyRule(rule) for rule in policy.allow]
        self._other_networks = _Networks(policy.others.addresses)
        self._dhcp_servers = {server.packed for server in policy.usual.dhcp_servers}
        self._forbidden = ForbiddenThings(policy.forbidden)
        self.other_macs = frozenset(policy.others.macs)
        self.machine_macs = frozenset(policy.machine.macs)
        #: Nanoseconds since 1970 before which nothing may be sent; None if that does not matter.
        self.nothing_before = _nanoseconds(policy)

    def is_of_machine(self, seen: Seen) -> bool:
        """Return whether a packet counts.

        Where it was not recorded who sent it, everybody who is not named as another is the machine.
        """
        if seen.packet.direction:
            return seen.packet.direction == OUTBOUND
        if seen.sender:
            return seen.sender not in self.other_macs
        return not (seen.source and seen.source in self._other_networks)

    def judge(self, seen: Seen) -> Judgement:
        """Return what the policy says about a packet of the machine."""
        if early := self.early(seen.packet.time):
            return Judgement(leak=early)
        if found := self.forbidden_in(seen):
            return Judgement(leak=f"it tells {found}")
        if seen.packet.direction and seen.sender in self.other_macs:
            return Judgement(leak=f"its sender is {mac_text(seen.sender)}, which is somebody else")
        if self.machine_macs and seen.sender not in self.machine_macs:
            who = mac_text(seen.sender) or "no MAC address"
            return Judgement(leak=f"its sender is {who}, which the policy does not know")
        if seen.trouble:
            title = self._ignored(seen)
            return (
                Judgement(ignored=title)
                if title
                else Judgement(leak=f"not understood: {seen.trouble}")
            )
        try:
            return self._usual_traffic(seen) or self._by_rule(seen)
        except NotUnderstood as error:
            return Judgement(leak=f"not understood: {error}")

    def early(self, time: int | None) -> str:
        """Return why a packet was sent too early; "" if it was not."""
        if self.nothing_before is None:
            return ""
        if time is None:
            return "it has no time, so it may be from before anything was allowed"
        return "it was sent before anything was allowed" if time < self.nothing_before else ""

    def finds_forbidden(self, data: bytes) -> bool:
        """Return whether a forbidden thing is in a packet that is of no protocol with names."""
        return bool(self._forbidden.find(data))

    def forbidden_in(self, seen: Seen) -> str:
        """Return which forbidden thing is in a packet, short names included; "" for none."""
        found = self._forbidden.find(seen.packet.data)
        if not found and self._may_tell_names(seen):
            found = self._forbidden.find_in_texts(texts_of(seen))
        return found

    def _may_tell_names(self, seen: Seen) -> bool:
        ports = (seen.source_port, seen.destination_port)
        return bool(self._policy.forbidden.host_names) and not NAME_PORTS.isdisjoint(ports)

    def _ignored(self, seen: Seen) -> str:
        if seen.packet.length > len(seen.packet.data):
            return ""
        for entry in self._policy.ignore:
            if entry.ether_type == seen.ether_type and entry.to == seen.receiver:
                return entry.title
        return ""

    def _usual_traffic(self, seen: Seen) -> Judgement | None:
        usual = self._usual
        if seen.kind == "arp" and usual.arp:
            return Judgement(usual="ARP")
        if seen.kind == "rarp" and usual.rarp:
            return Judgement(ignored="RARP")
        if seen.kind == "neighbour" and usual.neighbour_discovery:
            return Judgement(usual="neighbour discovery")
        if seen.kind != "udp":
            return None
        ports = seen.source_port, seen.destination_port
        if ports == (68, 67) and usual.dhcp and self._reaches_dhcp(seen):
            return Judgement(leak=self._dhcp(seen), usual="DHCP")
        if ports == (546, 547) and usual.dhcp6 and seen.destination == DHCP6_SERVERS:
            return Judgement(leak=self._dhcp6(seen), usual="DHCPv6")
        return None

    def _reaches_dhcp(self, seen: Seen) -> bool:
        return seen.destination == BROADCAST or seen.destination in self._dhcp_servers

    def _dhcp(self, seen: Seen) -> str:
        request = read_dhcp(seen.payload)
        seen.names = request.names
        if seen.sender and request.hardware != seen.sender:
            return f"DHCP that tells another MAC address, {mac_text(request.hardware)}"
        any_id = self._usual.dhcp_client_id == "any" or not request.client_id
        if not any_id and not client_id_is(request.client_id, request.hardware):
            return "DHCP with a client id that is not made of the MAC address in use"
        return self._told_names(request.names)

    def _dhcp6(self, seen: Seen) -> str:
        request = read_dhcp6(seen.payload)
        seen.names = request.names
        any_id = self._usual.dhcp_client_id == "any" or not request.client_id
        if not any_id and not duid_is(request.client_id, seen.sender):
            return "DHCPv6 with a client id that is not made of the MAC address in use"
        return self._told_names(request.names)

    def _told_names(self, names: tuple[str, ...]) -> str:
        for name in names:
            if name.lower() not in self._usual.dhcp_host_names:
                return "DHCP that tells a host name"
        return ""

    def _by_rule(self, seen: Seen) -> Judgement:
        reason, only_addresses = "not allowed by the policy", not self._may_tell_names(seen)
        for number, rule in enumerate(self._rules):
            if not rule.fits(seen):
                continue
            if rule.names is None:
                return Judgement(rule=number, by_addresses=only_addresses)
            only_addresses = False
            try:
                name = asked_name(seen.payload)
            except NotUnderstood as error:
                reason = f"not understood: {error}"
                continue
            seen.names = (name,)
            if any(_name_fits(name, pattern) for pattern in rule.names):
                return Judgement(rule=number)
            reason = "asks for a name that the policy does not allow"
        return Judgement(leak=reason)


class _Networks:
    """Networks, for a quick look-up of packed addresses."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = [
            (len(each.network_address.packed), int(each.network_address), int(each.netmask))
            for each in networks
        ]

    def __contains__(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        return any(
            size == len(address) and number & mask == network
            for size, network, mask in self._networks
        )


class _ReadyRule:
    def __init__(self, rule: Rule) -> None:
        self.names = rule.names
        self._protocol = rule.protocol
        self._networks = _Networks(rule.to)
        self._ports = rule.ports
        self._macs = frozenset(rule.macs)

    def fits(self, seen: Seen) -> bool:
        """Return whether sender, receiver, protocol and port are those of the rule."""
        return (
            seen.kind == self._protocol
            and (not self._macs or seen.sender in self._macs)
            and seen.destination in self._networks
            and (
                not self._ports
                or any(first <= seen.destination_port <= last for first, last in self._ports)
            )
        )


def _name_fits(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return name == pattern


def _nanoseconds(policy: Policy) -> int | None:
    if policy.nothing_before is None:
        return None
    return int(policy.nothing_before.timestamp()) * 10**9 + policy.nothing_before.microsecond * 1000
