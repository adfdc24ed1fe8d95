"""What the machines of one run share."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tailstest.core.events import ArtifactKept, Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.core.text import printable
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.domain_template import DiskValues, DomainValues
from tailstest.hypervisor.host_report import HostReport
from tailstest.lab.network.keeper import LabKeeper
from tailstest.machine.definition import MachineDefinition
from tailstest.media.media_folder import MediaFolder
from tailstest.screen.library import ReferenceLibrary

#: Models of controllers by the version of USB. A USB 2 controller of a real board has companions
#: for slow devices; what we plug in are fast ones.
USB_CONTROLLERS: dict[int, Literal["piix3-uhci", "ehci", "qemu-xhci"]] = {
    1: "piix3-uhci",
    2: "ehci",
    3: "qemu-xhci",
}


@dataclass(frozen=True)
class Bench:
    """What machines of one run share: where they run, and where their evidence goes.

    Attributes:
        hypervisor: the open connection.
        host: what the host can do.
        settings: of the run.
        events: told about everything.
        evidence: gives out file names.
        media: gives out those of media, which are no evidence.
        library: the reference images that the screens may be searched for.
        labs: gives out the lab of a scenario; None: machines only have QEMU's own network.
    """

    hypervisor: Hypervisor
    host: HostReport
    settings: Settings
    events: Events
    evidence: EvidenceFolder
    media: MediaFolder
    library: ReferenceLibrary
    labs: LabKeeper | None = None

    def machine_folder(self) -> Path:
        """Return a new private folder for what QEMU needs besides evidence; its path is short."""
        parent = self.hypervisor.root or self.hypervisor.run_folder
        folder = parent / f"machine-{uuid.uuid4().hex[:8]}"
        folder.mkdir(mode=0o700)
        return folder

    def domain_values(
        self,
        name: str,
        definition: MachineDefinition,
        disks: tuple[DiskValues, ...],
        *,
        folder: Path,
        serial_log: Path,
        serial_socket: Path | None,
        viewer_socket: Path | None,
        channels: dict[str, Path],
        qemu_arguments: Sequence[str] = (),
    ) -> DomainValues:
        """Return what the domain template needs for a machine on this host.

        Args:
            name: for people; the domain itself gets a unique one.
            disks: its drives.
            folder: private to the machine; its own copy of UEFI's variables goes there.
            serial_socket: where the first serial port can be used; None: it only writes the log.
            channels: virtio-serial ports for agents in the guest, name to socket.
            qemu_arguments: of QEMU, for its network card.

        Raises:
            SetupError: the firmware asked for is not installed.
        """
        loader = nvram = None
        if definition.firmware == "uefi":
            pair = self.host.uefi_for(definition.chipset)
            loader, nvram = pair.code, folder / "uefi-variables"
            shutil.copyfile(pair.variables, nvram)
        return DomainValues(
            name=f"tailstest-{uuid.uuid4().hex[:12]}",
            uuid=str(uuid.uuid4()),
            title=printable(name)[:120].replace("\n", " "),
            run_id=self.hypervisor.run_id,
            emulator=self.hypervisor.emulator,
            accelerator=self.host.accelerator,
            cpu_model=self.host.cpu_model,
            machine=definition.chipset,
            firmware=definition.firmware,
            loader=loader,
            nvram=nvram,
            memory_mib=definition.memory_mib,
            searchable_memory=definition.searchable_memory,
            cpus=definition.cpus,
            clock_ahead=definition.clock_ahead,
            width=definition.width,
            height=definition.height,
            disks=disks,
            serial_log=serial_log,
            serial_socket=serial_socket,
            usb_controller=USB_CONTROLLERS[definition.usb],
            qemu_arguments=tuple(qemu_arguments),
            vnc_socket=viewer_socket,
            channels=channels,
        )

    def keep(self, kind: str, path: Path, title: str, *, truncated: bool = False) -> None:
        """Tell that a file in the run's folder is worth keeping."""
        self.events.publish(
            ArtifactKept(
                kind=kind, path=self.evidence.relative(path), title=title, truncated=truncated
            )
        )
