"""What steps find on `context.test`: the image, the machine, and what acts on it."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any, Literal

from tailstest import __version__
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.host_report import HostReport, examine_host
from tailstest.input.keyboard import Keyboard
from tailstest.input.layout import Layout
from tailstest.input.pointer import Pointer
from tailstest.machine.bench import Bench
from tailstest.machine.boot_menu import boot_with_parameters
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.inside import Inside
from tailstest.machine.machine import Machine
from tailstest.machine.profile import Profile, find_image, load_profiles
from tailstest.machine.system_state import SystemState
from tailstest.machine.tester import Tester
from tailstest.media.boot_report import inspect_image
from tailstest.media.dvd import Dvd
from tailstest.media.image_file import digest_of
from tailstest.media.usb_stick import UsbStick
from tailstest.screen.library import ReferenceLibrary
from tailstest.screen.screen import Screen
from tailstest.suite.film import Film
from tailstest.suite.frame_keeper import FrameKeeper


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
    ) -> None:
        self.settings = settings
        self._events = events
        self._evidence = evidence
        self.suite = suite
        self._images = images
        self._frames = FrameKeeper(events, evidence)
        self._under_test = image_under_test
        self._keep_viewer = keep_viewer
        self._hypervisor: Hypervisor | None = None
        self._host: HostReport | None = None
        self.library = ReferenceLibrary.load(images)
        self.profiles = load_profiles(images)
        self._layout = settings.keyboard_layout
        self._image: tuple[Path, Profile | None] | None = None
        self._changes: dict[str, Any] = {}
        self._machine: Machine | None = None
        self._inside: Inside | None = None
        self._film: Film | None = None
        self._scenario = ""
        self._machines_made = 0

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
        machine = self.machine
        if self._inside is None:
            self._inside = Inside(
                lambda: machine.guest,
                deadline_scale=machine.deadline_scale,
                default_deadline=machine.default_deadline,
            )
        return self._inside

    @property
    def system(self) -> SystemState:
        """The state of the system inside: units, journal, processes, memory."""
        return SystemState(self.inside)

    def use_image(self, wanted: str | None) -> None:
        """Choose the image to boot.

        Args:
            wanted: name of a profile or a file; None is the image under test.

        Raises:
            UsageError, SetupError: there is none, or it cannot be used.
        """
        if wanted is None and self._under_test is None:
            raise UsageError(
                "this scenario needs an image under test, and none was given",
                hint="run it with: tailstest run --image FILE_OR_NAME",
            )
        self._image = find_image(wanted or self._under_test or "", self.profiles, self.suite)

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

    def start(self, medium: Literal["dvd", "usb"]) -> None:
        """Make the machine that was described, put the image in and switch it on.

        Raises:
            UsageError: no image was chosen, or a machine runs already.
            InfrastructureError: it cannot be started.
        """
        self.define(medium=medium)
        if self._image is None:
            self.use_image(None)
        assert self._image is not None
        path, profile = self._image
        definition = (
            profile.definition(**self._changes) if profile else MachineDefinition(**self._changes)
        )
        way = inspect_image(path).ways[definition.medium, definition.firmware]
        if not way.possible:
            kind = "a DVD" if definition.medium == "dvd" else "a USB stick"
            raise CheckFailed(
                f"{path} cannot boot from {kind} on a {definition.firmware.upper()} machine: "
                f"{way.reason}",
                hint=f"`tailstest image show {path}` shows all that it can boot from",
            )
        self._machines_made += 1
        bench = self._bench()
        name = f"machine-{self._machines_made}"
        if medium == "usb":
            overlay = self._evidence.path("disks", f"{name}-stick", ".qcow2")
            disk = UsbStick.of_image(path, overlay).disk()
        else:
            disk = Dvd(path).disk()
        machine = Machine(name, definition, disk, bench, viewer=self._keep_viewer)
        self._machine = machine
        machine.keyboard.layout = Layout.named(self._layout)
        self._events.publish(Noted(text=_sentence(path, machine, self.suite)))
        machine.power_on()
        self._film = Film.of(machine, self._scenario, self.settings, self._events, self._evidence)

    def boot_with_parameters(self, parameters: str) -> None:
        """Add parameters to the kernel command line at the boot menu, and boot.

        Raises:
            UsageError: the profile of the image does not say which boot menu it has.
            CheckFailed: the menu did not appear, or did not take them.
        """
        profile = self._image[1] if self._image else None
        kind = profile.boot_menu if profile else "none"
        boot_with_parameters(
            self.machine, parameters, kind, within=self.settings.default_deadline * 4
        )
        text = f"added to the kernel command line: {parameters}"
        self._events.publish(Noted(text=text, level="warning"))

    # What the runner calls

    def begin_scenario(self, scenario_id: str, name: str) -> None:
        """Forget what the scenario before described."""
        self._scenario = name or scenario_id
        self._image = None
        self._changes = {}
        self._layout = self.settings.keyboard_layout

    def after_step(self, verdict: Verdict) -> None:
        """Keep a frame of the running machine."""
        reason = "step" if verdict is Verdict.PASSED else "failure"
        if self._machine is not None:
            self._frames.keep(self._machine, reason)

    def end_scenario(self, verdict: Verdict) -> None:
        """Switch the machine off and keep what belongs to it, whatever happened before."""
        machine, film = self._machine, self._film
        self._machine = self._film = self._inside = None
        try:
            if film is not None:
                film.end(keep=self._wants_video(verdict))
        finally:
            if machine is not None:
                machine.close()
            self._remove_disks()

    def close(self) -> None:
        """End everything; may be called twice."""
        try:
            self.end_scenario(Verdict.NOT_RUN)
        finally:
            hypervisor, self._hypervisor = self._hypervisor, None
            if hypervisor is not None:
                hypervisor.close()

    def environment(self) -> dict[str, Any]:
        """Return what the report says about host, versions and image.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        host = self._examined()
        facts: dict[str, Any] = {
            "hostname": socket.gethostname(),
            "tailstest": __version__,
            "host": host.to_json(),
            "settings": self.settings.model_dump(),
        }
        if self._under_test is not None:
            path, profile = find_image(self._under_test, self.profiles, self.suite)
            facts["image"] = {
                "name": profile.name if profile else path.name,
                "path": str(path),
                "sha256": digest_of(path),
            }
        return facts

    def reload_references(self) -> None:
        """Read the reference images again, for interactive mode."""
        self.library = ReferenceLibrary.load(self._images)
        if self._machine is not None:
            self._machine.screen.library = self.library

    def _examined(self) -> HostReport:
        if self._host is None:
            self._host = examine_host(self.settings)
        return self._host

    def _bench(self) -> Bench:
        host = self._examined()
        if self._hypervisor is None:
            self._hypervisor = Hypervisor.open(self.settings, self._evidence.root)
        return Bench(
            hypervisor=self._hypervisor,
            host=host,
            settings=self.settings,
            events=self._events,
            evidence=self._evidence,
            library=self.library,
        )

    def _wants_video(self, verdict: Verdict) -> bool:
        wish = self.settings.video
        return wish == "always" or (wish == "failure" and verdict is not Verdict.PASSED)

    def _remove_disks(self) -> None:
        for file in (self._evidence.root / "disks").glob("*.qcow2"):
            with contextlib.suppress(OSError):
                file.unlink()


def _sentence(path: Path, machine: Machine, suite: Path) -> str:
    parts = machine.definition
    medium = "DVD" if parts.medium == "dvd" else "USB stick"
    with contextlib.suppress(ValueError):
        path = path.relative_to(suite)
    return (
        f"{path} on a {medium}; {parts.firmware.upper()} machine, board {parts.chipset}, "
        f"{parts.cpus} CPUs, {parts.memory_mib} MiB"
    )
