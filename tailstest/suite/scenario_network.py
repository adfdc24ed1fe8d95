"""The network of one scenario: its wire, its lab, and what steps do to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events
from tailstest.lab.network.addressing import given_out
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.quality import Quality
from tailstest.machine.machine import Machine
from tailstest.suite.checkpoints.state import NetworkState
from tailstest.suite.scenario_neighbours import ScenarioNeighbours
from tailstest.suite.scenario_services import ScenarioServices
from tailstest.suite.scenario_traffic import ScenarioTraffic
from tailstest.suite.step_clock import StepClock
from tailstest.suite.suite_files import SuiteFiles

#: Seconds, before scaling, for a system to ask for an address: systemd asks within a second, but
#: not before it has started.
ADDRESS_LIMIT = 60.0


class ScenarioNetwork:
    """What steps find as `context.test.network`.

    Args:
        machine: returns the machine of the scenario; None before it was started.
        labs: returns who gives out the lab.
        events: listened to, to know during which step something happened.
        owners: says which program inside has which socket open.
        files: told which files of the suite were used.
        called: returns what steps call the machine.
    """

    def __init__(
        self,
        machine: Callable[[], Machine | None],
        labs: Callable[[], LabKeeper],
        events: Events,
        owners: Callable[[], Mapping[tuple[str, int], str]] = dict,
        *,
        files: SuiteFiles,
        called: Callable[[], str] = str,
    ) -> None:
        self._machine = machine
        self._called = called
        self._labs = labs
        self._changes: list[tuple[str, list[object]]] = []
        self._qualities: dict[str, Quality] = {}
        #: The servers of the lab.
        self.services = ScenarioServices(lambda: self.machine, labs, self._note, files)
        #: Who shares its network with the machine.
        self.neighbours = ScenarioNeighbours(
            lambda: self.machine, labs, self._note, lambda: not self._quality.is_perfect
        )
        #: What the machine sent.
        self.traffic = ScenarioTraffic(
            lambda: self.machine, lambda: self.services.tor, StepClock(events), owners, files
        )

    @property
    def _quality(self) -> Quality:
        """How good the wire of the machine is."""
        return self._qualities.get(self._called(), Quality())

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

    def block_port(self, protocol: str, port: int) -> None:
        """Let packets of the lab's machines to a port vanish."""
        self._note("block_port", protocol, port)
        self._labs().lab.block(self._labs().network("full"), protocol, port)

    def shape(self, **changes: float) -> None:
        """Make the wire worse; see `Quality`. Before the machine starts, or while it runs."""
        self._note("shape", changes)
        quality = Quality(**{**self._quality.to_json(), **changes})
        self._qualities[self._called()] = quality
        machine = self._machine()
        if machine is not None and machine.is_on:
            machine.card.shape(quality)

    def begin(self, machine: Machine) -> None:
        """Give a machine that is about to start the wire that steps described."""
        if not self._quality.is_perfect:
            machine.card.get_ready()
            machine.card.shape(self._quality)

    def wait_address(self, *, within: float | None = None) -> None:
        """Wait until the machine has been given an IPv4 address by the lab.

        Since its last start or restart, and since its cable was pulled out: one of before counts
        when the lab acknowledges it anew.

        Raises:
            CheckFailed: it was given none in time.
            UsageError, MachineStopped: it is off.
        """
        machine = self.machine
        card, network = machine.card, machine.card.network
        folder = self._labs().lab.folder

        def given() -> list[str]:
            since, others = card.no_address_before, card.other_macs
            return given_out(network, folder, since=since, others=others)

        deadline = Deadline.after(
            ADDRESS_LIMIT if within is None else within, scale=machine.deadline_scale
        )
        found = poll(lambda: (machine.is_on and given()) or None, deadline, watches=[machine.check])
        if found is None:
            self._no_address(given_out(network, folder, others=card.other_macs), deadline)

    def _no_address(self, old: list[str], deadline: Deadline) -> NoReturn:
        said = (
            f"waited {deadline.elapsed:.0f} s for the machine to ask for an address; it sent "
            f"{self.machine.card.state().sent} packets"
        )
        if old:
            raise CheckFailed(
                f"{said}, and {', '.join(old)} was given out before it was last started, or its "
                "cable pulled out",
                hint="does the image renew its address when it starts, and when its cable is "
                "plugged in again? Is the cable plugged in?",
            )
        raise CheckFailed(
            said, hint="does the image use its network card? Is the cable plugged in?"
        )

    # Between scenarios, and for checkpoints

    @property
    def state(self) -> NetworkState:
        """All of it, to go on from a checkpoint."""
        return NetworkState(moments=dict(self.traffic.moments), changes=list(self._changes))

    def take_up(self, state: NetworkState) -> None:
        """Do to a new lab what steps did to the one before."""
        self.clear()
        self.traffic.moments = dict(state.moments)
        for name, values in state.changes:
            if name == "shape":
                self.shape(**dict(values[0]))
            elif name == "block_port":
                self.block_port(*values)
            elif name == "add_neighbour":
                self.neighbours.add_neighbour(*values)
            else:
                self.services.change(name, values)

    def clear(self) -> None:
        """Forget everything: another scenario begins."""
        self.traffic.moments, self._changes, self._qualities = {}, [], {}

    def _note(self, name: str, *values: object) -> None:
        self._changes.append((name, list(values)))
