"""A stick or disk whose content is a file of the run: blank, with an image on it, or a copy."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.text import printable
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.media.fault_server import FaultyDisk
from tailstest.media.faults import NO_FAULTS, Faults
from tailstest.media.file_copy import copy_file
from tailstest.media.host_tool import HostTool
from tailstest.media.stick_content.sparse import copy_range, extents

#: Makes and inspects the files.
QEMU_IMG = HostTool("qemu-img", package="qemu-utils")

#: Bytes of a sector; sizes are whole sectors.
SECTOR = 512

#: What a stick can be attached to. "usb" comes and goes; the others are built in.
Bus = Literal["usb", "virtio", "sata", "nvme", "sd"]

#: The same, as people call what is attached there.
BUSES = {
    "usb": "a USB stick",
    "virtio": "a virtio disk",
    "sata": "a SATA disk",
    "nvme": "an NVMe disk",
    "sd": "an SD card",
}

#: Smallest and largest stick, in bytes. 1 MiB is what a partition table needs before the first
#: partition; 2 TiB is the most that an MBR can describe, and more than any stick under test has.
SMALLEST, LARGEST = 1 << 20, 2 << 40


@dataclass(frozen=True)
class UsbStick:
    """A stick whose writes go to a file of its own; an image below it is never changed.

    Attributes:
        overlay: its file; make one with `blank`, `of_image` or `copy_to`.
        image: what was written to it when it was made; None for a blank one.
        serial: number that it shows, at most 20 characters; all are of the same model.
        is_write_protected: has a small switch, and it is on.
        bytes_per_second: that it reads and writes at most; 0 does not slow it down.
        bus: where it is attached; what is not "usb" is a built-in disk.
        format: of its file; a stick with faults is "raw", because its server reads nothing else.
        faults: what is wrong with it; give it some with `with_faults`.
    """

    overlay: Path
    image: Path | None = None
    serial: str = ""
    is_write_protected: bool = False
    bytes_per_second: int = 0
    bus: Bus = "usb"
    format: Literal["qcow2", "raw"] = "qcow2"
    faults: Faults = NO_FAULTS

    @classmethod
    def blank(cls, overlay: Path, size: int) -> UsbStick:
        """Make a stick that is as it comes out of the shop, without even a partition table.

        Args:
            overlay: file that will be created; it takes no more room than what is written to it.
            size: bytes, rounded up to whole sectors.

        Raises:
            UsageError: no stick has such a size.
            SetupError: qemu-img is not installed.
            InfrastructureError: the file cannot be written.
        """
        _create(overlay, "-f", "qcow2", str(overlay), str(_sectors(size) * SECTOR))
        return cls(overlay)

    @classmethod
    def of_image(cls, image: Path, overlay: Path, size: int | None = None) -> UsbStick:
        """Make a stick with `image` on it, as `dd` writes it: from the first byte on.

        Args:
            overlay: file that will be created for what is written to the stick.
            size: bytes; None makes the stick as large as the image.

        Raises:
            UsageError: the image does not fit, or no stick has such a size.
            SetupError: qemu-img is not installed.
            InfrastructureError: the overlay cannot be written.
        """
        words = ["-f", "qcow2", "-F", "raw", "-b", str(image.resolve()), str(overlay)]
        if size is not None:
            content = image.stat().st_size
            if content > size:
                raise UsageError(
                    f"{printable(str(image))} has {content} bytes, the USB stick only {size}",
                    hint="give the stick a larger size",
                )
            words.append(str(_sectors(size) * SECTOR))
        _create(overlay, *words)
        return cls(overlay, image)

    def copy_to(self, overlay: Path) -> UsbStick:
        """Make another stick with the same content.

        What was written to this stick is copied, an image below it is not. Nobody may write to
        the stick meanwhile.

        Args:
            overlay: file that will be created.

        Raises:
            SetupError: cp is not installed.
            InfrastructureError: no space, no permission.
        """
        copy_file(self.overlay, overlay)
        return UsbStick(overlay, self.image, format=self.format)

    def with_faults(self, faults: Faults, file: Path) -> UsbStick:
        """Return this stick with some faults; what the stick was before is gone.

        Args:
            faults: all that are wrong with it.
            file: will be created if the stick had none so far. It takes the room of all that is on
                the stick, an image included.

        Raises:
            UsageError: a stick of this size cannot have them.
            SetupError: qemu-img is not installed.
            InfrastructureError: the file cannot be written.
        """
        if self.format == "raw":
            file = self.overlay
        else:
            convert = ["convert", "-f", "qcow2", "-O", "raw", str(self.overlay), str(file)]
            try:
                QEMU_IMG.run(*convert)
                file.chmod(0o600)
            except (InfrastructureError, OSError) as error:
                file.unlink(missing_ok=True)
                raise InfrastructureError(
                    f"cannot make a USB stick with faults: {error}",
                    hint="is there free space in the run's folder?",
                ) from error
        try:
            faults.check_within(file.stat().st_size)
            _forget_beyond(file, faults)
        except BaseException:
            if file != self.overlay:
                file.unlink(missing_ok=True)
            raise
        if file != self.overlay:
            self.overlay.unlink(missing_ok=True)
        return dataclasses.replace(self, overlay=file, format="raw", faults=faults)

    def disk(self, *, boot_order: int | None = 1) -> DiskValues:
        """Return the stick as a drive, for a machine."""
        empty = DiskValues(source=None)
        if self.faults:
            empty = FaultyDisk(source=None, faults=self.faults)
        return dataclasses.replace(
            empty,
            source=self.overlay,
            device="disk",
            bus=self.bus,
            target="sda",
            format=self.format,
            readonly=self.is_write_protected,
            removable=self.bus == "usb",
            serial=self.serial,
            bytes_per_second=self.bytes_per_second,
            boot_order=boot_order,
        )


def follow_image(overlay: Path, images: Mapping[str, Path]) -> None:
    """Say in the file of a stick where the image below it is now.

    Args:
        overlay: of a stick, "qcow2"; nobody uses it.
        images: path of then to path of now, with the same content; what is not in it has not moved.

    Raises:
        SetupError: qemu-img is not installed.
        InfrastructureError: the file is damaged, or cannot be written.
    """
    if not images:
        return
    told = json.loads(QEMU_IMG.run("info", "--output=json", "-f", "qcow2", str(overlay)))
    now = images.get(told.get("backing-filename", ""))
    if now is not None:
        words = ("-f", "qcow2", "-F", "raw", "-b", str(now.resolve()), str(overlay))
        QEMU_IMG.run("rebase", "-q", "-u", *words)


def _forget_beyond(file: Path, faults: Faults) -> None:
    """Take away what a medium that lies about its size cannot have kept of what was written to it.

    Args:
        file: its content, raw.

    Raises:
        InfrastructureError: no space, no permission.
    """
    kept = faults.kept
    if not kept:
        return
    size = file.stat().st_size
    try:
        if faults.beyond == "wraps":
            with file.open("rb") as opened:
                for begin, end in extents(opened.fileno(), kept, size):
                    while begin < end:  # in the order of writing: what comes later wins
                        count = min(end - begin, kept - begin % kept)
                        copy_range(file, file, start=begin, size=count, to=begin % kept)
                        begin += count
        os.truncate(file, kept)
        os.truncate(file, size)
    except OSError as error:
        raise InfrastructureError(f"cannot write {file}: {error.strerror}") from error


def _create(overlay: Path, *words: str) -> None:
    try:
        QEMU_IMG.run("create", "-q", *words)
    except InfrastructureError as error:
        overlay.unlink(missing_ok=True)
        raise InfrastructureError(
            f"cannot make a USB stick: {error.message}",
            hint="is there free space in the run's folder?",
        ) from error


def _sectors(size: int) -> int:
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(
            f"a USB stick cannot have {size} bytes", hint="take a size from 1 MiB to 2 TiB"
        )
    return -(-size // SECTOR)
