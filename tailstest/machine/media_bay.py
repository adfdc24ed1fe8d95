"""The drives and USB sockets of a machine: what a hand does there, running or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.text import printable
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.machine import drives
from tailstest.machine.qemu_monitor import QemuMonitor
from tailstest.machine.served_media import ServedMedia
from tailstest.machine.trays import is_ejected
from tailstest.media.usb_stick import BUSES

#: Seconds, before scaling, until a medium that was pulled out is gone. QEMU needs milliseconds for
#: USB; what is attached by PCI goes when the guest has let go, Linux within a second.
GONE_LIMIT = 20.0

#: What libvirt can plug into a machine that runs.
_HOT = ("usb", "virtio")
#: What it does not know, so that it has to be there when the machine is made.
_ALWAYS_BUILT_IN = ("nvme", "sd")


class MediaBay:
    """The drives and sockets of one domain.

    What is done to a machine that runs is also done to its next start; what is done to one that is
    switched off waits for that start. A medium is known by its file.

    Args:
        libvirt: the module.
        domain: the `virDomain`.
        served: the media of it that have faults.
        monitor: of the same domain.
        chipset: of its board.
        deadline_scale: factor of the host's slowness on every deadline.
    """

    def __init__(
        self,
        libvirt: Any,
        domain: Any,
        served: ServedMedia,
        *,
        monitor: QemuMonitor,
        chipset: str,
        deadline_scale: float,
    ) -> None:
        self._libvirt = libvirt
        self._domain = domain
        self._served = served
        self._monitor = monitor
        self._chipset = chipset
        self._scale = deadline_scale

    def sticks(self) -> list[Path]:
        """Return the files of what is plugged in by USB; what is tried first when booting first."""
        files = [drives.file_of(stick) for stick in drives.sticks(self._now())]
        return [file for file in files if file is not None]

    def holds(self, file: Path) -> bool:
        """Tell whether a medium is plugged in, or in a drive."""
        return drives.with_file(self._now(), file) is not None

    def written(self, file: Path) -> int:
        """Return how many bytes the machine has written to a medium since it was plugged in.

        Raises:
            UsageError: it is not plugged in, or the machine is off.
            InfrastructureError: QEMU does not tell.
        """
        disk = drives.with_file(self._now(), file)
        target = disk.find("target") if disk is not None else None
        if target is None or not self._is_on:
            raise UsageError(
                "what is written to a medium can only be counted in a machine that runs",
                hint="plug it in, and switch the machine on",
            )
        try:
            told = self._domain.blockStatsFlags(target.get("dev"))
            return int(told["wr_bytes"])
        except (self._libvirt.libvirtError, KeyError) as error:
            raise InfrastructureError(
                f"QEMU does not tell how much was written: {printable(str(error))}"
            ) from error

    def plug_in(self, disk: DiskValues) -> None:
        """Plug in one more medium; when booting it is tried after all others.

        Raises:
            UsageError: another machine uses it, it is plugged in already, or no socket is left.
            InfrastructureError: QEMU refuses.
        """
        if disk.bus in _ALWAYS_BUILT_IN or (self._is_on and disk.bus not in _HOT):
            raise UsageError(
                f"{BUSES.get(disk.bus, disk.bus)} cannot be built into a machine that "
                f"{'runs' if self._is_on else 'has run'}",
                hint="say this before the step that starts the machine, or take a USB stick",
            )
        now, later = self._now(), self._next()
        if disk.source is not None and drives.with_file(now, disk.source) is not None:
            raise UsageError("this medium is plugged in already", hint="pull it out before")
        place = drives.next_boot_order(now, later) if disk.boot_order is not None else None
        target = drives.free_target(now, later)
        with ExitStack() as undo:
            disk = self._served.begin(dataclasses.replace(disk, target=target, boot_order=place))
            if disk.source is not None:
                undo.callback(self._served.end, disk.source)
            if self._is_on:
                # One that started with nothing to boot from takes no places until its next start.
                has_none = now.find("os/boot") is not None
                there = dataclasses.replace(disk, boot_order=None) if has_none else disk
                xml = there.render(self._chipset)
                self._do("plugged in", lambda: self._domain.attachDeviceFlags(xml, self._live))
            devices = later.find("devices")
            assert devices is not None
            devices.append(ElementTree.fromstring(disk.render(self._chipset)))
            self._redefine(later)
            undo.pop_all()

    def pull_out(self, file: Path, name: str = "") -> None:
        """Pull out a medium without a word to the system, and wait until it is gone.

        Args:
            file: of the medium.
            name: for messages.

        Raises:
            UsageError: it is not plugged in.
            CheckFailed: the system in the machine does not let go of it.
            InfrastructureError: QEMU does not let go of it.
        """
        what = f'"{printable(name)}"' if name else "that the machine booted from"
        if not self.holds(file):
            raise UsageError(
                f"the USB stick {what} is not plugged in",
                hint=f'plug it in with: When I plug in the USB stick "{printable(name)}"',
            )
        self._check_removable(file, what)
        if self._is_on:
            self._let_go(file, what)
        self._forget(file)

    def remove(self, file: Path, name: str = "", *, within: float) -> None:
        """Take out a medium that the system has let go of: wait until it has, then pull it out.

        From a USB stick the system takes its hands by ejecting it, as `eject` and "Eject" in a
        file manager do. A disk on the PCI bus is asked back from the system, which may refuse.

        Args:
            file: of the medium.
            name: for messages.
            within: seconds, before scaling, that the system has.

        Raises:
            UsageError: it is not plugged in, or built in.
            CheckFailed: the system does not let go of it; it is still plugged in.
            InfrastructureError: QEMU does not let go of it.
        """
        what = f'"{printable(name)}"' if name else "that the machine booted from"
        disk = drives.with_file(self._now(), file)
        if self._is_on and disk is not None and drives.bus_of(disk) == "usb":
            self._check_removable(file, what)
            deadline = Deadline.after(within, scale=self._scale)
            if poll(lambda: self._is_ejected(file), deadline) is None:
                raise CheckFailed(
                    f"the USB stick {what} cannot be removed safely: the system in the machine has "
                    f"not ejected it after {deadline.elapsed:.0f} s",
                    hint="let it eject the stick before, or use the step that pulls it out",
                )
        self.pull_out(file, name)

    def pull_stick(self) -> None:
        """Pull out the USB stick that the machine booted from, without a word to the system.

        Raises:
            UsageError: no USB stick is plugged in.
            InfrastructureError: QEMU refuses.
        """
        files = self.sticks()
        if not files:
            raise UsageError(
                "there is no USB stick to pull out of this machine",
                hint="start it with: When I start the machine from a USB stick",
            )
        self.pull_out(files[0])

    def boot_from(self, file: Path) -> None:
        """Let the next start try this medium before all others.

        Raises:
            UsageError: it is not plugged in.
        """
        later = self._next()
        disk = drives.with_file(later, file)
        if disk is None:
            raise UsageError("the medium to boot from is not plugged in", hint="plug it in before")
        drives.boot_first(later, disk)
        self._redefine(later)

    def eject_dvd(self) -> None:
        """Open the drive and take the DVD out, even if the system has locked it.

        Raises:
            UsageError: there is no drive, or nothing in it.
            InfrastructureError: QEMU refuses.
        """
        if drives.file_of(self._dvd_drive(self._now())) is None:
            raise UsageError("there is no DVD in the drive", hint="it was ejected before")
        self._change_dvd(None)

    def put_in_dvd(self, image: Path) -> None:
        """Put a DVD into the drive; the one that is in there is taken out.

        Raises:
            UsageError: there is no drive.
            InfrastructureError: QEMU refuses.
        """
        self._change_dvd(image)

    # How it is done

    @property
    def _live(self) -> int:
        return int(self._libvirt.VIR_DOMAIN_AFFECT_LIVE)

    @property
    def _is_on(self) -> bool:
        try:
            return bool(self._domain.isActive())
        except self._libvirt.libvirtError:
            return False

    def _now(self) -> Element:
        return self._described(0)

    def _next(self) -> Element:
        return self._described(self._libvirt.VIR_DOMAIN_XML_INACTIVE)

    def _described(self, flags: int) -> Element:
        try:
            return ElementTree.fromstring(self._domain.XMLDesc(flags))
        except self._libvirt.libvirtError as error:
            said = printable(error.get_error_message())
            raise InfrastructureError(f"libvirt does not describe the machine: {said}") from error

    def _redefine(self, domain: Element) -> None:
        drives.settle_boot(domain)
        text = drives.text_of(domain)
        self._do("changed", lambda: self._domain.connect().defineXML(text))

    def _check_removable(self, file: Path, what: str) -> None:
        disk = drives.with_file(self._now(), file)
        if disk is None:
            return
        bus = drives.bus_of(disk)
        if drives.is_built_in(disk) or (self._is_on and bus not in _HOT):
            raise UsageError(
                f"the disk {what} is built into the machine, it cannot be taken out of it"
                + (" while it runs" if not drives.is_built_in(disk) else ""),
                hint="only USB sticks and virtio disks come and go while a machine runs",
            )

    def _is_ejected(self, file: Path) -> bool | None:
        """Tell whether the system has ejected a USB medium; None if not."""
        disk = drives.with_file(self._now(), file)
        alias = disk.find("alias") if disk is not None else None
        if disk is None or alias is None or not self._is_on:
            return True
        is_out = is_ejected(self._monitor, alias.get("name", ""))
        return True if is_out else None

    def _forget(self, file: Path) -> None:
        later = self._next()
        disk, devices = drives.with_file(later, file), later.find("devices")
        if disk is not None and devices is not None:
            devices.remove(disk)
            self._redefine(later)
        self._served.end(file)

    def _let_go(self, file: Path, what: str) -> None:
        # QEMU answers before the medium is gone, or with an error although it is, or is busy with
        # one that was plugged in a moment ago. Only the description of the machine tells.
        said = ""
        is_asked = False

        def look() -> bool | None:
            nonlocal said, is_asked
            disk = drives.with_file(self._now(), file)
            if disk is None or not self._is_on:
                return True
            if not is_asked:
                try:
                    self._domain.detachDeviceFlags(drives.text_of(disk), self._live)
                    is_asked = True
                except self._libvirt.libvirtError as error:
                    said = printable(error.get_error_message())
            return True if drives.with_file(self._now(), file) is None else None

        deadline = Deadline.after(GONE_LIMIT, scale=self._scale)
        if poll(look, deadline) is not None:
            return
        disk = drives.with_file(self._now(), file)
        target = disk.find("target") if disk is not None else None
        bus = target.get("bus") if target is not None else "usb"
        text = f"the USB stick {what} is still plugged in after {deadline.elapsed:.0f} s"
        if bus == "usb" or said:
            raise InfrastructureError(f"{text}: {said or 'QEMU does not let go of it'}")
        raise CheckFailed(f"{text}: the system in the machine does not let go of it")

    def _dvd_drive(self, domain: Element) -> Element:
        drive = drives.dvd_drive(domain)
        if drive is None:
            raise UsageError(
                "this machine has no DVD drive",
                hint="one that is started from a DVD has one",
            )
        return drive

    def _change_dvd(self, image: Path | None) -> None:
        drive = self._dvd_drive(self._now())
        drives.put_in(drive, image)
        if self._is_on:
            # Force is what a needle in the small hole does: the lock of the system does not count.
            flags = self._live | self._libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
            text = drives.text_of(drive)
            self._do("changed", lambda: self._domain.updateDeviceFlags(text, flags))
        later = self._next()
        drives.put_in(self._dvd_drive(later), image)
        self._redefine(later)

    def _do(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except self._libvirt.libvirtError as error:
            said = printable(error.get_error_message())
            if 'Failed to get "' in said:  # QEMU locks the files that it uses
                raise UsageError(
                    "the medium is in use by another machine, or by a program of the host",
                    hint="pull it out there, or switch that machine off",
                ) from error
            raise InfrastructureError(f"the medium cannot be {what}: {said}") from error
