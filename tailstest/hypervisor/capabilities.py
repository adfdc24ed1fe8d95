"""What the installed QEMU and libvirt can do: asked, never concluded from a version."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable

#: Seconds for QEMU to list its devices; it takes 0.1 s.
LIST_LIMIT = 60.0

#: Devices that matter to a live system's tests, by QEMU's names.
USB_CONTROLLERS = ("piix3-usb-uhci", "usb-ehci", "ich9-usb-ehci1", "nec-usb-xhci", "qemu-xhci")
DISPLAY_DEVICES = ("VGA", "bochs-display", "cirrus-vga", "qxl-vga", "virtio-vga", "vmware-svga")


@dataclass(frozen=True)
class Capabilities:
    """What domains may use here.

    Attributes:
        chipsets: "pc" and "q35", as far as QEMU knows them.
        usb_controllers, display_devices: QEMU's names.
        video_models, disk_buses, graphics, channels: libvirt's names, from its domain capabilities.
        loaders: firmware files that libvirt offers.
        libvirt_version, qemu_version: for people to read.
    """

    chipsets: tuple[str, ...]
    usb_controllers: tuple[str, ...]
    display_devices: tuple[str, ...]
    video_models: tuple[str, ...]
    disk_buses: tuple[str, ...]
    graphics: tuple[str, ...]
    channels: tuple[str, ...]
    loaders: tuple[str, ...]
    libvirt_version: str
    qemu_version: str


def ask_capabilities(libvirt: Any, connection: Any, emulator: Path) -> Capabilities:
    """Ask libvirt's connection and QEMU.

    Raises:
        InfrastructureError: one of them does not answer.
    """
    try:
        text = connection.getDomainCapabilities(str(emulator), "x86_64", "q35", "qemu")
        version = connection.getLibVersion()
    except libvirt.libvirtError as error:
        raise InfrastructureError(
            f"libvirt does not tell what {emulator} can do: {error.get_error_message()}"
        ) from error
    domain = ElementTree.fromstring(text)
    devices = listed_names(ask_emulator(emulator, "-device", "help"), r'^name "([^"]+)"')
    machines = listed_names(ask_emulator(emulator, "-machine", "help"), r"^(\S+)\s")
    return Capabilities(
        chipsets=_present(("pc", "q35"), machines),
        usb_controllers=_present(USB_CONTROLLERS, devices),
        display_devices=_present(DISPLAY_DEVICES, devices),
        video_models=enum_values(domain, "devices/video", "modelType"),
        disk_buses=enum_values(domain, "devices/disk", "bus"),
        graphics=enum_values(domain, "devices/graphics", "type"),
        channels=enum_values(domain, "devices/channel", "type"),
        loaders=tuple(each.text or "" for each in domain.findall("os/loader/value")),
        libvirt_version=f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}",
        qemu_version=ask_emulator(emulator, "--version").partition("\n")[0],
    )


def enum_values(domain: ElementTree.Element, path: str, name: str) -> tuple[str, ...]:
    """Return the values of one enumeration in libvirt's domain capabilities; () if unsupported."""
    element = domain.find(path)
    if element is None or element.get("supported") != "yes":
        return ()
    return tuple(each.text or "" for each in element.findall(f"enum[@name='{name}']/value"))


def listed_names(text: str, pattern: str) -> set[str]:
    """Return what `pattern` captures in each line of one of QEMU's help texts."""
    return set(re.findall(pattern, text, re.MULTILINE))


def ask_emulator(emulator: Path, *arguments: str) -> str:
    """Return what QEMU prints for a question such as "-device help".

    Raises:
        InfrastructureError: it fails, or does not answer in a minute.
    """
    command = [str(emulator), *arguments]
    try:
        answer = subprocess.run(
            command, capture_output=True, timeout=LIST_LIMIT, check=True, stdin=subprocess.DEVNULL
        )
    except subprocess.CalledProcessError as error:
        said = printable(error.stderr.decode("utf-8", "replace")).strip()[:400]
        raise InfrastructureError(f"{' '.join(command)} failed: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"{' '.join(command)} does not answer: {error}") from error
    return printable(answer.stdout.decode("utf-8", "replace"))


def _present(wanted: Iterable[str], found: set[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in found)
