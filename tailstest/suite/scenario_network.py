"""The network of one scenario: what steps do to it, and what they check of what was sent."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events
from tailstest.core.settings import validated
from tailstest.lab.capture_check import check_captures
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.leak import LeakReport
from tailstest.lab.leak_view import report_text
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.plan import DOMAIN, TIME, WEB, WEB6, Network
from tailstest.lab.network.quality import Quality
from tailstest.lab.network.tor import DIR_PORT, OR_PORT, TorNetwork
from tailstest.lab.packet import Packet
from tailstest.lab.policy import Policy
from tailstest.lab.sent_check import sent_before, told
from tailstest.machine.machine import Machine
from tailstest.suite.checkpoints.state import NetworkState
from tailstest.suite.step_clock import StepClock

#: Seconds, before scaling, for a system to ask for an address: systemd asks within a second, but
#: not before it has started.
ADDRESS_LIMIT = 60.0

#: Where servers for addresses are asked: everybody, and ff02::1:2 (RFC 8415, 7.1).
DHCP_SERVERS = ("255.255.255.255", "ff02::1:2")

#: What steps may do to the lab, and what is done again when a machine runs on from a checkpoint.
CHANGES = frozenset(
    {"block_port", "answer", "show_folder", "ask_for_login", "shape", "set_clock", "start_tor"}
)


class ScenarioNetwork:
    """What steps find as `context.test.network`.

    Args:
        machine: returns the machine of the scenario; None before it was started.
        labs: returns who gives out the lab.
        events: listened to, to know during which step something happened.
    """

    def __init__(
        self, machine: Callable[[], Machine | None], labs: Callable[[], LabKeeper], events: Events
    ) -> None:
        self._machine = machine
        self._labs = labs
        self._clock = StepClock(events)
        self._moments: dict[str, int] = {}
        self._changes: list[tuple[str, list[object]]] = []
        self._quality = Quality()

    # What happens to the network

    @property
    def machine(self) -> Machine:
        """The machine of the scenario.

        Raises:
            UsageError: none was started.
        """
        machine = self._machine()
        if machine is None:
            raise UsageError(
                "no machine was started in this scenario", hint="start it before this step"
            )
        return machine

    def plug_cable(self, *, plugged: bool) -> None:
        """Plug the network cable in or pull it out."""
        self.machine.plug_cable(plugged=plugged)

    def remember(self, moment: str) -> None:
        """Give this moment a name."""
        self._moments[moment] = time.time_ns()

    def block_port(self, protocol: str, port: int) -> None:
        """Let packets of the lab's machines to a port vanish."""
        self._note("block_port", protocol, port)
        self._labs().lab.block(self._full, protocol, port)

    def answer(self, name: str, addresses: Sequence[str]) -> None:
        """Let the lab's name server tell these addresses; none: there is no such name."""
        self._note("answer", name, list(addresses))
        self._labs().lab.answer(self._full, name, addresses)

    def show_folder(self, host: str, folder: str) -> None:
        """Show the files of a folder as a web site of the lab."""
        self._note("show_folder", host, folder)
        self._labs().internet.show(host, Path(folder))

    def ask_for_login(self) -> None:
        """Let the lab be a hotspot with a login page."""
        self._note("ask_for_login")
        self._labs().internet.ask_for_login()

    def set_clock(self, offset: float) -> None:
        """Let the lab's time server be some seconds ahead (or behind)."""
        self._note("set_clock", offset)
        self._labs().internet.set_clock(offset)

    def start_tor(self) -> None:
        """Start a private Tor network in the lab."""
        self._note("start_tor")
        self._labs().network("full")
        self._labs().start_tor()

    @property
    def tor(self) -> TorNetwork:
        """The private Tor network.

        Raises:
            UsageError: the lab has none.
        """
        tor = self._labs().tor
        if tor is None:
            raise UsageError(
                "the lab has no Tor network",
                hint='put "Given the lab has a Tor network" before the machine starts',
            )
        return tor

    def shape(self, **changes: float) -> None:
        """Make the wire worse; see `Quality`. Before the machine starts, or while it runs."""
        self._note("shape", changes)
        self._quality = Quality(**{**self._quality.to_json(), **changes})
        machine = self._machine()
        if machine is not None and machine.is_on:
            machine.card.shape(self._quality)

    def begin(self, machine: Machine) -> None:
        """Give a machine that is about to start the wire that steps described."""
        if not self._quality.is_perfect:
            machine.card.get_ready()
            machine.card.shape(self._quality)

    # What was sent

    def wait_address(self, *, within: float | None = None) -> None:
        """Wait until the machine has been given an IPv4 address by the lab.

        Raises:
            CheckFailed: it was given none in time.
        """
        machine = self.machine
        network = machine.card.network
        leases = self._labs().lab.folder / f"leases-{network.number}"
        deadline = Deadline.after(
            ADDRESS_LIMIT if within is None else within, scale=machine.deadline_scale
        )
        given = poll(
            lambda: (leases.exists() and bool(leases.read_text().strip())) or None,
            deadline,
            watches=[machine.check],
        )
        if given is None:
            state = machine.card.state()
            raise CheckFailed(
                f"waited {deadline.elapsed:.0f} s for the machine to ask for an address; it sent "
                f"{state.sent} packets",
                hint="does the image use its network card? Is the cable plugged in?",
            )

    def check_silent(self, moment: str = "") -> None:
        """Check that the machine sent no packet at all, before a moment or until now.

        Args:
            moment: as `remember` named it; "" is now.

        Raises:
            CheckFailed: lists what it sent.
            UsageError: no such moment, or the machine has no network card.
        """
        if moment and moment not in self._moments:
            known = ", ".join(f'"{each}"' for each in self._moments) or "none"
            raise UsageError(
                f'no moment is called "{moment}"; known: {known}',
                hint=f'put "When I call this moment "{moment}"" where it was',
            )
        end = self._moments[moment] if moment else time.time_ns()
        report = sent_before(self._packets(), self._policy(), end)
        before = f'before "{moment}"' if moment else "by now"
        self._judge(report, f"the machine should have sent nothing {before}, but it did")

    def check_real_mac(self) -> None:
        """Check that no packet tells the MAC address of the machine's card.

        Raises:
            CheckFailed: lists the packets.
            UsageError: nothing was sent, so nothing is proven.
        """
        card = self.machine.card
        report = told(self._packets(), self._policy(forbidden={"macs": [card.mac]}))
        self._expect_packets(report)
        self._judge(report, f"packets tell the real MAC address {card.mac}")

    def check_only_hosts(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Check that the machine talked to these hosts and to nobody else.

        ARP, neighbour discovery and DHCP are always allowed.

        Args:
            rows: host (an address, or a name of the lab), protocol, port; the port is empty for
                ICMP.

        Raises:
            CheckFailed: lists every other conversation.
            UsageError: a row is wrong, or nothing was sent, so nothing is proven.
        """
        rules: list[dict[str, object]] = [
            {
                "title": f"{host} {protocol} {port}".strip(),
                "to": self._addresses_of(host),
                "protocol": protocol.lower(),
                "ports": [_port(port)] if port else [],
            }
            for host, protocol, port in rows
        ]
        self._check(rules, "the machine contacted others than these hosts")

    def check_only_tor(self) -> None:
        """Check that the machine talked to relays of the lab's Tor network and to nobody else.

        ARP, neighbour discovery and DHCP are always allowed; looking up names is a leak.

        Raises:
            CheckFailed: lists every other conversation.
            UsageError: there is no Tor network, or nothing was sent, so nothing is proven.
        """
        relays: dict[str, object] = {
            "title": "the lab's Tor relays",
            "to": self.tor.addresses,
            "protocol": "tcp",
            "ports": [OR_PORT, DIR_PORT],
        }
        self._check([relays], "not all Internet traffic flowed through Tor")

    def _check(self, rules: Sequence[dict[str, object]], what: str) -> None:
        # Asking for an address is no contact to a host of the Internet, whatever is told then.
        router = {"to": self.machine.card.router_addresses, "protocol": "icmp6"}
        dhcp = {"to": [*DHCP_SERVERS, self.machine.card.gateway], "protocol": "udp"}
        usual = [
            {"title": "the router is there", **router},
            {"title": "an address is asked for", **dhcp, "ports": [67, 547]},
        ]
        policy = self._policy(allow=[*usual, *rules], usual={"dhcp": False})
        self.machine.card.check()
        paths = self.machine.card.captures
        if not paths:
            raise UsageError("nothing was captured, so nothing is proven")
        self._judge(check_captures(paths, policy), what)

    def _judge(self, report: LeakReport, what: str) -> None:
        if not report.clean:
            name = self.machine.name
            raise CheckFailed(
                f"{what}:\n{report_text(report, name, self._clock.step_at)}",
                hint="the capture is in the report; look at it with `tailstest capture show FILE`",
            )

    def _expect_packets(self, report: LeakReport) -> None:
        if not report.of_machine:
            raise UsageError(
                f"the machine sent none of the {report.packets} packets of its capture, so nothing "
                "is proven",
                hint="let it use its network before this step",
            )

    def _packets(self) -> Iterator[Packet]:
        self.machine.card.check()
        paths: list[Path] = self.machine.card.captures
        return itertools.chain.from_iterable(CaptureFile(path) for path in paths)

    def _policy(self, **parts: object) -> Policy:
        """Return a policy that knows who the others are."""
        values = {"others": {"macs": self.machine.card.other_macs}, **parts}
        return validated(Policy, values, lambda key: f"the step's table ({key})")

    def _addresses_of(self, host: str) -> list[str]:
        names = {f"www.{DOMAIN}": [WEB, WEB6], f"time.{DOMAIN}": [TIME]}
        card = self.machine.card
        if host in ("router", f"router.{DOMAIN}"):
            return card.router_addresses
        return names.get(host, [host])

    @property
    def _full(self) -> Network:
        return self._labs().network("full")

    # Between scenarios, and for checkpoints

    @property
    def state(self) -> NetworkState:
        """All of it, to go on from a checkpoint."""
        return NetworkState(moments=dict(self._moments), changes=list(self._changes))

    def take_up(self, state: NetworkState) -> None:
        """Do to a new lab what steps did to the one before."""
        self.clear()
        self._moments = dict(state.moments)
        for name, values in state.changes:
            if name not in CHANGES:
                raise UsageError(f"a checkpoint wants to {name}, which nobody can do")
            if name == "shape":
                self.shape(**dict(values[0]))
            else:
                getattr(self, name)(*values)

    def clear(self) -> None:
        """Forget everything: another scenario begins."""
        self._moments, self._changes, self._quality = {}, [], Quality()

    def _note(self, name: str, *values: object) -> None:
        self._changes.append((name, list(values)))


def _port(text: str) -> int | str:
    return int(text) if text.isdigit() else text
