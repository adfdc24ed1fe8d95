"""One machine of a scenario, and what steps have said about it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tailstest.core.errors import UsageError
from tailstest.core.events import Events, MachineUsed, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.input.layout import Layout
from tailstest.machine.boot_menu import boot_default_entry, boot_with_parameters
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.machine import Machine
from tailstest.machine.saved_machine import MachineAtRest
from tailstest.media.usb_stick import BUSES
from tailstest.screen.library import ReferenceLibrary
from tailstest.suite.film import Film
from tailstest.suite.fitting import FIRST
from tailstest.suite.image_catalogue import ImageCatalogue
from tailstest.suite.image_choice import ImageChoice
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.reach import Reach
from tailstest.suite.run_host import RunHost
from tailstest.suite.secrets import Secrets
from tailstest.suite.shelf import Shelf
from tailstest.suite.sockets import Sockets
from tailstest.suite.suite_files import SuiteFiles


@dataclass
class Surroundings:
    """What all machines of a run have in common.

    Attributes:
        settings: of the run.
        events: told about everything.
        evidence: file names in the run's folder.
        suite: folder of the suite.
        host: what machines stand on.
        catalogue: finds images.
        late_patch: what is changed in each guest.
        files: what steps took from the suite.
        library: reference images.
        has_viewer: whether machines have a viewer socket.
        is_interactive: whether a person may change steps while machines run.
        scenario: name of the present one.
        searches_memory: whether its steps search the memory of a machine.
        numbers: of machines.
    """

    settings: Settings
    events: Events
    evidence: EvidenceFolder
    suite: Path
    host: RunHost
    catalogue: ImageCatalogue
    late_patch: LatePatch
    files: SuiteFiles
    library: ReferenceLibrary
    has_viewer: bool = False
    is_interactive: bool = False
    scenario: str = ""
    searches_memory: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class Station:
    """The place of one machine: it may have been described, started, or have ended.

    Args:
        name: what steps call it.
        around: what it has in common with others.
        shelf: the media of the scenario.
        taken: returns the MAC addresses that other machines of the scenario have.

    Attributes:
        choice: which image it boots.
        changes: parts of the machine that steps described.
        layout: of the keyboard that is typed on.
        machine: None before it was started.
        film: of its screen.
        reach: the way to its inside.
        sockets: where media are plugged in.
        secrets: what is planted inside, and looked for in its memory and in media.
    """

    def __init__(
        self,
        name: str,
        around: Surroundings,
        shelf: Shelf,
        taken: Callable[[], set[str]] = set,
    ) -> None:
        self.name = name
        self._around = around
        self._taken = taken
        self.choice = ImageChoice(around.catalogue)
        self.changes: dict[str, Any] = {}
        self.layout = around.settings.keyboard_layout
        self.machine: Machine | None = None
        self.film: Film | None = None
        self.reach = Reach(
            lambda: self.needed_machine,
            self.choice,
            around.events,
            around.late_patch,
            around.files,
        )
        self.sockets = Sockets(shelf, around.host.media, lambda: self.machine)
        self.secrets = Secrets(
            around.events,
            inside=lambda: self.reach.inside,
            machine=lambda: self.needed_machine,
            shelf=shelf,
        )

    @property
    def needed_machine(self) -> Machine:
        """The machine.

        Raises:
            UsageError: none was started.
        """
        if self.machine is None:
            raise UsageError(
                "no machine was started in this scenario",
                hint='begin with steps such as: Given the image "grub-rescue" / '
                "And the machine starts from a DVD",
            )
        return self.machine

    @property
    def is_bare(self) -> bool:
        """Whether no step has said anything about it."""
        return (
            self.machine is None
            and self.choice.path is None
            and not self.changes
            and self.layout == self._around.settings.keyboard_layout
        )

    def define(self, **changes: Any) -> None:
        """Change parts of the machine that will be started; see `MachineDefinition`.

        Raises:
            UsageError: the machine runs already.
        """
        if self.machine is not None:
            raise UsageError(
                "the machine is running already",
                hint="put the steps that describe it before the one that starts it",
            )
        self.changes |= changes

    def use_layout(self, layout: str) -> None:
        """Type as on a keyboard of this layout from now on.

        Raises:
            UsageError: there is no such layout.
        """
        self.layout = layout
        named = Layout.named(layout)
        if self.machine is not None:
            self.machine.keyboard.layout = named

    def start(
        self,
        medium: Literal["dvd", "usb"],
        stick: str | None,
        before: Callable[[Machine], None],
    ) -> None:
        """Make the machine that was described, put the image in and switch it on.

        Args:
            stick: name of a stick on the shelf to boot from; the same machine may have run before.
            before: called with the machine before it is switched on.

        Raises:
            UsageError: no image was chosen, or a machine runs already.
            CheckFailed: the image cannot boot from such a medium.
            InfrastructureError: it cannot be started.
        """
        if stick is not None and self.machine is not None:
            self.sockets.start_again_from(stick)
            return
        self.define(medium=medium)
        around = self._around
        path = self.choice.chosen()
        definition = around.host.fitted(self._definition())
        around.host.claim_memory(definition, self.name)
        name = self._new_name()
        disks = self.sockets.disks_to_start(definition, path, stick, name)
        around.late_patch.begin_machine(definition.channel, name)
        machine = self._made(name, definition, disks)
        around.events.publish(Noted(text=self._sentence(path, machine, disks[0])))
        before(machine)
        machine.power_on()
        self._begin_film(machine)

    def _definition(self) -> MachineDefinition:
        profile = self.choice.profile
        found = profile.definition(**self.changes) if profile else MachineDefinition(**self.changes)
        # A step that is changed at the prompt may be one that searches it.
        if self._around.searches_memory or self._around.is_interactive:
            found = found.model_copy(update={"searchable_memory": True})
        taken = self._taken()
        if "mac" in self.changes or found.mac not in taken:
            return found
        head, last = found.mac[:-2], int(found.mac[-2:], 16)
        others = (f"{head}{(last + step) % 256:02x}" for step in range(1, 256))
        return found.model_copy(update={"mac": next(each for each in others if each not in taken)})

    def boot_with_parameters(self, parameters: str) -> None:
        """Add parameters to the kernel command line at the boot menu, and boot.

        Raises:
            UsageError: the profile of the image does not say which boot menu it has.
            CheckFailed: the menu did not appear, or did not take them.
        """
        menu, shows = self._boot_menu()
        boot_with_parameters(
            self.needed_machine,
            parameters,
            menu,
            within=self._around.settings.default_deadline * 4,
            shows=shows,
        )
        text = f"added to the kernel command line: {parameters}"
        self._around.events.publish(Noted(text=text, level="warning"))

    def boot_default_entry(self) -> None:
        """Boot what the boot menu boots by itself, but at once.

        Raises:
            UsageError: the profile of the image does not say which boot menu it has.
            CheckFailed: the menu did not appear, or stayed.
        """
        menu, shows = self._boot_menu()
        boot_default_entry(self.needed_machine, menu, shows=shows)

    def _boot_menu(self) -> tuple[str, str]:
        """Return its kind, and a text that it shows, or "" if it has one that is usual."""
        profile = self.choice.profile
        if profile is None:
            return "none", ""
        firmware = self.needed_machine.definition.firmware
        return profile.boot_menu_on(firmware), profile.boot_menu_text

    # With checkpoints

    def put_to_wake(self, rest: MachineAtRest) -> Machine:
        """Make the machine of a checkpoint, which takes the place of the present one.

        Raises:
            InfrastructureError: it cannot be made.
        """
        self.put_away()
        definition = rest.facts.definition
        self._around.host.claim_memory(definition, self.name)
        return self._made(self._new_name(), definition, (), rest)

    def go_on(self, machine: Machine) -> None:
        """Film a machine that runs on from a checkpoint."""
        if self.film is None:
            self._begin_film(machine)
        else:
            self.film.follow(machine)

    def put_away(self) -> None:
        """End the machine without a word: it was saved, or did not run on."""
        machine, self.machine = self.machine, None
        if machine is not None:
            machine.close(keep_serial=False)

    # Ending

    def end(self, verdict: Verdict) -> None:
        """Switch the machine off and keep what belongs to it."""
        machine, self.machine = self.machine, None
        try:
            self.reach.forget()
            if machine is not None:
                self._around.late_patch.end_machine(machine.name)
            self.end_film(verdict)
        finally:
            try:
                if machine is not None:
                    machine.close()
            finally:
                self._around.host.release_memory(self.name)

    def end_film(self, verdict: Verdict) -> None:
        """Stop filming before the scenario ends: what comes now is no part of it."""
        film, self.film = self.film, None
        if film is not None:
            wish = self._around.settings.video
            is_bad = verdict is not Verdict.PASSED
            film.end(keep=wish == "always" or (wish == "failure" and is_bad))

    def read_profile_again(self) -> None:
        """Go by what references and profile say now; a machine that runs stays what it is."""
        self.choice.read_profile_again()
        if self.machine is not None:
            self.machine.screen.library = self._around.library
            self.machine.allow_boot(self.choice.times.boot)
        self.reach.read_profile_again()

    def _new_name(self) -> str:
        return f"machine-{next(self._around.numbers)}"

    def _made(
        self,
        name: str,
        definition: MachineDefinition,
        disks: Sequence[DiskValues],
        rest: MachineAtRest | None = None,
    ) -> Machine:
        around = self._around
        bench = around.host.bench(around.library)
        machine = Machine(name, definition, disks, bench, viewer=around.has_viewer, rest=rest)
        self.machine = machine
        machine.allow_boot(self.choice.times.boot)
        machine.keyboard.layout = Layout.named(self.layout)
        parts = machine.definition
        self._around.events.publish(
            MachineUsed(machine=machine.name, firmware=parts.firmware, medium=parts.medium)
        )
        return machine

    def _begin_film(self, machine: Machine) -> None:
        around = self._around
        self.film = Film.of(
            machine, around.scenario, around.settings, around.events, around.evidence
        )

    def _sentence(self, path: Path, machine: Machine, first: DiskValues) -> str:
        parts = machine.definition
        medium = "a DVD" if first.device == "cdrom" else BUSES[first.bus]
        with contextlib.suppress(ValueError):
            path = path.relative_to(self._around.suite)
        called = f'"{self.name}" is {machine.name}: ' if self.name != FIRST else ""
        return (
            f"{called}{path} on {medium}; {parts.firmware.upper()} machine, board {parts.chipset}, "
            f"{parts.cpus} CPUs, {parts.memory_mib} MiB"
        )
