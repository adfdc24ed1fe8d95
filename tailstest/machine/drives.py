"""The drives in the XML of a domain: which there are, and changing them. Nothing here is done yet.

libvirt keeps two descriptions of a domain that runs, one of now and one of its next start; these
functions work on either.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tailstest.core.errors import UsageError
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.hypervisor.marker import NAMESPACE

#: Prefixes that libvirt gives these namespaces; the parser would invent others.
_PREFIXES = {
    "qemu": "http://libvirt.org/schemas/domain/qemu/1.0",
    "tailstest": NAMESPACE,
}

#: How the aliases of NVMe disks and SD cards begin; see vm-templates/disk.xml.j2.
BUILT_IN = ("ua-nvme-", "ua-sd-")

#: Names that a drive may have for libvirt; the guest does not see them.
_TARGETS = [f"sd{letter}" for letter in string.ascii_lowercase]


def text_of(element: Element) -> str:
    """Return XML as text, with the prefixes that libvirt uses."""
    for prefix, uri in _PREFIXES.items():
        ElementTree.register_namespace(prefix, uri)
    return ElementTree.tostring(element, encoding="unicode")


def arranged(disks: Iterable[DiskValues]) -> tuple[DiskValues, ...]:
    """Return drives for one machine, each with a name of its own.

    Args:
        disks: in the order in which the firmware shall try them; those with no boot order at all
            are never tried.

    Raises:
        UsageError: more than a machine can have.
    """
    found = list(disks)
    if len(found) > len(_TARGETS):
        raise too_many()
    return tuple(
        dataclasses.replace(
            disk, target=target, boot_order=None if disk.boot_order is None else number
        )
        for number, (disk, target) in enumerate(zip(found, _TARGETS, strict=False), start=1)
    )


def drives(domain: Element) -> list[Element]:
    """Return all drives."""
    return domain.findall("./devices/disk")


def sticks(domain: Element) -> list[Element]:
    """Return what is plugged into USB sockets; the one that is tried first when booting first."""
    found = [disk for disk in drives(domain) if bus_of(disk) == "usb"]
    return sorted(found, key=boot_order)


def dvd_drive(domain: Element) -> Element | None:
    """Return the first DVD drive; None if there is none."""
    return next((disk for disk in drives(domain) if disk.get("device") == "cdrom"), None)


def with_file(domain: Element, file: Path) -> Element | None:
    """Return the drive whose medium is a file of the host; None if there is none."""
    return next((disk for disk in drives(domain) if file_of(disk) == file), None)


def file_of(disk: Element) -> Path | None:
    """Return the file that is the medium of a drive; None for an empty one."""
    name = _of(disk, "source", "file") or served_file(disk)
    return Path(name) if name else None


def served_file(disk: Element) -> str:
    """Return the file that a server has for a drive; empty if QEMU itself opens its medium."""
    return _of(disk, "source", "name") if _of(disk, "source", "protocol") == "nbd" else ""


def socket_of(disk: Element) -> Path | None:
    """Return the socket of the server of a drive's medium; None if it needs none."""
    name = _of(disk, "source/host", "socket")
    return Path(name) if name else None


def is_built_in(disk: Element) -> bool:
    """Tell whether a drive stands for one that libvirt does not know, so that it always stays."""
    return _of(disk, "alias", "name").startswith(BUILT_IN)


def bus_of(disk: Element) -> str:
    """Return what a drive is attached to for libvirt."""
    return _of(disk, "target", "bus")


def boot_order(disk: Element) -> int:
    """Return the place of a drive when booting; those that are never tried come last."""
    number = _of(disk, "boot", "order")
    return int(number) if number.isdigit() else 1 << 16


def free_target(*domains: Element) -> str:
    """Return a name for one more drive.

    Args:
        domains: all descriptions of the machine.

    Raises:
        UsageError: more drives than a machine can have.
    """
    taken = {_of(disk, "target", "dev") for domain in domains for disk in drives(domain)}
    for target in _TARGETS:
        if target not in taken:
            return target
    raise too_many()


def next_boot_order(*domains: Element) -> int:
    """Return the place of one more drive when booting: behind all others."""
    places = [boot.get("order", "0") for domain in domains for boot in domain.iter("boot")]
    return 1 + max((int(place) for place in places if place.isdigit()), default=0)


def boot_first(domain: Element, first: Element) -> None:
    """Let a drive be tried before all others, which keep their order."""
    disks = [disk for disk in drives(domain) if disk.find("boot") is not None and disk is not first]
    ordered = [first, *sorted(disks, key=boot_order)]
    for number, disk in enumerate(ordered, start=1):
        boot = disk.find("boot")
        if boot is None:
            boot = ElementTree.SubElement(disk, "boot")
        boot.set("order", str(number))


def settle_boot(domain: Element) -> None:
    """Remove what libvirt adds by itself to a domain that can boot from nothing, if it now can.

    libvirt refuses a domain with both this and drives that have a place when booting.
    """
    system = domain.find("os")
    if system is not None and domain.find("./devices/*/boot") is not None:
        for boot in system.findall("boot"):
            system.remove(boot)


def put_in(disk: Element, file: Path | None) -> None:
    """Change the medium of a drive; None takes it out."""
    for name in ("source", "backingStore"):
        for old in disk.findall(name):
            disk.remove(old)
    if file is not None:
        ElementTree.SubElement(disk, "source", {"file": str(file)})


def too_many() -> UsageError:
    """Return what to raise when a machine has no socket left."""
    return UsageError(
        f"a machine can have {len(_TARGETS)} drives and sticks, not more",
        hint="pull out some that the scenario no longer needs",
    )


def _of(disk: Element, tag: str, attribute: str) -> str:
    element = disk.find(tag)
    return element.get(attribute, "") if element is not None else ""
