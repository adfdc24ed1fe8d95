"""Finding leaks: every packet of the machine is allowed by the policy, or it is a leak."""

from __future__ import annotations

import struct
from collections import Counter

from tailstest.lab.dissect import SHORTEST_FRAME, dissect
from tailstest.lab.judge import Judge
from tailstest.lab.leak import Leak, LeakReport, RuleUse
from tailstest.lab.names import names_of
from tailstest.lab.packet import ETHERNET, INBOUND, Packet
from tailstest.lab.policy import Policy
from tailstest.lab.seen import Seen

#: Conversations that are listed; packets of further ones are counted and still leaks.
MOST_LEAKS = 10_000
#: Decisions and senders that are remembered at a time.
MOST_REMEMBERED = 65_536
MOST_SENDERS = 1000

#: Type, first byte, total length, fragment field and protocol of Ethernet with IPv4.
_HEADERS = struct.Struct("!12xHBxH2xHxB")
_PLAIN = 0x45
_DONT_FRAGMENT = 0x4000


class LeakFinder:
    """Judges packets one by one and gathers what leaked.

    Args:
        policy: says what is allowed.
        hurry: take the short way for packets that look exactly like one that was allowed by its
            addresses and ports alone; without it every packet is dissected.
    """

    def __init__(self, policy: Policy, *, hurry: bool = True) -> None:
        self._policy = policy
        self._judge = Judge(policy)
        self._hurry = hurry
        #: Addresses, protocol and ports of Ethernet with IPv4 to the rule that allows them.
        self._decided: dict[bytes, int] = {}
        self._leaks: dict[tuple[object, ...], Leak] = {}
        self._unlisted = 0
        self._packets = 0
        self._of_machine = 0
        self._first: int | None = None
        self._last: int | None = None
        self._usual: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._used: Counter[int] = Counter()
        self._senders: Counter[bytes] = Counter()

    @property
    def found(self) -> bool:
        """Return whether anything has leaked so far."""
        return bool(self._leaks)

    def feed(self, packet: Packet) -> None:
        """Judge one packet; never raises, whatever the packet is."""
        self._packets += 1
        if packet.time is not None:
            if self._first is None or packet.time < self._first:
                self._first = packet.time
            if self._last is None or packet.time > self._last:
                self._last = packet.time
        if packet.link == ETHERNET and self._hurry and self._is_plain(packet):
            return
        seen = dissect(packet)
        if not self._judge.is_of_machine(seen):
            return
        self._count_sender(seen.sender)
        judgement = self._judge.judge(seen)
        if judgement.leak:
            self._leaked(seen, judgement.leak)
        elif judgement.usual:
            self._usual[judgement.usual] += 1
        elif judgement.ignored:
            self._ignored[judgement.ignored] += 1
        else:
            self._used[judgement.rule] += 1
            if judgement.by_addresses:
                self._remember(packet.data, judgement.rule)

    def report(self, *, lost: int = 0) -> LeakReport:
        """Return what has been found so far.

        Args:
            lost: packets that the recording program lost.
        """
        span = None
        if self._first is not None and self._last is not None:
            span = self._first, self._last
        return LeakReport(
            packets=self._packets,
            of_machine=self._of_machine,
            span=span,
            leaks=tuple(self._leaks.values()),
            unlisted=self._unlisted,
            usual=dict(self._usual),
            ignored=dict(self._ignored),
            rules=tuple(
                RuleUse(rule.title, rule.describe(), self._used[number])
                for number, rule in enumerate(self._policy.allow)
            ),
            senders=dict(self._senders),
            lost=lost,
        )

    def _is_plain(self, packet: Packet) -> bool:
        """Return whether a packet needs no dissecting, and count it.

        That is so if another sent it, or if it is whole, has nothing but plain headers, nothing
        forbidden, and the addresses and ports of one that was allowed by these alone.
        """
        data = packet.data
        if len(data) < 14:
            return False
        if packet.direction == INBOUND:
            return True
        if data[6:12] in self._judge.other_macs:
            return not packet.direction
        rule = self._decided.get(_key(data))
        if rule is None or len(data) != packet.length or not _is_intact(data):
            return False
        if self._judge.early(packet.time) or self._judge.finds_forbidden(data):
            return False
        self._count_sender(data[6:12])
        self._used[rule] += 1
        return True

    def _remember(self, data: bytes, rule: int) -> None:
        if len(data) >= 42 and data[12:15] == b"\x08\0\x45" and data[23] in (6, 17):
            if len(self._decided) >= MOST_REMEMBERED:
                self._decided.clear()
            self._decided[_key(data)] = rule

    def _count_sender(self, sender: bytes) -> None:
        self._of_machine += 1
        if sender in self._senders or len(self._senders) < MOST_SENDERS:
            self._senders[sender] += 1

    def _leaked(self, seen: Seen, reason: str) -> None:
        key = (
            reason,
            seen.sender,
            seen.source,
            seen.destination or seen.receiver,
            seen.protocol,
            seen.destination_port,
        )
        leak = self._leaks.get(key)
        if leak is None:
            if len(self._leaks) >= MOST_LEAKS:
                self._unlisted += 1
                return
            leak = self._leaks[key] = Leak.of(seen, reason)
        if not seen.names and not leak.more_names:
            seen.names = names_of(seen)
        leak.count(seen)


def _key(data: bytes) -> bytes:
    """Return sender, type, protocol, addresses and ports of Ethernet with a plain IPv4 header."""
    return data[6:15] + data[23:24] + data[26:38]


def _is_intact(data: bytes) -> bool:
    """Return whether Ethernet with IPv4 has no options, no fragment, and lengths that agree."""
    fields: tuple[int, int, int, int, int] = _HEADERS.unpack_from(data)
    ether_type, first, total, fragment, protocol = fields
    end = 14 + total
    if ether_type != 0x0800 or first != _PLAIN or end > len(data):
        return False
    if end < len(data) and (len(data) > SHORTEST_FRAME or any(data[end:])):
        return False
    if fragment not in (0, _DONT_FRAGMENT):
        return False
    if protocol == 6:
        return total >= 40 and 20 <= (data[46] >> 4) * 4 <= total - 20
    return protocol == 17 and total >= 28 and int.from_bytes(data[38:40], "big") == total - 20
