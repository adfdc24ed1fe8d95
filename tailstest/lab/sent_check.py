"""What a machine sent by itself: before a moment, and what it told of itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.dissect import dissect
from tailstest.lab.judge import Judge
from tailstest.lab.leak import Leak, LeakReport
from tailstest.lab.names import names_of
from tailstest.lab.packet import Packet
from tailstest.lab.policy import Policy
from tailstest.lab.seen import Seen

#: What QEMU sends for a machine that was restored, with the address of its card.
ANNOUNCEMENT = "rarp"

#: Conversations that are listed; packets of further ones are counted.
MOST_LISTED = 1000


def sent_before(packets: Iterable[Packet], policy: Policy, moment: int) -> LeakReport:
    """Return everything that the machine sent before a moment; any packet of its own counts.

    QEMU's announcement of a machine that was restored (RARP) is not of its own.

    Args:
        policy: says who the others are.
        moment: nanoseconds since 1970.
    """
    judge = Judge(policy)
    found = _Found()
    for packet in packets:
        if packet.time is None or packet.time < moment:
            seen = dissect(packet)
            found.note(packet)
            if judge.is_of_machine(seen) and seen.kind != ANNOUNCEMENT:
                found.add(Leak.of(seen, "it was sent before anything was allowed"), seen)
    return found.report()


def told(captures: Sequence[CaptureFile], policy: Policy) -> LeakReport:
    """Return every packet of the machine that has something in it which the policy forbids."""
    judge = Judge(policy)
    found = _Found()
    for packet in chain.from_iterable(captures):
        seen = dissect(packet)
        found.note(packet)
        if not judge.is_of_machine(seen) or seen.kind == ANNOUNCEMENT:
            continue
        found.of_machine += 1
        if what := judge.forbidden_in(seen):
            seen.names = names_of(seen)
            found.add(Leak.of(seen, f"it tells {what}"), seen)
    return found.report(lost=sum(capture.lost for capture in captures))


class _Found:
    def __init__(self) -> None:
        self.of_machine = 0
        self._packets = 0
        self._unlisted = 0
        self._leaks: dict[tuple[object, ...], Leak] = {}
        self._span: tuple[int, int] | None = None

    def note(self, packet: Packet) -> None:
        self._packets += 1
        if packet.time is not None:
            first, last = self._span or (packet.time, packet.time)
            self._span = min(first, packet.time), max(last, packet.time)

    def add(self, leak: Leak, seen: Seen) -> None:
        key = (
            leak.reason,
            leak.protocol,
            leak.sender,
            leak.source,
            leak.destination,
            leak.destination_port,
        )
        known = self._leaks.get(key)
        if known is None:
            if len(self._leaks) >= MOST_LISTED:
                self._unlisted += 1
                return
            known = self._leaks[key] = leak
        known.count(seen)

    def report(self, *, lost: int = 0) -> LeakReport:
        return LeakReport(
            packets=self._packets,
            of_machine=max(self.of_machine, sum(leak.packets for leak in self._leaks.values())),
            span=self._span,
            leaks=tuple(self._leaks.values()),
            unlisted=self._unlisted,
            usual={},
            ignored={},
            rules=(),
            senders={},
            lost=lost,
        )
