"""Where the media of a scenario are plugged in: its machine, which may not have been made yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.text import printable
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.machine import Machine
from tailstest.media.boot_report import inspect_image
from tailstest.media.dvd import Dvd
from tailstest.media.media_folder import MediaFolder
from tailstest.media.usb_stick import UsbStick
from tailstest.suite.shelf import Shelf


class Sockets:
    """The sockets and drives of one scenario.

    Args:
        shelf: has the media by name.
        media: gives out names for files.
        machine: returns the machine of the scenario; None before it was started.
    """

    def __init__(
        self, shelf: Shelf, media: MediaFolder, machine: Callable[[], Machine | None]
    ) -> None:
        self._shelf = shelf
        self._media = media
        self._machine = machine
        self._waiting: list[str] = []  # will be plugged in when the machine starts

    def clear(self) -> None:
        """Forget what waits: another scenario begins."""
        self._waiting = []

    def plug_in(self, name: str) -> None:
        """Plug a medium into the machine; before it exists, it will be there when it starts.

        Raises:
            UsageError: there is no such medium, it is plugged in already, or such a one must be
                there when the machine starts.
            InfrastructureError: QEMU refuses.
        """
        stick, machine = self._shelf.stick(name), self._machine()
        self._check_free(name, stick)
        if machine is not None:
            machine.bay.plug_in(stick.disk())
        elif name in self._waiting:
            raise UsageError(f'the USB stick "{printable(name)}" is plugged in already')
        else:
            self._waiting.append(name)

    def pull_out(self, name: str) -> None:
        """Pull out a medium without a word to the system, and wait until it is gone.

        Raises:
            UsageError: there is no such medium, it is not plugged in, or it is built in.
            CheckFailed: the system does not let go of a disk on the PCI bus.
            InfrastructureError: QEMU does not let go of it.
        """
        stick, machine = self._shelf.stick(name), self._machine()
        if machine is not None:
            machine.bay.pull_out(stick.overlay, name)
        else:
            self._take_back(name)

    def remove(self, name: str) -> None:
        """Take out a medium as soon as the system has let go of it.

        Raises:
            UsageError: there is no such medium, it is not plugged in, or it is built in.
            CheckFailed: the system does not let go of it.
            InfrastructureError: QEMU does not let go of it.
        """
        stick, machine = self._shelf.stick(name), self._machine()
        if machine is not None:
            machine.bay.remove(stick.overlay, name, within=machine.default_deadline)
        else:
            self._take_back(name)

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
        self._shelf.use_image(image)

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
            UsageError: there is no such stick, or the firmware does not know such media.
            InfrastructureError: a medium cannot be made.
        """
        others = [name for name in self._waiting if name != stick]
        if stick is not None:
            chosen = self._shelf.stick(stick)
            _check_firmware(chosen, definition)
            content, first = chosen.image, chosen.disk()
        elif definition.medium == "usb":
            overlay = self._media.path(f"{machine_name}-stick", ".qcow2")
            made = UsbStick.of_image(image, overlay)
            self._shelf.keep_boot_stick(made)
            content, first = image, made.disk()
        else:
            content, first = image, Dvd(image).disk()
        if content is not None:
            _check_bootable(content, definition)
            self._shelf.use_image(content)
        for name in [*others, *([stick] if stick is not None else [])]:
            self._check_free(name, self._shelf.stick(name))
        self._waiting = []
        return [first, *(self._shelf.stick(name).disk() for name in others)]

    def start_again_from(self, name: str) -> None:
        """Switch the machine on so that it boots from a stick, which is plugged in if need be.

        Raises:
            UsageError: there is no such stick, or the machine is on.
            InfrastructureError: it cannot be started.
        """
        stick, machine = self._shelf.stick(name), self._needed_machine()
        if machine.is_on:
            raise UsageError(
                f"the machine is on already ({machine.state})",
                hint='switch it off before with "When I switch the machine off"',
            )
        _check_firmware(stick, machine.definition)
        if stick.image is not None:
            _check_bootable(stick.image, machine.definition.model_copy(update={"medium": "usb"}))
        self._check_free(name, stick)
        if not machine.bay.holds(stick.overlay):
            machine.bay.plug_in(stick.disk())
        machine.bay.boot_from(stick.overlay)
        machine.power_on()

    def _check_free(self, name: str, stick: UsbStick) -> None:
        """Raise if a medium is plugged into another machine."""
        holder = self._shelf.machine_with(stick)
        if holder is not None and holder is not self._machine():
            raise UsageError(
                f'the USB stick "{printable(name)}" is plugged into another machine',
                hint="turn to that machine and pull it out",
            )

    def _take_back(self, name: str) -> None:
        if name not in self._waiting:
            raise UsageError(
                f'the USB stick "{printable(name)}" is not plugged in',
                hint=f'plug it in with: Given the USB stick "{printable(name)}" is plugged in',
            )
        self._waiting.remove(name)

    def _needed_machine(self) -> Machine:
        machine = self._machine()
        if machine is None:
            raise UsageError(
                "no machine was started in this scenario",
                hint="start one before, for example with: When I start the machine from a DVD",
            )
        return machine


def _check_firmware(stick: UsbStick, definition: MachineDefinition) -> None:
    """Raise if the firmware cannot start from a kind of medium, whatever is on it.

    Raises:
        UsageError: says so.
    """
    if stick.bus == "sd" and definition.firmware == "uefi":
        raise UsageError(
            "a UEFI machine cannot start from an SD card in its own reader: OVMF does not know "
            "such readers",
            hint="take a BIOS machine, or a USB stick, which a card in a USB reader is like",
        )


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
