"""The media of one scenario by name: on the shelf, or plugged into its machine."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.text import printable
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.machine import Machine
from tailstest.media.boot_report import inspect_image
from tailstest.media.dvd import Dvd
from tailstest.media.image_file import Digests
from tailstest.media.stick_content.volume import Volume
from tailstest.media.stick_content.writing import written_stick
from tailstest.media.usb_stick import UsbStick, copy_file
from tailstest.suite.checkpoints.keys import digest_of_folder
from tailstest.suite.checkpoints.state import CheckpointStale, ShelfState, StickState
from tailstest.suite.stick_check import StickCheck

#: Most characters of the name of a medium.
NAME_LIMIT = 100

#: Most characters of a serial number; QEMU cuts off what is longer.
SERIAL_LIMIT = 20

#: What can be particular about a stick; see `UsbStick`.
_TRAITS = ("serial", "is_write_protected", "bytes_per_second", "bus")


class Shelf:
    """USB sticks by name, and what happens to them.

    Args:
        evidence: gives out names for their files.
        machine: returns the machine of the scenario; None before it was started.
        digests: of images.
    """

    def __init__(
        self, evidence: EvidenceFolder, machine: Callable[[], Machine | None], digests: Digests
    ) -> None:
        self._evidence = evidence
        self._machine = machine
        self._digests = digests
        self._sticks: dict[str, UsbStick] = {}
        self._waiting: list[str] = []  # will be plugged in when the machine starts
        self._images: set[Path] = set()
        self._folders: dict[str, str] = {}

    def clear(self) -> None:
        """Forget everything: another scenario begins."""
        self._sticks, self._waiting, self._images = {}, [], set()
        self._folders = {}

    # Making media

    def add_blank(self, name: str, size: int) -> None:
        """Put a blank stick on the shelf.

        Args:
            size: bytes.

        Raises:
            UsageError: the name is taken, or no stick has such a size.
            InfrastructureError: it cannot be made.
        """
        self._sticks[name] = UsbStick.blank(self._new_file(name), size)

    def add_with_image(self, name: str, size: int, image: Path) -> None:
        """Put a stick with an image on it on the shelf.

        Raises:
            UsageError: the name is taken, or the image does not fit.
            InfrastructureError: it cannot be made.
        """
        self._sticks[name] = UsbStick.of_image(image, self._new_file(name), size)
        self._images.add(image)

    def add_written(self, name: str, size: int, table: str, volumes: list[Volume]) -> None:
        """Put a stick with partitions, file systems and files on the shelf.

        Args:
            size: bytes.
            table: kind of the partition table, "GPT", "MBR" or "no".

        Raises:
            UsageError: the name is taken, or there cannot be such a stick.
            SetupError: a tool is not installed.
            InfrastructureError: it cannot be made.
        """
        self._sticks[name] = written_stick(self._new_file(name), size, table, volumes)
        for volume in volumes:
            if volume.files is not None:
                self._folders[str(volume.files)] = digest_of_folder(volume.files)

    def add_copy(self, name: str, other: str) -> None:
        """Put a stick with the content of another one on the shelf.

        Raises:
            UsageError: the name is taken, there is no such stick, or a machine that runs may be
                writing to it.
            InfrastructureError: it cannot be made.
        """
        source = self.stick(other)
        file = self._new_file(name)
        self.check_at_rest(other, "be copied")
        self._sticks[name] = source.copy_to(file)

    def add_frozen_copy(self, name: str, other: str) -> None:
        """Put a stick on the shelf that is as another one in use would be if the power failed now.

        QEMU must stand still meanwhile: `Machine.frozen`.

        Raises:
            UsageError: the name is taken, or there is no such stick.
            InfrastructureError: no space.
        """
        self._sticks[name] = self.stick(other).copy_to(self._new_file(name))

    @property
    def names(self) -> list[str]:
        """The names of all sticks and disks."""
        return list(self._sticks)

    def stick(self, name: str) -> UsbStick:
        """Return a stick.

        Raises:
            UsageError: there is none of that name; says which there are.
        """
        if name not in self._sticks:
            known = ", ".join(f'"{printable(each)}"' for each in self._sticks) or "none"
            raise UsageError(
                f'there is no USB stick "{printable(name)}" in this scenario; there are: {known}',
                hint=f'make one with: Given a blank USB stick "{printable(name)}" of 2 GiB',
            )
        return self._sticks[name]

    def look_at(self, name: str) -> StickCheck:
        """Return what checks the content of a stick.

        Raises:
            UsageError: there is no such stick, or a machine that runs may be writing to it.
        """
        stick = self.stick(name)
        self.check_at_rest(name, "be looked at")
        return StickCheck(name, stick)

    def check_at_rest(self, name: str, what: str) -> None:
        """Raise if a machine that runs may write to a stick.

        Args:
            what: shall be done to it, for the message: "be copied".

        Raises:
            UsageError: it is plugged into a machine that runs.
        """
        machine = self._machine()
        if machine is not None and machine.is_on and machine.bay.holds(self.stick(name).overlay):
            raise UsageError(
                f'the USB stick "{printable(name)}" cannot {what} while it is plugged into a '
                "machine that runs",
                hint="pull it out, or switch the machine off",
            )

    def add_disk(self, name: str, size: int, bus: Literal["virtio", "sata"]) -> None:
        """Build a blank disk into the machine.

        Args:
            size: bytes.
            bus: what it is attached to.

        Raises:
            UsageError: the name is taken, or no disk has such a size.
            InfrastructureError: it cannot be made.
        """
        self.add_blank(name, size)
        self.set_traits(name, bus=bus)
        self.plug_in(name)

    def set_traits(self, name: str, **traits: Any) -> None:
        """Change what is particular about a stick.

        Args:
            traits: fields of `UsbStick`.

        Raises:
            UsageError: there is no such stick, or it is plugged in; or no such serial number.
        """
        stick, machine = self.stick(name), self._machine()
        if machine is not None and machine.bay.holds(stick.overlay):
            raise UsageError(
                f'the USB stick "{printable(name)}" is plugged in', hint="say this before"
            )
        serial = traits.get("serial", "")
        if len(serial) > SERIAL_LIMIT or not re.fullmatch(r"[A-Za-z0-9 ._+-]*", serial):
            raise UsageError(
                f"this is no serial number of a stick: {printable(serial)!r}",
                hint=f"use at most {SERIAL_LIMIT} letters, digits, spaces and . _ + -",
            )
        self._sticks[name] = dataclasses.replace(stick, **traits)

    # Plugging

    def plug_in(self, name: str) -> None:
        """Plug a stick into the machine; before it exists, it will be there when it starts.

        Raises:
            UsageError: there is no such stick, or it is plugged in already.
            InfrastructureError: QEMU refuses.
        """
        stick, machine = self.stick(name), self._machine()
        if machine is not None:
            machine.bay.plug_in(stick.disk())
        elif name in self._waiting:
            raise UsageError(f'the USB stick "{printable(name)}" is plugged in already')
        else:
            self._waiting.append(name)

    def pull_out(self, name: str) -> None:
        """Pull out a stick without a word to the system, and wait until it is gone.

        Raises:
            UsageError: there is no such stick, or it is not plugged in.
            InfrastructureError: QEMU does not let go of it.
        """
        stick, machine = self.stick(name), self._machine()
        if machine is not None:
            machine.bay.pull_out(stick.overlay, name)
        elif name in self._waiting:
            self._waiting.remove(name)
        else:
            raise UsageError(
                f'the USB stick "{printable(name)}" is not plugged in',
                hint=f'plug it in with: Given the USB stick "{printable(name)}" is plugged in',
            )

    def eject_dvd(self) -> None:
        """Take the DVD out of the drive even if the system has locked it.

        Raises:
            UsageError: no machine, no drive, or nothing in it.
        """
        self._needed_machine().bay.eject_dvd()

    def put_in_dvd(self, image: Path) -> None:
        """Put a DVD into the drive; the one that is in there is taken out.

        Raises:
            UsageError: no machine, or it has no drive.
        """
        self._needed_machine().bay.put_in_dvd(image)
        self._images.add(image)

    # Starting

    def disks_to_start(
        self, definition: MachineDefinition, image: Path, stick: str | None, machine_name: str
    ) -> list[DiskValues]:
        """Return the drives of a machine that is started for the first time.

        Args:
            image: what the scenario chose; not used if `stick` is given.
            stick: name of the one to boot from.
            machine_name: for the files of its media.

        Raises:
            CheckFailed: the image cannot boot from such a medium on such a machine.
            UsageError: there is no such stick.
            InfrastructureError: a medium cannot be made.
        """
        others = [name for name in self._waiting if name != stick]
        if stick is not None:
            content, first = self.stick(stick).image, self.stick(stick).disk()
        elif definition.medium == "usb":
            overlay = self._evidence.path("disks", f"{machine_name}-stick", ".qcow2")
            content, first = image, UsbStick.of_image(image, overlay).disk()
        else:
            content, first = image, Dvd(image).disk()
        if content is not None:
            _check_bootable(content, definition)
        self._waiting = []
        return [first, *(self.stick(name).disk() for name in others)]

    def start_again_from(self, name: str) -> None:
        """Switch the machine on so that it boots from a stick, which is plugged in if need be.

        Raises:
            UsageError: there is no such stick, or the machine is on.
            InfrastructureError: it cannot be started.
        """
        stick, machine = self.stick(name), self._needed_machine()
        if machine.is_on:
            raise UsageError(
                f"the machine is on already ({machine.state})",
                hint='switch it off before with "When I switch the machine off"',
            )
        if stick.image is not None:
            _check_bootable(stick.image, machine.definition.model_copy(update={"medium": "usb"}))
        if not machine.bay.holds(stick.overlay):
            machine.bay.plug_in(stick.disk())
        machine.bay.boot_from(stick.overlay)
        machine.power_on()

    # Checkpoints

    @property
    def state(self) -> ShelfState:
        """What has to be known, besides files, to take all of it up again."""
        machine = self._machine()
        sticks = {}
        for number, (name, stick) in enumerate(self._sticks.items()):
            is_in = machine is not None and machine.bay.holds(stick.overlay)
            sticks[name] = StickState(
                file=str(stick.overlay),
                image=str(stick.image) if stick.image else None,
                copy_name="" if is_in else f"shelf-{number}.qcow2",
                traits={trait: getattr(stick, trait) for trait in _TRAITS},
            )
        images = {str(image): self._digests.of(image) for image in sorted(self._images)}
        return ShelfState(sticks=sticks, images=images, folders=self._folders)

    def rest(self, folder: Path) -> None:
        """Write what is not plugged in into a folder; the machine writes what is.

        Raises:
            InfrastructureError: no space, no permission.
        """
        for name, stick in self.state.sticks.items():
            if stick.copy_name:
                copy_file(self._sticks[name].overlay, folder / stick.copy_name)

    def take_up(self, state: ShelfState, folder: Path, moved: Mapping[str, Path]) -> None:
        """Take up the media of a checkpoint.

        Args:
            folder: with the copies of what was not plugged in.
            moved: of the woken machine: file then to file now.

        Raises:
            CheckpointStale: an image is not the one that it was.
            InfrastructureError: no space, no permission.
        """
        self.clear()
        for name, digest in state.images.items():
            image = Path(name)
            try:
                is_same = self._digests.of(image) == digest
            except OSError:
                is_same = False
            if not is_same:
                raise CheckpointStale(f"{printable(name)} is not the image that it was")
            self._images.add(image)
        for name, digest in state.folders.items():
            if not Path(name).is_dir() or digest_of_folder(Path(name)) != digest:
                raise CheckpointStale(f"{printable(name)} holds other files than then")
        self._folders = dict(state.folders)
        for name, stick in state.sticks.items():
            file = moved.get(stick.file)
            if file is None:
                file = self._new_file(name)
                copy_file(folder / stick.copy_name, file)
            content = Path(stick.image) if stick.image else None
            self._sticks[name] = UsbStick(file, content, **stick.traits)

    def _new_file(self, name: str) -> Path:
        if name in self._sticks:
            raise UsageError(
                f'there is a USB stick "{printable(name)}" already', hint="choose another name"
            )
        if not name.strip() or len(name) > NAME_LIMIT:
            raise UsageError(f"a USB stick needs a name of 1 to {NAME_LIMIT} characters")
        return self._evidence.path("disks", f"stick-{name}", ".qcow2")

    def _needed_machine(self) -> Machine:
        machine = self._machine()
        if machine is None:
            raise UsageError(
                "no machine was started in this scenario",
                hint="start one before, for example with: When I start the machine from a DVD",
            )
        return machine


def _check_bootable(image: Path, definition: MachineDefinition) -> None:
    """Raise if an image cannot boot from the medium of a machine.

    Raises:
        CheckFailed: says why.
    """
    way = inspect_image(image).ways[definition.medium, definition.firmware]
    if not way.possible:
        kind = "a DVD" if definition.medium == "dvd" else "a USB stick"
        raise CheckFailed(
            f"{image} cannot boot from {kind} on a {definition.firmware.upper()} machine: "
            f"{way.reason}",
            hint=f"`tailstest image show {image}` shows all that it can boot from",
        )
