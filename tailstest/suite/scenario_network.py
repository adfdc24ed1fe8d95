"""The network of one scenario: its wire, its lab, and what steps do to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    """

    def __init__(
        self,
        machine: Callable[[], Machine | None],
        labs: Callable[[], LabKeeper],
        events: Events,
        owners: Callable[[], Mapping[tuple[str, int], str]] = dict,
    ) -> None:
        self._machine = machine
        self._labs = labs
        self._changes: list[tuple[str, list[object]]] = []
        self._quality = Quality()
        #: The servers of the lab.
        self.services = ScenarioServices(lambda: self.machine, labs, self._note)
        #: Who shares its network with the machine.
        self.neighbours = ScenarioNeighbours(lambda: self.machine, labs, self._note)
        #: What the machine sent.
        self.traffic = ScenarioTraffic(
            lambda: self.machine, lambda: self.services.tor, StepClock(events), owners
        )

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
        self._quality = Quality(**{**self._quality.to_json(), **changes})
        machine = self._machine()
        if machine is not None and machine.is_on:
            machine.card.shape(self._quality)

    def begin(self, machine: Machine) -> None:
        """Give a machine that is about to start the wire that steps described."""
        if not self._quality.is_perfect:
            machine.card.get_ready()
            machine.card.shape(self._quality)

    def wait_address(self, *, within: float | None = None) -> None:
        """Wait until the machine has been given an IPv4 address by the lab.

        Raises:
            CheckFailed: it was given none in time.
        """
        machine = self.machine
        network = machine.card.network
        folder = self._labs().lab.folder
        deadline = Deadline.after(
            ADDRESS_LIMIT if within is None else within, scale=machine.deadline_scale
        )
        given = poll(
            lambda: given_out(network, folder) or None,
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
        self.traffic.moments, self._changes, self._quality = {}, [], Quality()

    def _note(self, name: str, *values: object) -> None:
        self._changes.append((name, list(values)))
