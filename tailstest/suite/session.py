"""What steps find on `context.test`: the image, the machine, and what acts on it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tailstest.core.errors import UsageError
from tailstest.core.events import Events, MachineUsed, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.input.keyboard import Keyboard
from tailstest.input.layout import Layout
from tailstest.input.pointer import Pointer
from tailstest.machine.boot_menu import boot_with_parameters
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.desktop import Desktop
from tailstest.machine.inside import Inside
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.machine import Machine
from tailstest.machine.profile import Profile
from tailstest.machine.saved_machine import MEMORY, MachineAtRest, SavedMachine
from tailstest.machine.system_state import SystemState
from tailstest.machine.tester import Tester
from tailstest.media.usb_stick import BUSES
from tailstest.screen.library import ReferenceLibrary
from tailstest.screen.screen import Screen
from tailstest.suite.checkpoints.state import CheckpointStale, SecretsState, SessionState
from tailstest.suite.film import Film
from tailstest.suite.frame_keeper import FrameKeeper
from tailstest.suite.image_choice import GivenImage, ImageChoice
from tailstest.suite.image_guard import ImageGuard
from tailstest.suite.inside_evidence import InsideEvidence
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.power_cuts import PowerCuts
from tailstest.suite.reach import Reach
from tailstest.suite.run_host import RunHost
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.secrets import Secrets
from tailstest.suite.shelf import Shelf
from tailstest.suite.sockets import Sockets

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
        keep_viewer: give machines a viewer socket (interactive mode).
        late_patch: what is changed in each guest; None changes nothing.
        workers: how many sessions share this host.
        given: images that stand for those of this host; see `ImageChoice`.
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
        late_patch: LatePatch | None = None,
        workers: int = 1,
        given: Mapping[str, GivenImage] | None = None,
    ) -> None:
        self.settings = settings
        self._events = events
        self._evidence = evidence
        self.suite = suite
        self._images = images
        self._frames = FrameKeeper(events, evidence)
        self._inside_evidence = InsideEvidence(events, evidence)
        self._keep_viewer = keep_viewer
        self._late_patch = late_patch or LatePatch((), events)
        self._host = RunHost(settings, events, evidence, workers)
        self.library = ReferenceLibrary.load(images)
        #: Which image a scenario boots.
        self.choice = ImageChoice(suite, images, image_under_test, given)
        self._layout = settings.keyboard_layout
        self._changes: dict[str, Any] = {}
        self._machine: Machine | None = None
        self._film: Film | None = None
        self._scenario = ""
        self._machines_made = 0
        self._reach = Reach(lambda: self.machine, self.choice, events, self._late_patch)
        #: Networks, and what was sent through them.
        self.network = ScenarioNetwork(
            lambda: self._machine, lambda: self._host.labs, events, self._reach.socket_owners
        )
        #: The media that steps make.
        self._guard = ImageGuard(self.choice.digests)
        self.shelf = Shelf(evidence, lambda: self._machine, self.choice.digests, self._guard)
        #: Where they are plugged in.
        self.sockets = Sockets(self.shelf, evidence, lambda: self._machine)
        parts: dict[str, Any] = {
            "inside": lambda: self.inside,
            "machine": lambda: self.machine,
            "shelf": self.shelf,
        }
        #: What is planted inside, and looked for in memory and media.
        self.secrets = Secrets(events, **parts)
        #: Power that fails while something is written.
        self.power_cuts = PowerCuts(events, **parts)

    @property
    def slowness(self) -> float:
        """Factor of the host's slowness on every deadline.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        return self._host.slowness

    # What steps use

    @property
    def machine(self) -> Machine:
        """The machine of this scenario.

        Raises:
            UsageError: none was started.
        """
        if self._machine is None:
            raise UsageError(
                "no machine was started in this scenario",
                hint='begin with steps such as: Given the image "grub-rescue" / '
                "And the machine starts from a DVD",
            )
        return self._machine

    @property
    def has_machine(self) -> bool:
        """Whether a machine was started in this scenario."""
        return self._machine is not None

    @property
    def scenario(self) -> str:
        """Name of the scenario."""
        return self._scenario

    @property
    def image(self) -> Path | None:
        """File that the machine of this scenario boots; None before one was chosen."""
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
        return self._reach.inside

    @property
    def system(self) -> SystemState:
        """The state of the system inside: units, journal, processes, memory."""
        return self._reach.system

    @property
    def desktop(self) -> Desktop:
        """Windows, buttons and fields by their names."""
        return self._reach.desktop

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
        if self._machine is not None:
            raise UsageError(
                "the machine is running already",
                hint="put the steps that describe it before the one that starts it",
            )
        self._changes |= changes

    def use_layout(self, layout: str) -> None:
        """Type as on a keyboard of this layout from now on.

        Raises:
            UsageError: there is no such layout.
        """
        self._layout = layout
        named = Layout.named(layout)
        if self._machine is not None:
            self._machine.keyboard.layout = named

    def start(self, medium: Literal["dvd", "usb"], *, stick: str | None = None) -> None:
        """Make the machine that was described, put the image in and switch it on.

        Args:
            stick: name of a stick on the shelf to boot from; the same machine may have run before.

        Raises:
            UsageError: no image was chosen, or a machine runs already.
            CheckFailed: the image cannot boot from such a medium.
            InfrastructureError: it cannot be started.
        """
        if stick is not None and self._machine is not None:
            self.sockets.start_again_from(stick)
            return
        self.define(medium=medium)
        path, profile = self.choice.chosen(), self.profile
        definition = (
            profile.definition(**self._changes) if profile else MachineDefinition(**self._changes)
        )
        definition = self._host.fitted(definition)
        self._host.claim_memory(definition)
        name = f"machine-{self._machines_made + 1}"
        disks = self.sockets.disks_to_start(definition, path, stick, name)
        self._late_patch.begin_machine(definition.channel)
        self._machines_made += 1
        bench = self._host.bench(self.library)
        machine = Machine(name, definition, disks, bench, viewer=self._keep_viewer)
        self._take(machine)
        self._events.publish(Noted(text=_sentence(path, machine, disks[0], self.suite)))
        self.network.begin(machine)
        machine.power_on()
        self._begin_film(machine)

    def boot_with_parameters(self, parameters: str) -> None:
        """Add parameters to the kernel command line at the boot menu, and boot.

        Raises:
            UsageError: the profile of the image does not say which boot menu it has.
            CheckFailed: the menu did not appear, or did not take them.
        """
        firmware = self.machine.definition.firmware
        kind = self.profile.boot_menu_on(firmware) if self.profile else "none"
        boot_with_parameters(
            self.machine,
            parameters,
            kind,
            within=self.settings.default_deadline * 4,
            shows=self.profile.boot_menu_text if self.profile else "",
        )
        text = f"added to the kernel command line: {parameters}"
        self._events.publish(Noted(text=text, level="warning"))

    # Checkpoints

    @property
    def state(self) -> SessionState | None:
        """All that steps have set up but the machine; None if that cannot be kept."""
        image, machine = self.choice.path, self._machine
        if image is None or machine is None or machine.state is not MachineState.RUNNING:
            return None
        return SessionState(
            wanted=self.choice.wanted,
            image=str(image),
            image_digest=self.choice.digests.of(image),
            changes=self._changes,
            layout=self._layout,
            inside=self._reach.state,
            shelf=self.shelf.state,
            network=self.network.state,
            secrets=self.secrets.state,
            cuts=self.power_cuts.copies,
        )

    def own(self, folder: Path) -> None:
        """Let a folder go when the run is over, however it ends."""
        self._host.own(folder)

    def rest(self, folder: Path) -> SavedMachine:
        """Stop the machine and write it into an empty folder; see `Machine.save`.

        Raises:
            MachineLost: it was stopped, and cannot run on.
            InfrastructureError: it cannot be saved, and runs on.
        """
        self._reach.withdraw()
        self.shelf.rest(folder)
        return self.machine.save(folder)

    def wake(self, state: SessionState, rest: MachineAtRest) -> None:
        """Take up the state of a checkpoint, and let its machine run on.

        Raises:
            CheckpointStale: the image is not the one that it was.
            InfrastructureError: the machine cannot run on.
        """
        image = self.choice.find(state.wanted)[0]
        if str(image) != state.image or self.choice.digests.of(image) != state.image_digest:
            raise CheckpointStale(f"{state.image} is not the image that it was")
        self._guard.watch(image)
        self.choice.choose(state.wanted)
        self._changes, self._layout = dict(state.changes), state.layout
        old, self._machine = self._machine, None
        if old is not None:
            old.close(keep_serial=False)
        self._host.claim_memory(rest.facts.definition)
        self.end_network()
        self._machines_made += 1
        machine = Machine(
            f"machine-{self._machines_made}",
            rest.facts.definition,
            (),
            self._host.bench(self.library),
            viewer=self._keep_viewer,
            rest=rest,
        )
        self._take(machine)
        self.network.take_up(state.network)
        self.network.begin(machine)
        self.shelf.take_up(state.shelf, rest.folder, machine.moved_disks)
        self.secrets.take_up(state.secrets)
        self.power_cuts.copies = {name: list(copies) for name, copies in state.cuts.items()}
        machine.allow_boot(self.choice.times.boot)
        machine.wake(rest.folder / MEMORY)
        self._reach.resume(state.inside)
        if self._film is None:
            self._begin_film(machine)
        else:
            self._film.follow(machine)

    def drop(self) -> None:
        """Take away a machine that did not run on from a checkpoint."""
        machine, self._machine = self._machine, None
        self._reach.forget()
        self.choice.forget()
        self._changes = {}
        self._clear_away()
        self._layout = self.settings.keyboard_layout
        if machine is not None:
            machine.close(keep_serial=False)
        self._host.release_memory()

    def _clear_away(self) -> None:
        self.shelf.clear()
        self.sockets.clear()
        self.end_network()
        self.secrets.take_up(SecretsState())
        self.power_cuts.copies = {}

    def _take(self, machine: Machine) -> None:
        self._machine = machine
        machine.allow_boot(self.choice.times.boot)
        machine.keyboard.layout = Layout.named(self._layout)
        parts = machine.definition
        self._events.publish(
            MachineUsed(machine=machine.name, firmware=parts.firmware, medium=parts.medium)
        )

    def _begin_film(self, machine: Machine) -> None:
        self._film = Film.of(machine, self._scenario, self.settings, self._events, self._evidence)

    # What the runner calls

    def begin_scenario(self, scenario_id: str, name: str) -> None:
        """Forget what the scenario before described."""
        self._scenario = name or scenario_id
        self.choice.forget()
        self._changes = {}
        self._clear_away()
        self._layout = self.settings.keyboard_layout

    def end_network(self) -> None:
        """Let the lab of the scenario go, and what steps remember of it."""
        self.network.clear()
        self._host.end_lab()

    def after_step(self, verdict: Verdict) -> None:
        """Keep a frame of the running machine."""
        reason = "step" if verdict is Verdict.PASSED else "failure"
        if self._machine is not None:
            overload = self._host.overload() if verdict in _TOO_LATE else ""
            if overload:
                self._events.publish(Noted(text=overload, level="warning"))
            self._frames.keep(self._machine, reason)
            if verdict is not Verdict.PASSED and self._machine.state is MachineState.RUNNING:
                self._reach.keep_evidence(self._inside_evidence)

    def end_scenario(self, verdict: Verdict) -> None:
        """Switch the machine off and keep what belongs to it, whatever happened before.

        Raises:
            ImageChanged: an image is not what it was when the machine got it.
        """
        machine = self._machine
        self._machine = None
        self._reach.forget()
        self._late_patch.end_machine()
        try:
            self.end_film(verdict)
        finally:
            if machine is not None:
                machine.close()
            self._host.release_memory()
            self.end_network()
            self._remove_disks()
            self._guard.end_scenario()

    def end_film(self, verdict: Verdict) -> None:
        """Stop filming before the scenario ends: what comes now is no part of it."""
        film, self._film = self._film, None
        if film is not None:
            film.end(keep=self._wants_video(verdict))

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
        image = self.choice.describe()
        return facts | {"image": image} if image else facts

    def reload_references(self) -> None:
        """Read reference images and profiles again, for interactive mode.

        A machine that runs stays what it is; who has its desktop, how things are found there and
        how long they may take are what the profile says now.

        Raises:
            UsageError: a profile is wrong; nothing has changed then.
        """
        library = ReferenceLibrary.load(self._images)
        self.choice.read_profiles_again()
        self.library = library
        if self._machine is not None:
            self._machine.screen.library = self.library
            self._machine.allow_boot(self.choice.times.boot)
        self._reach.read_profile_again()

    def _wants_video(self, verdict: Verdict) -> bool:
        wish = self.settings.video
        return wish == "always" or (wish == "failure" and verdict is not Verdict.PASSED)

    def _remove_disks(self) -> None:
        for kind in ("*.qcow2", "*.raw"):
            for file in (self._evidence.root / "disks").glob(kind):
                with contextlib.suppress(OSError):
                    file.unlink()


def _sentence(path: Path, machine: Machine, first: DiskValues, suite: Path) -> str:
    parts = machine.definition
    medium = "a DVD" if first.device == "cdrom" else BUSES[first.bus]
    with contextlib.suppress(ValueError):
        path = path.relative_to(suite)
    return (
        f"{path} on {medium}; {parts.firmware.upper()} machine, board {parts.chipset}, "
        f"{parts.cpus} CPUs, {parts.memory_mib} MiB"
    )
