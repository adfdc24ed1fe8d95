"""What steps find on `context.test`: the image, the machines, and what acts on them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tailstest.core.events import Events, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.input.keyboard import Keyboard
from tailstest.input.pointer import Pointer
from tailstest.machine.desktop import Desktop
from tailstest.machine.inside import Inside
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.machine import Machine
from tailstest.machine.network_card import NetworkCard
from tailstest.machine.profile import Profile
from tailstest.machine.system_state import SystemState
from tailstest.machine.tester import Tester
from tailstest.screen.library import ReferenceLibrary
from tailstest.screen.screen import Screen
from tailstest.suite.frame_keeper import FrameKeeper
from tailstest.suite.image_catalogue import GivenImage, ImageCatalogue
from tailstest.suite.image_choice import ImageChoice
from tailstest.suite.image_guard import ImageGuard
from tailstest.suite.inside_evidence import InsideEvidence
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.needs import Needs
from tailstest.suite.power_cuts import PowerCuts
from tailstest.suite.resting import Resting
from tailstest.suite.run_host import RunHost
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.secrets import Secrets
from tailstest.suite.shelf import Shelf
from tailstest.suite.sockets import Sockets
from tailstest.suite.station import Station, Surroundings
from tailstest.suite.stations import Stations
from tailstest.suite.suite_files import SuiteFiles

#: Verdicts that patience might have changed.
_TOO_LATE = (Verdict.FAILED, Verdict.INCOMPLETE)


class Session:
    """One run's machines, one scenario at a time.

    Args:
        settings: of the run.
        events: told about everything.
        evidence: file names in the run's folder.
        suite: folder of the suite; files named by steps are relative to it.
        images: folders with profiles and reference images.
        image_under_test: what `--image` said; None if it was not given.
        keep_viewer: give machines a viewer socket.
        is_interactive: whether a person may change steps while machines run.
        late_patch: what is changed in each guest; None changes nothing.
        workers: how many sessions share this host.
        given: images that stand for those of this host; see `ImageCatalogue`.
        needs: returns what a scenario needs of the host, by its id.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        events: Events,
        evidence: EvidenceFolder,
        suite: Path,
        images: list[Path],
        image_under_test: str | None = None,
        keep_viewer: bool = False,
        is_interactive: bool = False,
        late_patch: LatePatch | None = None,
        workers: int = 1,
        given: Mapping[str, GivenImage] | None = None,
        needs: Callable[[str], Needs] = lambda _scenario: Needs(),
    ) -> None:
        self.settings = settings
        self.suite = suite
        self._events = events
        self._images = images
        self._needs = needs
        self._frames = FrameKeeper(events, evidence)
        self._inside_evidence = InsideEvidence(events, evidence)
        self._host = RunHost(settings, events, evidence, workers)
        #: Finds images.
        self.catalogue = ImageCatalogue(suite, images, image_under_test, given)
        #: What steps took from the suite.
        self.files = SuiteFiles(suite, self.catalogue.digests)
        self._around = Surroundings(
            settings=settings,
            events=events,
            evidence=evidence,
            suite=suite,
            host=self._host,
            catalogue=self.catalogue,
            late_patch=late_patch or LatePatch((), events),
            files=self.files,
            library=ReferenceLibrary.load(images),
            has_viewer=keep_viewer,
            is_interactive=is_interactive,
        )
        self._guard = ImageGuard(self.catalogue.digests)
        #: The media that steps make.
        self.shelf = Shelf(
            self._host.media,
            lambda: self.stations.machines,
            self.catalogue.digests,
            self._guard,
            self.files,
            called=lambda: self.station.name,
        )
        #: The places of the machines.
        self.stations = Stations(self._new_station)
        #: Networks, and what was sent through them.
        self.network = ScenarioNetwork(
            lambda: self.station.machine,
            lambda: self._host.labs,
            events,
            lambda: self.station.reach.socket_owners(),
            files=self.files,
            called=lambda: self.station.name,
        )
        #: Power that fails while something is written.
        self.power_cuts = PowerCuts(
            events,
            inside=lambda: self.inside,
            machine=lambda: self.machine,
            shelf=self.shelf,
        )
        #: What checkpoints save and take up.
        self.resting = Resting(
            self.stations,
            catalogue=self.catalogue,
            files=self.files,
            shelf=self.shelf,
            network=self.network,
            power_cuts=self.power_cuts,
            guard=self._guard,
            host=self._host,
            end_network=self.end_network,
            clear_away=self._clear_away,
        )

    def _new_station(self, name: str) -> Station:
        return Station(name, self._around, self.shelf, lambda: self.stations.macs)

    @property
    def slowness(self) -> float:
        """Factor of the host's slowness on every deadline.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        return self._host.slowness

    # What steps use

    @property
    def station(self) -> Station:
        """The place of the machine that steps are about."""
        return self.stations.current

    @property
    def called(self) -> str:
        """What steps call the machine that they are about."""
        return self.station.name

    @property
    def machine(self) -> Machine:
        """The machine that steps are about.

        Raises:
            UsageError: none was started.
        """
        return self.station.needed_machine

    @property
    def has_machine(self) -> bool:
        """Whether the machine that steps are about was started in this scenario."""
        return self.station.machine is not None

    @property
    def scenario(self) -> str:
        """Name of the scenario."""
        return self._around.scenario

    @property
    def library(self) -> ReferenceLibrary:
        """The reference images."""
        return self._around.library

    @property
    def choice(self) -> ImageChoice:
        """Which image the machine boots."""
        return self.station.choice

    @property
    def image(self) -> Path | None:
        """File that the machine boots; None before one was chosen."""
        return self.choice.path

    @property
    def profile(self) -> Profile | None:
        """What is known about the family of that image; None if it has no profile."""
        return self.choice.profile

    @property
    def screen(self) -> Screen:
        """The screen of the machine."""
        return self.machine.screen

    @property
    def keyboard(self) -> Keyboard:
        """The keyboard of the machine."""
        return self.machine.keyboard

    @property
    def pointer(self) -> Pointer:
        """The pointer of the machine."""
        return self.machine.pointer

    @property
    def tester(self) -> Tester:
        """Eyes and hands together: look, then click or press."""
        return self.machine.tester

    @property
    def inside(self) -> Inside:
        """The inside of the machine: commands and files."""
        return self.station.reach.inside

    @property
    def system(self) -> SystemState:
        """The state of the system inside: units, journal, processes, memory."""
        return self.station.reach.system

    @property
    def desktop(self) -> Desktop:
        """Windows, buttons and fields by their names."""
        return self.station.reach.desktop

    @property
    def sockets(self) -> Sockets:
        """Where media are plugged in."""
        return self.station.sockets

    @property
    def secrets(self) -> Secrets:
        """What is planted inside, and looked for in memory and media."""
        return self.station.secrets

    def use_image(self, wanted: str | None) -> None:
        """Choose the image to boot.

        Args:
            wanted: name of a profile or a file; None is the image under test.

        Raises:
            UsageError, SetupError: there is none, or it cannot be used.
        """
        self.choice.choose(wanted)

    def define(self, **changes: Any) -> None:
        """Change parts of the machine that will be started; see `MachineDefinition`.

        Raises:
            UsageError: the machine runs already.
        """
        self.station.define(**changes)

    def use_layout(self, layout: str) -> None:
        """Type as on a keyboard of this layout from now on.

        Raises:
            UsageError: there is no such layout.
        """
        self.station.use_layout(layout)

    def start(self, medium: Literal["dvd", "usb"], *, stick: str | None = None) -> None:
        """Make the machine that was described, put the image in and switch it on.

        Args:
            stick: name of a stick on the shelf to boot from; the same machine may have run before.

        Raises:
            UsageError: no image was chosen, or a machine runs already.
            CheckFailed: the image cannot boot from such a medium.
            InfrastructureError: it cannot be started.
        """
        self.station.start(medium, stick, self.network.begin)

    def add_machine(self, name: str) -> None:
        """Let another machine join; what steps say from now on is about it.

        Raises:
            UsageError: one is called so already, or it is no name.
        """
        self.stations.add(name)
        self._events.publish(Noted(text=f'another machine: "{name}"'))

    def turn_to_a_machine(self) -> None:
        """Turn to a machine that was started, if the present one was not and there is one."""
        self.stations.turn_to_a_machine()

    def turn_to(self, name: str) -> None:
        """Let what steps say from now on be about a machine.

        Raises:
            UsageError: none is called so; says which there are.
        """
        self.stations.turn_to(name)

    def _clear_away(self) -> None:
        """Forget what steps have set up, but the machine."""
        self.stations.clear()
        self.files.clear()
        self.shelf.clear()
        self.end_network()
        self.power_cuts.copies = {}

    # What the runner calls

    def begin_scenario(self, scenario_id: str, name: str) -> None:
        """Forget what the scenario before described."""
        self._around.scenario = name or scenario_id
        self._clear_away()
        needs = self._needs(scenario_id)
        self._around.searches_memory = needs.memory_search
        self._host.begin_scenario(needs.guests)

    def end_network(self) -> None:
        """Let the lab of the scenario go, and what steps remember of it."""
        self.network.clear()
        self._host.end_lab()

    def check(self) -> None:
        """Raise if packets are no longer carried and kept as they should be; takes no time.

        Most steps do not wait, and would pass or fail for the wrong reason.

        Raises:
            InfrastructureError: names the server of the lab that died, or the capture that is full.
        """
        self._check_network(self._cards)

    @property
    def _cards(self) -> list[NetworkCard]:
        return [each.card for each in self.stations.machines if each.has_card]

    def _check_network(self, cards: Sequence[NetworkCard]) -> None:
        self._host.check_lab()
        for card in cards:
            card.check()

    def after_step(self, verdict: Verdict, *, hurry: bool = False) -> None:
        """Keep a frame of the machine that steps are about; after a failure, of all.

        Args:
            hurry: somebody ends the run; nothing is asked of the guest, which may answer slowly.
        """
        is_good = verdict is Verdict.PASSED
        is_late = verdict in _TOO_LATE and bool(self.stations.machines)
        if is_late and (overload := self._host.overload()):
            self._events.publish(Noted(text=overload, level="warning"))
        for station in [self.station] if is_good else self.stations.with_current_last:
            if station.machine is None:
                continue
            self._frames.keep(station.machine, "step" if is_good else "failure")
            if not (is_good or hurry) and station.machine.state is MachineState.RUNNING:
                station.reach.keep_evidence(self._inside_evidence)

    def end_scenario(self, verdict: Verdict) -> None:
        """Switch the machines off and keep what belongs to them, whatever happened before.

        Raises:
            ImageChanged: an image is not what it was when the machine got it.
            InfrastructureError: the lab lost a server, or a capture was full, before the machines
                were off.
        """
        with contextlib.ExitStack() as last:
            last.callback(self._guard.end_scenario)
            last.callback(self._host.media.clear)
            last.callback(self.end_network)
            if verdict is not Verdict.NOT_RUN:  # a scenario that is over has its verdict
                last.callback(self._check_network, self._cards)
            for station in self.stations:
                last.callback(station.end, verdict)

    def end_film(self, verdict: Verdict) -> None:
        """Stop filming before the scenario ends: what comes now is no part of it."""
        for station in self.stations:
            station.end_film(verdict)

    def close(self) -> None:
        """End everything; may be called twice."""
        try:
            self.end_scenario(Verdict.NOT_RUN)
        finally:
            self._host.close()

    def environment(self, host: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the report says about host, versions and image.

        Args:
            host: where machines will run; this host if None.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        facts = self._host.describe(host)
        image = self.catalogue.describe()
        return facts | {"image": image} if image else facts

    def keep_from_inside(self, path: str) -> None:
        """Keep a file of the system in the machine for the report.

        Raises:
            UsageError: there is no machine, or no way into it.
            CheckFailed: there is no such file, or it is too large.
            InfrastructureError: it cannot be kept.
        """
        self._inside_evidence.keep_file(self.inside, path)

    def reload_references(self) -> None:
        """Read reference images and profiles again, for interactive mode.

        A machine that runs stays what it is; who has its desktop, how things are found there and
        how long they may take are what the profile says now.

        Raises:
            UsageError: a profile is wrong; nothing has changed then.
        """
        library = ReferenceLibrary.load(self._images)
        self.catalogue.read_profiles_again()
        self._around.library = library
        for station in self.stations:
            station.read_profile_again()
