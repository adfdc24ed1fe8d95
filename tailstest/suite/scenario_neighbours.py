"""Who shares a network with the machine of a scenario: what the machine answers him."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.lab.capture_file import packets_in
from tailstest.lab.network.addressing import given_out
from tailstest.lab.network.answers_view import answers_text
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.knocking import Answer
from tailstest.lab.network.neighbour import Neighbour, Probed, neighbours_in
from tailstest.lab.network.plan import Kind
from tailstest.lab.own_addresses import own_addresses
from tailstest.machine.machine import Machine

#: IPv6 addresses of a machine that are tried: it has two or three at a time, and takes new ones
#: each time its network comes up.
MOST_ADDRESSES6 = 32
#: Times that a neighbour tries: a machine may take new IPv6 addresses while the others are tried.
MOST_PROBES = 3
#: Addresses that a message names.
_MOST_NAMED = 5
#: Answers that a computer gives although it offers nothing.
_HARMLESS = frozenset({"ping", "refused", "udp refused"})
_PORT = re.compile(r"(?:(?P<protocol>TCP|UDP) +)?(?P<number>[0-9]{1,5})", re.IGNORECASE)


@dataclass(frozen=True)
class _Found:
    """What a neighbour found, and what keeps silence from being a proof.

    Attributes:
        answers: of the machine.
        is_complete: whether the machine has come to all that was sent.
        lost: frames that the machine's wire lost meanwhile.
        untried: addresses that it had in the end, and that nobody tried.
    """

    answers: tuple[Answer, ...]
    is_complete: bool
    lost: int
    untried: tuple[str, ...]


class ScenarioNeighbours:
    """What steps find as `context.test.network.neighbours`.

    Args:
        machine: returns the machine of the scenario; raises a UsageError if there is none.
        labs: returns who gives out the lab.
        note: told the name and the values of each change, for a checkpoint.
        is_bad_wire: tells whether steps made the machine's wire worse than a good one.
    """

    def __init__(
        self,
        machine: Callable[[], Machine],
        labs: Callable[[], LabKeeper],
        note: Callable[..., None],
        is_bad_wire: Callable[[], bool],
    ) -> None:
        self._machine = machine
        self._labs = labs
        self._note = note
        self._is_bad_wire = is_bad_wire

    def add_neighbour(self, kind: Kind) -> Neighbour:
        """Put a neighbour into the first network of this kind."""
        self._note("add_neighbour", kind)
        return self._labs().lab.add_neighbour(self._labs().network(kind))

    def check_no_answer(self) -> None:
        """Check that nothing in the machine answers a neighbour: no port, not even with no.

        ARP and neighbour discovery are no answers: without them the machine has no address.

        Raises:
            CheckFailed: lists what answered.
            UsageError: nothing would be proven: the machine is in no lab, has no address, takes new
                ones all the time, the neighbour cannot see it, or steps made its wire lose frames.
            InfrastructureError: the machine did not get through with what was sent, or its wire
                lost frames although it is a good one.
        """
        found = self._probed()
        if found.answers:
            raise CheckFailed(
                "nothing in the machine should answer a neighbour on its network, but:\n"
                + answers_text(found.answers),
                hint="let the firewall of the image drop what nobody inside has asked for",
            )
        self._expect_all(found)

    def check_open(self, rows: Sequence[str]) -> None:
        """Check that these ports of the machine are open to a neighbour, and no others.

        A ping may be answered, and any port may refuse.

        Args:
            rows: "22" or "TCP 22", "UDP 5353".

        Raises:
            CheckFailed: lists what is open beside them, or which of them are not.
            UsageError, InfrastructureError: a row is no port, or see `check_no_answer`.
        """
        wanted = {_port(row) for row in rows}
        all_found = self._probed([port for what, port in wanted if what == "open"])
        found = [each for each in all_found.answers if each.what not in _HARMLESS]
        more = [each for each in found if (each.what, each.port) not in wanted]
        if more:
            raise CheckFailed(
                f"more than these ports of the machine are open to a neighbour:\n"
                f"{answers_text(more)}",
                hint="close them, or write them into the table if they are meant to be open",
            )
        self._expect_all(all_found)
        missing = sorted(wanted - {(each.what, each.port) for each in found})
        if missing:
            raise CheckFailed(
                f"not open to a neighbour: {', '.join(map(_name, missing))}; what answered:\n"
                + (answers_text(all_found.answers) or "  nothing"),
                hint="does the service run, and does it listen on the network?",
            )

    def _probed(self, more_tcp: Sequence[int] = ()) -> _Found:
        """Try all addresses of the machine, and those that it takes while others are tried."""
        card = self._machine().card
        card.check()
        addresses = self._addresses()
        neighbour = self._neighbour()
        lost, is_complete = card.state().lost, True
        tried: set[str] = set()
        answers: dict[Answer, None] = {}
        for _ in range(MOST_PROBES):
            new = [each for each in addresses if each not in tried]
            if not new:
                break
            probed = self._probe(neighbour, new, more_tcp)
            tried.update(new)
            answers.update(dict.fromkeys(probed.answers))
            is_complete &= probed.is_complete
            addresses = self._addresses()
        return _Found(
            answers=tuple(answers),
            is_complete=is_complete,
            lost=card.state().lost - lost,
            untried=tuple(each for each in addresses if each not in tried),
        )

    def _probe(
        self, neighbour: Neighbour, addresses: Sequence[str], more_tcp: Sequence[int]
    ) -> Probed:
        """Try some addresses, and those that the lab gave out: by these the machine is seen."""
        machine = self._machine()
        card = machine.card
        leases = self._leases()
        probed = neighbour.probe(
            list(dict.fromkeys([*leases, *addresses])),
            more_tcp=more_tcp,
            ignored=card.other_macs,
            watches=[machine.check],
        )
        # What a wire does not carry any more cannot be answered.
        card.check()
        if not probed.seen & set(leases):
            raise UsageError(
                f"the neighbour {neighbour.seat.address} cannot even see the machine at "
                f"{', '.join(leases[:_MOST_NAMED])}: nobody there tells a MAC address (ARP), so "
                "nothing is proven",
                hint="is the machine on, its cable plugged in, and its network up?",
            )
        return probed

    def _expect_all(self, found: _Found) -> None:
        """Raise if what did not answer may just not have been asked."""
        if not found.is_complete:
            raise InfrastructureError(
                "the machine did not get through with what a neighbour sent, so nobody knows what "
                "it would have answered",
                hint="is it paused, was its cable pulled out, or is this host too busy?",
            )
        if found.lost > 0:
            said = (
                f"{found.lost} frames were lost on the wire of the machine while a neighbour tried "
                "what it answers, so nothing is proven"
            )
            if self._is_bad_wire():
                raise UsageError(
                    said,
                    hint="do this on a good wire: without the steps that let packets be lost or "
                    "come late, or that bound what the wire carries",
                )
            raise InfrastructureError(
                said, hint="does the machine take what is sent to it, or is this host too busy?"
            )
        if found.untried:
            raise UsageError(
                "the machine takes always new addresses while a neighbour tries the others, and "
                f"these were not tried: {', '.join(found.untried[:_MOST_NAMED])}",
                hint="put this step where its network has come to rest",
            )

    def _neighbour(self) -> Neighbour:
        network = self._machine().card.network
        here = neighbours_in(network, self._labs().lab.neighbours)
        return here[0] if here else self.add_neighbour(network.kind)

    def _addresses(self) -> list[str]:
        return [*self._leases(), *self._addresses6()]

    def _leases(self) -> list[str]:
        card = self._machine().card
        leases = given_out(card.network, self._labs().lab.folder, others=card.other_macs)
        if not leases:
            raise UsageError(
                "the machine has no address yet, so nothing would be proven",
                hint='put "Then the machine has an address from the network" before this step',
            )
        return leases

    def _addresses6(self) -> list[str]:
        card = self._machine().card
        network = card.network
        packets = packets_in(card.captures)
        found = own_addresses(packets, card.other_macs, ["fe80::/10", network.prefix6])
        if len(found) > MOST_ADDRESSES6:
            raise UsageError(
                f"the machine has used {len(found)} IPv6 addresses, and a neighbour tries no more "
                f"than {MOST_ADDRESSES6}",
                hint="put this step further to the front, or into a scenario of its own",
            )
        return found


def _port(text: str) -> tuple[str, int]:
    """Return what an answer is called that comes from an open port, and the port."""
    match = _PORT.fullmatch(text.strip())
    if match is None or not 0 < int(match["number"]) < 65536:
        raise UsageError(
            f'"{text}" is no port', hint='write a number (TCP), such as "22", or "UDP 5353"'
        )
    is_udp = (match["protocol"] or "").upper() == "UDP"
    return "udp" if is_udp else "open", int(match["number"])


def _name(wanted: tuple[str, int]) -> str:
    return f"{'UDP' if wanted[0] == 'udp' else 'TCP'} port {wanted[1]}"
