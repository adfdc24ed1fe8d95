"""Putting the machine of a scenario to rest in a checkpoint, and taking it up again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tailstest.machine.lifecycle import MachineState
from tailstest.machine.saved_machine import MEMORY, MachineAtRest, MachineLost, SavedMachine
from tailstest.suite.checkpoints.state import (
    CheckpointStale,
    NetworkState,
    SecretsState,
    SessionState,
)
from tailstest.suite.image_catalogue import ImageCatalogue
from tailstest.suite.image_guard import ImageGuard
from tailstest.suite.power_cuts import PowerCuts
from tailstest.suite.run_host import RunHost
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.shelf import Shelf
from tailstest.suite.stations import Stations
from tailstest.suite.suite_files import SuiteFiles


class Resting:
    """What steps have set up in a scenario, as a whole; see `checkpoints.restable`.

    Args:
        stations: of the scenario; only one machine alone can be put to rest.
        catalogue: finds images.
        files: what steps took from the suite.
        shelf: the media.
        network: what steps did to it.
        power_cuts: copies of media.
        guard: watches that images do not change.
        host: what machines stand on.
        end_network: lets the lab go, and what steps remember of it.
        clear_away: forgets what steps have set up, but the machine.
    """

    def __init__(
        self,
        stations: Stations,
        *,
        catalogue: ImageCatalogue,
        files: SuiteFiles,
        shelf: Shelf,
        network: ScenarioNetwork,
        power_cuts: PowerCuts,
        guard: ImageGuard,
        host: RunHost,
        end_network: Callable[[], None],
        clear_away: Callable[[], None],
    ) -> None:
        self._stations = stations
        self._catalogue = catalogue
        self._files = files
        self._shelf = shelf
        self._network = network
        self._power_cuts = power_cuts
        self._guard = guard
        self._host = host
        self._end_network = end_network
        self._clear_away = clear_away

    @property
    def is_bare(self) -> bool:
        """Whether nothing has been set up in this scenario yet, by a hook for example."""
        station = self._stations.current
        return (
            self._stations.are_one
            and station.is_bare
            and not (self._shelf.names or self._power_cuts.copies)
            and self._network.state == NetworkState()
            and station.secrets.state == SecretsState()
        )

    @property
    def state(self) -> SessionState | None:
        """All that steps have set up but the machine; None if that cannot be kept.

        Several machines cannot: each would run on at another time. Nor one that restarts: who waits
        for that would wait for another one. Nor one whose screen a step remembers, which few do.
        Nor one with a wrong clock if nobody has been inside, who could tell what it says by now.

        Raises:
            TailstestError: the inside does not tell what has to be known.
        """
        station = self._stations.current
        image, machine = station.choice.path, station.machine
        if image is None or machine is None or machine.state is not MachineState.RUNNING:
            return None
        if not machine.is_settled or machine.tester.remembers:
            return None
        if not self._stations.are_one or not self._files.are_as_used:
            return None
        if machine.definition.clock_ahead and station.reach.state is None:
            return None
        return SessionState(
            wanted=station.choice.wanted,
            image=self._files.name_of(image),
            image_digest=self._catalogue.digests.of(image),
            changes=station.changes,
            layout=station.layout,
            inside=station.reach.state,
            shelf=self._shelf.state,
            network=self._network.state,
            secrets=station.secrets.state,
            cuts=self._power_cuts.copies,
            places=self._files.places_of([image, *self._shelf.images]),
            files=self._files.used,
        )

    def own(self, folder: Path) -> None:
        """Let a folder go when the run is over, however it ends."""
        self._host.own(folder)

    def rest(self, folder: Path) -> SavedMachine:
        """Stop the machine and write it into an empty folder; see `Machine.save`.

        Raises:
            MachineLost: it was stopped, and cannot run on.
            TailstestError: it cannot be saved, and runs on.
        """
        station = self._stations.current
        station.reach.withdraw()
        self._shelf.rest(folder)
        try:
            saved = station.needed_machine.save(folder)
        except MachineLost:
            station.reach.forget()
            raise
        # Only now: where nothing was saved, the machine runs on, and later steps ask for what the
        # last command wrote.
        station.reach.forget()
        return saved

    def wake(self, state: SessionState, rest: MachineAtRest) -> None:
        """Take up the state of a checkpoint, and let its machine run on.

        Raises:
            CheckpointStale: the image, or a file of the suite that a step used, is not the one that
                it was.
            InfrastructureError: the machine cannot run on.
        """
        station = self._stations.current
        image = self._catalogue.find(state.wanted)[0]
        is_same = self._files.name_of(image) == state.image
        if not is_same or self._catalogue.digests.of(image) != state.image_digest:
            raise CheckpointStale(f"{state.image} is not the image that it was")
        self._files.take_up(state.files)
        images = self._files.moved(state.places)
        self._guard.watch(image)
        station.choice.choose(state.wanted)
        station.changes, station.layout = dict(state.changes), state.layout
        station.put_away()
        self._end_network()
        machine = station.put_to_wake(replace(rest, images=images))
        self._network.take_up(state.network)
        self._network.begin(machine)
        self._shelf.take_up(state.shelf, rest.folder, machine.moved_disks, images)
        station.secrets.take_up(state.secrets)
        self._power_cuts.copies = {name: list(copies) for name, copies in state.cuts.items()}
        machine.allow_boot(station.choice.times.boot)
        machine.wake(rest.folder / MEMORY)
        station.reach.resume(state.inside)
        station.go_on(machine)

    def drop(self) -> None:
        """Take away a machine that did not run on from a checkpoint."""
        station = self._stations.current
        self._clear_away()
        station.put_away()
        self._host.release_memory(station.name)
