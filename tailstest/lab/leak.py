"""Leaks, gathered by conversation, and what a check says in the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from tailstest.lab.seen import Seen

#: Names kept of one leaking conversation; further ones are counted.
MOST_NAMES = 5
#: Bytes kept of its first packet.
FIRST_BYTES = 32


@dataclass
class Leak:
    """Packets of the machine that leaked in one conversation for one reason.

    Attributes:
        reason: why they are a leak.
        number, time: of the first packet: its place in the file, nanoseconds since 1970 or None.
        packets, bytes: how many of them.
        names: that were read in them, safe to print; `more_names` says that there were others.
        first_bytes: of what the first packet carries that carries something.
    """

    reason: str
    protocol: str
    sender: bytes
    receiver: bytes
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    number: int
    time: int | None
    first_bytes: bytes = b""
    packets: int = 0
    bytes: int = 0
    names: list[str] = field(default_factory=list)
    more_names: bool = False

    @classmethod
    def of(cls, seen: Seen, reason: str) -> Leak:
        """Return the leak that begins with a packet; the packet itself is not yet counted."""
        return cls(
            reason,
            seen.protocol,
            seen.sender,
            seen.receiver,
            seen.source,
            seen.destination,
            seen.source_port,
            seen.destination_port,
            seen.packet.number,
            seen.packet.time,
        )

    def count(self, seen: Seen) -> None:
        """Count a packet, and keep the names in it."""
        self.first_bytes = self.first_bytes or seen.payload[:FIRST_BYTES]
        self.packets += 1
        self.bytes += seen.packet.length
        for name in seen.names:
            if name not in self.names:
                if len(self.names) < MOST_NAMES:
                    self.names.append(name)
                else:
                    self.more_names = True


@dataclass(frozen=True)
class RuleUse:
    """A rule of the policy and how many packets it allowed."""

    title: str
    what: str
    packets: int


@dataclass(frozen=True)
class LeakReport:
    """What a check found.

    Attributes:
        packets: in the file; `of_machine` of them were looked at, the others were sent by others.
        span: time of the earliest and of the latest packet, nanoseconds since 1970; None if there
            are no times.
        leaks: by conversation, in the order of their first packets.
        unlisted: leaked packets in conversations that there was no room for.
        usual, ignored: what it was, to the number of packets.
        rules: of the policy, each with its use.
        senders: MAC addresses that were counted as the machine's, to the number of packets.
        lost: packets that the recording program lost.
    """

    packets: int
    of_machine: int
    span: tuple[int, int] | None
    leaks: tuple[Leak, ...]
    unlisted: int
    usual: dict[str, int]
    ignored: dict[str, int]
    rules: tuple[RuleUse, ...]
    senders: dict[bytes, int]
    lost: int

    @property
    def clean(self) -> bool:
        """Return whether nothing leaked."""
        return not self.leaks and not self.unlisted
