"""Another computer on a network of the lab: `python -m ...servers.neighbour SOCKET MAC`.

Runs in a network namespace of its own. Tries what it is ordered to, one order a connection, and
tells who answered: {"seen": [addresses], "answers": [[address, what, port]], "complete": whether
the machine has come to all that was sent}.

Everything is sent by plain sockets; answers are read from the wire itself, so that nothing which
comes is lost in what a kernel makes of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tailstest.lab.network.frames import LARGEST_FRAME
from tailstest.lab.network.knocking import (
    GROUPS,
    QUESTIONS,
    Answer,
    Sighting,
    arp_question,
    echo_request,
    is_arp_answer,
    made_of,
    opening,
    read,
)
from tailstest.lab.network.links import CARD
from tailstest.lab.network.order import LONGEST_ORDER, Order

#: Everything that is not answered yet is tried so many times before we give up.
ROUNDS = 4
#: Packets that are sent before answers are read again, and seconds of a look for them then: more
#: at once would be more than the buffers of wire and machine hold.
BURST, SHORT_LOOK = 32, 0.004
#: Frames that are read before somebody else gets his turn.
AT_ONCE = 1000
#: Seconds of a look while nothing is sent.
LOOK = 0.1
#: Last byte of IPv4 addresses that are nobody's, from here on (`plan.Network.addresses`).
FIRST_FREE = 10
#: Times the quiet after which we stop although there are always new answers.
LONGEST = 30
#: Answers that are kept of one order: all ports of all addresses.
MOST_ANSWERS = 50_000
#: Addresses that are tried.
MOST_TARGETS = 400
#: Seconds for an order to arrive.
ORDER_LIMIT = 10.0

_ALL_PROTOCOLS = 3  # ETH_P_ALL
_ALL_NODES = "ff02::1"
_FIRST_PORT, _PORTS = 40000, 20000


class Knocker:
    """Carries out one order.

    Args:
        order: what to try.
        own: MAC address of our card.
        source_port: of our TCP; another one than before, so that old answers are not new ones.
    """

    def __init__(self, order: Order, own: bytes, source_port: int) -> None:
        self._order = order
        self._own = own
        self._source_port = source_port
        self._ignored = {bytes.fromhex(each.replace(":", "")) for each in order.ignored}
        self._index = socket.if_nametoindex(CARD)
        self._number = 0
        self._end = time.monotonic() + LONGEST * order.quiet
        #: What is tried, and found later: addresses that are made of a MAC address.
        self._targets = list(order.addresses)
        self.seen: set[str] = set()
        #: Whether the machine has come to all that was sent.
        self.is_complete = False
        self._last_answered = False
        self._last_sender = ""
        self._attempts = 0
        self.answers: set[Answer] = set()
        self._stack = contextlib.ExitStack()
        self._wire = self._open(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ALL_PROTOCOLS)
        )
        self._wire.bind((CARD, 0))
        self._udp: dict[int, socket.socket] = {}
        self._tcp: dict[int, socket.socket] = {}
        self._icmp: dict[int, socket.socket] = {}
        for version, family, icmp in (
            (4, socket.AF_INET, socket.IPPROTO_ICMP),
            (6, socket.AF_INET6, socket.IPPROTO_ICMPV6),
        ):
            self._udp[version] = self._open(family, socket.SOCK_DGRAM, 0)
            self._tcp[version] = self._open(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
            self._icmp[version] = self._open(family, socket.SOCK_RAW, icmp)
        self._udp[6].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self._index)
        # struct ip_mreqn: the card is named by its number alone.
        chosen = bytes(8) + self._index.to_bytes(4, sys.byteorder)
        self._udp[4].setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, chosen)

    def __enter__(self) -> Knocker:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def try_all(self) -> None:
        """Find out who is there, and try all of their ports, until no new answer comes for long.

        What is not answered yet is sent again and again. Only the length of looks counts that found
        nothing, not the clock: when this computer stands still for a while, so that everything is
        late, that is no silence.
        """
        # Who is known already would not be asked for his MAC address, and so not be seen.
        subprocess.run(["ip", "neigh", "flush", "dev", CARD], check=True, capture_output=True)
        while time.monotonic() < self._end and not self.is_complete:
            self._knock()
            self.is_complete = self._has_come_to_all()

    def _knock(self) -> None:
        quiet, between = 0.0, self._order.quiet / ROUNDS
        due = 0.0
        while quiet < self._order.quiet and time.monotonic() < self._end:
            seen, answers = len(self.seen), len(self.answers)
            if quiet >= due:
                self._send(self._knocks())
                due = quiet + between
            quiet += self._listen()
            if len(self.seen) > seen:
                quiet = due = 0.0
            elif len(self.answers) > answers:
                quiet, due = 0.0, between

    def _has_come_to_all(self) -> bool:
        """Return whether the machine has dealt with all that was sent.

        It takes one packet after the other, so who answers a last question has come to those before
        it. The question has a sender of its own, so that its answer is not that to an earlier one.
        Nobody has come to anything late if nobody was seen.
        """
        addresses = [each for each in self.seen if "." in each]
        answers = len(self.answers)
        self._last_answered = not addresses
        self._attempts += 1
        if addresses:
            # No machine and no neighbour has an address below 100.
            place = FIRST_FREE + self._attempts
            self._last_sender = f"{self._source(addresses[0]).rpartition('.')[0]}.{place}"
        waited = 0.0
        while (
            not self._last_answered and waited < self._order.quiet and time.monotonic() < self._end
        ):
            for address in addresses:
                with contextlib.suppress(OSError):
                    self._wire.send(arp_question(self._own, self._last_sender, address))
            waited += self._listen()
        return self._last_answered and len(self.answers) == answers

    def result(self) -> dict[str, Any]:
        """Return what was found, for JSON."""
        return {
            "seen": sorted(self.seen),
            "answers": sorted(self.answers),
            "complete": self.is_complete,
        }

    def _send(self, packets: Iterable[Callable[[], object]]) -> None:
        for number, send in enumerate(packets, 1):
            with contextlib.suppress(OSError):  # nobody there, or too much at once
                send()
            if number % BURST == 0:
                self._look(SHORT_LOOK)
                if time.monotonic() > self._end:
                    return

    def _greetings(self) -> Iterator[Callable[[], object]]:
        self._number += 1
        for address in (*self._targets, _ALL_NODES):
            version = ipaddress.ip_address(address).version
            if Answer(address, "ping") not in self.answers:
                ping = echo_request(version, self._number)
                yield partial(self._icmp[version].sendto, ping, self._place(address, 0))

    def _knocks(self) -> Iterator[Callable[[], object]]:
        yield from self._greetings()
        answered = {(each.address, each.port) for each in self.answers if each.what[:3] != "udp"}
        asked = {(each.address, each.port) for each in self.answers if each.what[:3] == "udp"}
        for address in sorted(self.seen):
            version = ipaddress.ip_address(address).version
            source = self._source(address)
            for port in self._order.tcp:
                if (address, port) not in answered:
                    syn = opening(source, address, self._source_port, port)
                    yield partial(self._tcp[version].sendto, syn, self._place(address, 0))
            for port in self._order.udp:
                if (address, port) not in asked:
                    question = QUESTIONS.get(port, bytes(8))
                    yield partial(self._udp[version].sendto, question, self._place(address, port))
        for port in self._order.udp:
            for group in GROUPS.get(port, ()):
                version = 6 if ":" in group else 4
                question = QUESTIONS[port]
                yield partial(self._udp[version].sendto, question, self._place(group, port))

    def _listen(self) -> float:
        """Look for answers; return the seconds of it that count."""
        began = time.monotonic()
        self._look(LOOK)
        return min(LOOK, time.monotonic() - began)

    def _look(self, seconds: float) -> None:
        """Read everything that has come; wait so long for it if nothing has."""
        if not select.select([self._wire], [], [], seconds)[0]:
            return
        with contextlib.suppress(BlockingIOError):
            for _ in range(AT_ONCE):
                frame = self._wire.recv(LARGEST_FRAME)
                if len(frame) >= 14 and frame[6:12] not in self._ignored | {self._own}:
                    self._note(read(frame, self._own))
                    if self._last_sender and is_arp_answer(frame, self._last_sender):
                        self._last_answered = True

    def _note(self, found: Sighting | Answer | None) -> None:
        if isinstance(found, Sighting):
            if found.address in self._targets:
                self.seen.add(found.address)
            for prefix in self._order.prefixes:
                guess = made_of(found.mac, prefix)
                if guess not in self._targets and len(self._targets) < MOST_TARGETS:
                    self._targets.append(guess)
        elif found is not None and len(self.answers) < MOST_ANSWERS:
            self.answers.add(found)
            # Who answers a ping to all was not known before, but is there.
            if found.what == "ping" and len(self.seen) < MOST_TARGETS:
                self.seen.add(found.address)

    def _place(self, address: str, port: int) -> Any:
        if ":" not in address:
            return (address, port)
        near = ipaddress.ip_address(address)
        return (address, port, 0, self._index if near.is_link_local or near.is_multicast else 0)

    def _source(self, address: str) -> str:
        """Return which of our addresses the kernel talks to another one from."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect(self._place(address, 9))
            return str(line.getsockname()[0]).partition("%")[0]

    def _open(self, family: int, kind: int, protocol: int) -> socket.socket:
        return self._stack.enter_context(socket.socket(family, kind, protocol))


def answer(line: bytes, own: bytes, source_port: int) -> dict[str, Any]:
    """Carry out an order; return what came of it, or why it could not be done."""
    try:
        with Knocker(Order.read(line), own, source_port) as knocker:
            knocker.try_all()
            return knocker.result()
    except (ValueError, OSError, subprocess.SubprocessError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def serve(path: str, own: bytes) -> None:
    """Carry out orders until somebody ends the process."""
    # We have the addresses that we are given, at once, and do not look for a router.
    for name, value in (("accept_dad", "0"), ("accept_ra", "0"), ("router_solicitations", "0")):
        Path(f"/proc/sys/net/ipv6/conf/default/{name}").write_text(value)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(path)
        Path(path).chmod(0o600)
        door.listen(1)
        print("ready", flush=True)
        count = 0
        while True:
            line, _ = door.accept()
            with line, contextlib.suppress(OSError):
                line.settimeout(ORDER_LIMIT)
                with line.makefile("rb") as lines:
                    order = lines.readline(LONGEST_ORDER + 1)
                port = _FIRST_PORT + count % _PORTS
                line.sendall(json.dumps(answer(order, own, port)).encode() + b"\n")
            count += 1


if __name__ == "__main__":
    serve(sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")))
