"""The media of one scenario by name, whether they lie on the shelf or are plugged in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from tailstest.core.errors import UsageError
from tailstest.core.text import printable
from tailstest.machine.machine import Machine
from tailstest.media.faults import Faults
from tailstest.media.file_copy import copy_file
from tailstest.media.image_file import Digests
from tailstest.media.media_folder import MediaFolder
from tailstest.media.stick_content.volume import Volume
from tailstest.media.stick_content.writing import written_stick
from tailstest.media.usb_stick import Bus, UsbStick, follow_image
from tailstest.suite.checkpoints.state import CheckpointStale, ShelfState, StickState
from tailstest.suite.image_guard import ImageGuard
from tailstest.suite.stick_check import StickCheck
from tailstest.suite.suite_files import SuiteFiles

#: Most characters of the name of a medium.
NAME_LIMIT = 100

#: Most characters of a serial number; QEMU cuts off what is longer.
SERIAL_LIMIT = 20

#: The stick without a name, in messages.
BOOT_STICK = "USB stick the machine was started from"

#: What can be particular about a stick; see `UsbStick`.
_TRAITS = ("serial", "is_write_protected", "bytes_per_second", "bus", "format")


class Shelf:
    """USB sticks and disks by name, and what is on them.

    Args:
        media: gives out names for their files.
        machines: returns the machines of the scenario that were started, the one that steps are
            about at the end.
        digests: of images.
        guard: watches that images do not change.
        files: told which folders of the suite were used.
        called: returns what steps call the machine that they are about.
    """

    def __init__(
        self,
        media: MediaFolder,
        machines: Callable[[], list[Machine]],
        digests: Digests,
        guard: ImageGuard,
        files: SuiteFiles,
        called: Callable[[], str] = str,
    ) -> None:
        self._media = media
        self._machines = machines
        self._digests = digests
        self._guard = guard
        self._files = files
        self._called = called
        self._sticks: dict[str, UsbStick] = {}
        self._boot_sticks: dict[str, UsbStick] = {}
        self._images: set[Path] = set()

    def clear(self) -> None:
        """Forget everything: another scenario begins."""
        self._sticks, self._images = {}, set()
        self._boot_sticks = {}

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
        self.use_image(image)

    def use_image(self, image: Path) -> None:
        """Note that a medium was made of an image, or is it.

        Raises:
            ImageChanged: it is not what another machine of this run got.
        """
        self._guard.watch(image)
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
        file = self._new_file(name)
        for volume in volumes:
            if volume.files is not None and volume.files.is_dir():
                self._files.use(volume.files)
        self._sticks[name] = written_stick(file, size, table, volumes)

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

    def keep_boot_stick(self, stick: UsbStick) -> None:
        """Note the stick that a machine starts from if no step has given it a name."""
        self._boot_sticks[self._called()] = stick

    @property
    def images(self) -> list[Path]:
        """The images that media were made of."""
        return sorted(self._images)

    @property
    def names(self) -> list[str]:
        """The names of all sticks and disks that have one."""
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

    def machine_with(self, stick: UsbStick) -> Machine | None:
        """Return the machine that a medium is plugged into; None if it lies on the shelf."""
        return next((each for each in self._machines() if each.bay.holds(stick.overlay)), None)

    def look_at(self, name: str) -> StickCheck:
        """Return what checks the content of a stick.

        Raises:
            UsageError: there is no such stick, or a machine that runs may be writing to it.
        """
        stick = self.stick(name)
        self.check_at_rest(name, "be looked at")
        return StickCheck(name, stick)

    def look_at_boot_stick(self) -> StickCheck | None:
        """Return what checks the stick without a name; None if no machine was started from one.

        Raises:
            UsageError: a machine that runs may be writing to it.
        """
        stick = self._boot_sticks.get(self._called())
        if stick is None:
            return None
        self._check_at_rest(stick, BOOT_STICK, "be looked at")
        return StickCheck(BOOT_STICK, stick)

    def check_at_rest(self, name: str, what: str) -> None:
        """Raise if a machine that runs may write to a stick.

        Args:
            what: shall be done to it, for the message: "be copied".

        Raises:
            UsageError: it is plugged into a machine that runs.
        """
        self._check_at_rest(self.stick(name), f'USB stick "{printable(name)}"', what)

    def _check_at_rest(self, stick: UsbStick, called: str, what: str) -> None:
        machine = self.machine_with(stick)
        if machine is not None and machine.is_on:
            raise UsageError(
                f"the {called} cannot {what} while it is plugged into a machine that runs",
                hint="pull it out, or switch the machine off",
            )

    def add_disk(self, name: str, size: int, bus: Bus, image: Path | None = None) -> None:
        """Put a blank disk on the shelf that can be built into a machine.

        Args:
            size: bytes.
            bus: what it is attached to; an SD card is a disk, too.
            image: what is on it; None leaves it blank.

        Raises:
            UsageError: the name is taken, the image does not fit, or no disk has such a size.
            InfrastructureError: it cannot be made.
        """
        if bus == "sd" and size & (size - 1):
            raise UsageError(
                f"an SD card cannot have {size} bytes",
                hint="SD cards have 1, 2, 4, 8... GiB or MiB",
            )
        if image is None:
            self.add_blank(name, size)
        else:
            self.add_with_image(name, size, image)
        self.set_traits(name, bus=bus)

    def set_traits(self, name: str, **traits: Any) -> None:
        """Change what is particular about a stick.

        Args:
            traits: fields of `UsbStick`.

        Raises:
            UsageError: there is no such stick, it is plugged in, or it cannot have that.
        """
        stick = self._unplugged(name)
        serial = traits.get("serial", "")
        if len(serial) > SERIAL_LIMIT or not re.fullmatch(r"[A-Za-z0-9 ._+-]*", serial):
            raise UsageError(
                f"this is no serial number of a stick: {printable(serial)!r}",
                hint=f"use at most {SERIAL_LIMIT} letters, digits, spaces and . _ + -",
            )
        if traits.get("bytes_per_second") and stick.bus in {"nvme", "sd"}:
            raise UsageError(
                "NVMe disks and SD cards cannot be slowed down",
                hint="take a USB stick, or a virtio or SATA disk",
            )
        self._sticks[name] = dataclasses.replace(stick, **traits)

    def add_bad_place(
        self, name: str, kind: Literal["unreadable", "unwritable"], start: int, end: int
    ) -> None:
        """Let a place on a stick fail.

        Args:
            start, end: of the place, in bytes.

        Raises:
            UsageError: there is no such stick, it is plugged in, or no such place on it.
            InfrastructureError: no space.
        """
        stick = self._unplugged(name)
        self._give_faults(name, stick.faults.with_place(kind, start, end))

    def keep_only(self, name: str, kept: int, beyond: Literal["lost", "wraps"]) -> None:
        """Let a stick lie about its size.

        Args:
            kept: bytes that it really has.
            beyond: what becomes of the rest, see `Faults`.

        Raises:
            UsageError: there is no such stick, it is plugged in, or it does not have more.
            InfrastructureError: no space.
        """
        stick = self._unplugged(name)
        self._give_faults(name, stick.faults.with_kept(kept, beyond))

    def _give_faults(self, name: str, faults: Faults) -> None:
        file = self._media.path(f"stick-{name}", ".raw")
        self._sticks[name] = self._sticks[name].with_faults(faults, file)

    def _unplugged(self, name: str) -> UsbStick:
        stick = self.stick(name)
        if self.machine_with(stick) is not None:
            raise UsageError(
                f'the USB stick "{printable(name)}" is plugged in', hint="say this before"
            )
        return stick

    # Checkpoints

    @property
    def state(self) -> ShelfState:
        """What has to be known, besides files, to take all of it up again."""
        images = {self._files.name_of(image): self._digests.of(image) for image in self.images}
        boot_stick = self._boot_sticks.get(self._called())
        return ShelfState(
            sticks={
                name: self._state_of(stick, f"shelf-{number}.qcow2")
                for number, (name, stick) in enumerate(self._sticks.items())
            },
            images=images,
            boot_stick=self._state_of(boot_stick, "shelf-boot.qcow2") if boot_stick else None,
        )

    def _state_of(self, stick: UsbStick, copy_name: str) -> StickState:
        is_in = self.machine_with(stick) is not None
        return StickState(
            file=str(stick.overlay),
            image=self._files.name_of(stick.image) if stick.image else None,
            copy_name="" if is_in else copy_name,
            traits={trait: getattr(stick, trait) for trait in _TRAITS},
            faults=stick.faults,
        )

    def rest(self, folder: Path) -> None:
        """Write what is not plugged in into a folder; the machine writes what is.

        Raises:
            InfrastructureError: no space, no permission.
        """
        state = self.state
        for stick in (*state.sticks.values(), state.boot_stick):
            if stick is not None and stick.copy_name:
                copy_file(Path(stick.file), folder / stick.copy_name)

    def take_up(
        self,
        state: ShelfState,
        folder: Path,
        moved: Mapping[str, Path],
        images: Mapping[str, Path] | None = None,
    ) -> None:
        """Take up the media of a checkpoint.

        Args:
            folder: with the copies of what was not plugged in.
            moved: of the woken machine: file then to file now.
            images: that lie in another place now: path of then to path of now.

        Raises:
            CheckpointStale: an image is not the one that it was.
            InfrastructureError: no space, no permission.
        """
        self.clear()
        for name, digest in state.images.items():
            image = self._files.path_of(name)
            try:
                is_same = self._digests.of(image) == digest
            except OSError:
                is_same = False
            if not is_same:
                raise CheckpointStale(f"{printable(name)} is not the image that it was")
            self.use_image(image)
        places = images or {}
        for name, stick in state.sticks.items():
            file = moved.get(stick.file)
            if file is None:
                file = _copied(stick, folder, self._new_file(name), places)
            self._sticks[name] = self._with_file(stick, file)
        if (boot_stick := state.boot_stick) is not None:
            file = moved.get(boot_stick.file)
            if file is None:
                own = self._media.path("boot-stick", ".qcow2")
                file = _copied(boot_stick, folder, own, places)
            self.keep_boot_stick(self._with_file(boot_stick, file))

    def _with_file(self, stick: StickState, file: Path) -> UsbStick:
        """Return a stick of a checkpoint, whose content is in another file now."""
        content = self._files.path_of(stick.image) if stick.image else None
        return UsbStick(file, content, faults=stick.faults, **stick.traits)

    def _new_file(self, name: str) -> Path:
        if name in self._sticks:
            raise UsageError(
                f'there is a USB stick "{printable(name)}" already', hint="choose another name"
            )
        if not name.strip() or len(name) > NAME_LIMIT:
            raise UsageError(f"a USB stick needs a name of 1 to {NAME_LIMIT} characters")
        return self._media.path(f"stick-{name}", ".qcow2")


def _copied(stick: StickState, folder: Path, file: Path, images: Mapping[str, Path]) -> Path:
    """Copy a medium that was not plugged in out of a checkpoint; see `Shelf.take_up`."""
    copy_file(folder / stick.copy_name, file)
    if stick.traits.get("format") == "qcow2":
        follow_image(file, images)
    return file
