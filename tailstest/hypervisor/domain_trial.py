"""Trying on a domain that never runs what only trying can tell: screenshots and snapshots."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.core.text import printable
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.discard import discard_domain
from tailstest.hypervisor.domain_template import DiskValues, DomainValues
from tailstest.hypervisor.firmware import FirmwarePair

#: Bytes of a screenshot that are read; its beginning tells the format.
_SCREENSHOT_HEAD = 1024


@dataclass(frozen=True)
class DomainTrial:
    """What worked with one firmware.

    Attributes:
        firmware: "bios" or "uefi".
        screenshot_format: MIME type that libvirt announced; "" if it takes none.
        snapshots: kinds that work: "internal" (memory and disks inside the disk's qcow2 file),
            "disk overlay" (disks alone, in new files), "memory file" (memory alone, in a file).
        refused: what does not work, with libvirt's words.
    """

    firmware: str
    screenshot_format: str
    snapshots: tuple[str, ...]
    refused: tuple[str, ...]


def try_domain(hypervisor: Hypervisor, pair: FirmwarePair | None) -> DomainTrial:
    """Start a paused domain, take a screenshot and each kind of snapshot, throw it away.

    Args:
        hypervisor: an open connection.
        pair: UEFI firmware, or None for BIOS.
    """
    firmware = "uefi" if pair else "bios"
    refused: list[str] = []
    snapshots: list[str] = []
    formats: list[str] = []

    def attempt(name: str, action: Callable[[], object]) -> bool:
        try:
            action()
        except hypervisor.libvirt.libvirtError as error:
            refused.append(f"{name}: {printable(error.get_error_message())}")
            return False
        except (OSError, subprocess.SubprocessError) as error:
            refused.append(f"{name}: {error}")
            return False
        return True

    parent = hypervisor.root or hypervisor.run_folder
    with tempfile.TemporaryDirectory(prefix="trial-", dir=parent) as name:
        folder = Path(name)
        domain: Any = None

        def start() -> None:
            nonlocal domain
            domain = _start(hypervisor, folder, pair)

        if attempt("domain", start):
            attempt("screenshot", lambda: formats.append(_screenshot(hypervisor, domain)))
            for kind, action in _snapshot_kinds(hypervisor.libvirt, domain, folder):
                if attempt(kind, action):
                    snapshots.append(kind)
            discard_domain(hypervisor.libvirt, domain)
    return DomainTrial(
        firmware=firmware,
        screenshot_format=formats[0] if formats else "",
        snapshots=tuple(snapshots),
        refused=tuple(refused),
    )


def _start(hypervisor: Hypervisor, folder: Path, pair: FirmwarePair | None) -> Any:
    disk, nvram = folder / "disk.qcow2", folder / "variables.fd"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1M"], check=True, timeout=60
    )
    if pair is not None:
        shutil.copyfile(pair.variables, nvram)
    values = DomainValues(
        name=f"trial-{uuid.uuid4().hex[:8]}",
        uuid=str(uuid.uuid4()),
        run_id=hypervisor.run_id,
        emulator=hypervisor.emulator,
        firmware="uefi" if pair else "bios",
        loader=pair.code if pair else None,
        nvram=nvram if pair else None,
        memory_mib=32,
        cpus=1,
        tb_size_mib=32,
        disks=(DiskValues(source=disk, bus="virtio", target="vda", format="qcow2"),),
    )
    libvirt = hypervisor.libvirt
    domain = hypervisor.connection.defineXML(values.render())
    try:
        with hypervisor.starting(domain):
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    except libvirt.libvirtError:
        discard_domain(libvirt, domain)
        raise
    return domain


def _screenshot(hypervisor: Hypervisor, domain: Any) -> str:
    stream = hypervisor.connection.newStream(0)
    mime = str(domain.screenshot(stream, 0))
    stream.recv(_SCREENSHOT_HEAD)
    stream.abort()
    return mime


def _snapshot_kinds(
    libvirt: Any, domain: Any, folder: Path
) -> list[tuple[str, Callable[[], object]]]:
    overlay = (
        "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
        f"<source file='{folder / 'overlay.qcow2'}'/></disk></disks></domainsnapshot>"
    )
    return [
        (
            "internal",
            lambda: domain.snapshotCreateXML("<domainsnapshot/>", 0).delete(0),
        ),
        (
            "disk overlay",
            lambda: domain.snapshotCreateXML(overlay, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY),
        ),
        # Saving stops the domain, so it comes last.
        ("memory file", lambda: domain.save(str(folder / "memory"))),
    ]
