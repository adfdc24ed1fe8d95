"""Who talked to whom in a capture, for a person who looks what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tailstest.lab.dissect import dissect
from tailstest.lab.names import names_of
from tailstest.lab.packet import Packet
from tailstest.lab.seen import Seen

#: Bounds of what is remembered of one capture; the rest is counted.
MOST_CONVERSATIONS = 10_000
MOST_SENDERS = 1000
MOST_ADDRESSES = 4
MOST_NAMES = 5


@dataclass
class Conversation:
    """Packets of one protocol between two parties, whoever began.

    Attributes:
        source, destination: IP addresses, MAC addresses if there are none.
        port: of the destination; 0 if there is none.
        first: time of the first packet in nanoseconds since 1970, or None; `number` in the file.
        there, back: packets in each direction.
        names: that were read in it, safe to print.
        trouble: why a packet of it is not understood; empty if all are.
    """

    protocol: str
    source: bytes
    destination: bytes
    port: int
    number: int
    first: int | None
    there: int = 0
    back: int = 0
    bytes: int = 0
    names: list[str] = field(default_factory=list)
    trouble: str = ""


@dataclass
class Sender:
    """Somebody who sent packets: how many, and the first few IP addresses, none all zeros."""

    packets: int = 0
    addresses: list[bytes] = field(default_factory=list)


class Conversations:
    """All conversations of a capture.

    Attributes:
        packets: looked at.
        links: types of link that they came from.
        senders: by MAC address; empty bytes for packets without one.
        unlisted: packets of conversations that there was no room for.
        span: times of the earliest and the latest packet; None if there are no times.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.links: set[int] = set()
        self.senders: dict[bytes, Sender] = {}
        self.unlisted = 0
        self.span: tuple[int, int] | None = None
        self._found: dict[tuple[object, ...], Conversation] = {}

    @property
    def found(self) -> list[Conversation]:
        """Return the conversations in the order of their first packets."""
        return list(self._found.values())

    def add(self, packets: Iterable[Packet]) -> None:
        """Take in packets."""
        for packet in packets:
            self.packets += 1
            self.links.add(packet.link)
            if packet.time is not None:
                first, last = self.span or (packet.time, packet.time)
                self.span = min(first, packet.time), max(last, packet.time)
            seen = dissect(packet)
            self._sender(seen)
            self._conversation(seen)

    def _sender(self, seen: Seen) -> None:
        sender = self.senders.get(seen.sender)
        if sender is None:
            if len(self.senders) >= MOST_SENDERS:
                return
            sender = self.senders[seen.sender] = Sender()
        sender.packets += 1
        known = sender.addresses
        if any(seen.source) and len(known) < MOST_ADDRESSES and seen.source not in known:
            known.append(seen.source)

    def _conversation(self, seen: Seen) -> None:
        ends = seen.source or seen.sender, seen.destination or seen.receiver
        back = self._found.get((seen.protocol, ends[1], ends[0], seen.source_port))
        conversation = self._found.get((seen.protocol, *ends, seen.destination_port))
        if conversation is not None:
            conversation.there += 1
        elif back is not None:
            conversation = back
            conversation.back += 1
        elif len(self._found) >= MOST_CONVERSATIONS:
            self.unlisted += 1
            return
        else:
            conversation = Conversation(
                seen.protocol,
                *ends,
                seen.destination_port,
                seen.packet.number,
                seen.packet.time,
                there=1,
            )
            self._found[seen.protocol, *ends, seen.destination_port] = conversation
        conversation.bytes += seen.packet.length
        conversation.trouble = conversation.trouble or seen.trouble
        if len(conversation.names) < MOST_NAMES:
            for name in seen.names or names_of(seen):
                if name not in conversation.names:
                    conversation.names.append(name)
            del conversation.names[MOST_NAMES:]
