"""A neighbour: another computer on a network of the lab, as the run sees it."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tailstest.core.deadline import Deadline, Watch, poll
from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable, shortened
from tailstest.lab.network.knocking import QUESTIONS, Answer, What
from tailstest.lab.network.order import Order
from tailstest.lab.network.plan import Network, Seat

#: Seconds, before scaling, without a new answer after which no other one is waited for. An idle
#: machine answers in a millisecond; an emulated one that is busy may take some hundred.
QUIET = 4.0
#: Seconds, before scaling, for all of it; without an answer it takes little more than the quiet.
PROBE_LIMIT = 300.0
#: Bytes of what it may tell: 50,000 answers (`servers.neighbour`).
LONGEST_ANSWER = 8 << 20

#: UDP ports that are asked something, see `knocking.QUESTIONS`.
UDP_PORTS = tuple(QUESTIONS)
#: TCP ports that are tried: those of the system (RFC 6335), and above them those of remote desktops
#: and shells, X, proxies, Tor, data bases, sound, printers, debuggers and development servers.
TCP_PORTS = (
    *range(1, 1025),
    *(1080, 1194, 1234, 1433, 1521, 1701, 1714, 1716, 1723, 1883, 1900, 2000, 2049, 2121, 2222),
    *(2345, 2375, 2376, 2869, 3000, 3128, 3240, 3260, 3306, 3350, 3389, 3632, 3689, 4000, 4001),
    *(4369, 4444, 4713, 4822, 5000, 5001, 5037, 5060, 5061, 5222, 5355, 5357, 5432, 5555, 5601),
    *(5672, 5800, 5900, 5901, 5902, 5903, 5984, 5985, 6000, 6001, 6002, 6010, 6379, 6600, 6667),
    *(7000, 7070, 8000, 8001, 8008, 8009, 8060, 8080, 8081, 8082, 8083, 8086, 8090, 8096, 8118),
    *(8123, 8200, 8333, 8384, 8443, 8444, 8545, 8834, 8888, 9000, 9001, 9040, 9050, 9051, 9052),
    *(9053, 9061, 9062, 9090, 9091, 9100, 9150, 9151, 9200, 9222, 9229, 9418, 9999, 10000, 11211),
    *(15000, 16509, 17500, 18080, 18081, 19132, 22000, 24800, 25565, 27017, 28981, 32400, 49152),
)


@dataclass(frozen=True)
class Probed:
    """What a neighbour found.

    Attributes:
        seen: addresses that somebody has: he says so to whoever asks (ARP, neighbour discovery).
        answers: what answered beyond that.
        is_complete: whether the machine has come to all that was sent, so that what did not answer
            will not.
    """

    seen: frozenset[str]
    answers: tuple[Answer, ...]
    is_complete: bool = True


class Neighbour:
    """Another computer on a network of the lab.

    Args:
        seat: its place there.
        path: of the socket where it takes orders.
        deadline_scale: factor of the host's slowness on every deadline.
    """

    def __init__(self, seat: Seat, path: Path, *, deadline_scale: float = 1.0) -> None:
        self.seat = seat
        self.socket = path
        self._scale = deadline_scale

    def probe(
        self,
        addresses: Sequence[str],
        *,
        more_tcp: Sequence[int] = (),
        ignored: Sequence[str] = (),
        watches: Sequence[Watch] = (),
    ) -> Probed:
        """Try what answers at some addresses; takes five to ten seconds, before scaling.

        Args:
            addresses: IPv4 and IPv6. Who answers a ping to all of the link is found by himself, and
                who has been seen is tried at the IPv6 addresses that are made of his MAC address.
            more_tcp: ports that are tried beside the usual ones.
            ignored: MAC addresses of others, whose answers do not count.
            watches: called while it tries.

        Raises:
            InfrastructureError: it does not answer, or says that it cannot.
        """
        order = Order(
            addresses=tuple(addresses),
            prefixes=("fe80::", self.seat.network.prefix6.partition("/")[0]),
            tcp=tuple(sorted({*TCP_PORTS, *more_tcp})),
            udp=UDP_PORTS,
            ignored=tuple(ignored),
            quiet=QUIET * self._scale,
        )
        deadline = Deadline.after(PROBE_LIMIT, scale=self._scale)
        try:
            with self._line() as line:
                line.sendall(order.line())
                line.setblocking(False)
                said = bytearray()
                told = poll(lambda: _line_of(line, said), deadline, watches=watches)
        except OSError as error:
            raise self._trouble(f"is not there: {error.strerror}") from error
        if told is None:
            raise self._trouble(f"did not answer within {deadline.elapsed:.0f} s")
        return self._read(told)

    @contextlib.contextmanager
    def _line(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(str(self.socket))
            yield line

    def _read(self, told: bytes) -> Probed:
        try:
            values: Any = json.loads(told)
            if "error" in values:
                raise self._trouble(f"says: {shortened(printable(str(values['error'])), 500)}")
            answers = tuple(
                Answer(str(address), what, int(port)) for address, what, port in values["answers"]
            )
            if not all(each.what in get_args(What) for each in answers):
                raise ValueError
            return Probed(frozenset(map(str, values["seen"])), answers, bool(values["complete"]))
        except (ValueError, KeyError, TypeError) as error:
            raise self._trouble("ended in the middle of its answer, or says nonsense") from error

    def _trouble(self, what: str) -> InfrastructureError:
        return InfrastructureError(
            f"the lab's neighbour {self.seat.address} {what}",
            hint=f"this is no trouble of the image; see {self.socket}.log",
        )


def neighbours_in(network: Network, neighbours: Iterable[Neighbour]) -> list[Neighbour]:
    """Return which of a lab's neighbours are in a network."""
    return [each for each in neighbours if each.seat.network == network]


def _line_of(line: socket.socket, said: bytearray) -> bytes | None:
    """Return the answer as soon as it is whole, or as much as there is if no more can come."""
    with contextlib.suppress(BlockingIOError):
        while data := line.recv(1 << 16):
            said += data
            if len(said) > LONGEST_ANSWER:
                break
        return bytes(said)
    return None
