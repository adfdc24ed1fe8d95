"""A machine at rest: what has to be known, besides its files, to let it run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from pydantic import Field

from tailstest.core.errors import InfrastructureError
from tailstest.core.settings import Strict
from tailstest.hypervisor.marker import NAMESPACE
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.drives import file_of, text_of
from tailstest.media.faults import Faults

#: Names of the files of a machine at rest, in its folder; captures have a number behind theirs.
MEMORY = "memory"
VARIABLES = "uefi-variables"
CAPTURE = "capture"

#: Where libvirt's XML has arguments that it hands to QEMU as they are.
QEMU_ARGUMENT = "{http://libvirt.org/schemas/domain/qemu/1.0}arg"


class MachineLost(InfrastructureError):
    """A machine was stopped to be saved, and cannot run on."""


class MachineRefused(InfrastructureError):
    """QEMU or libvirt does not let a saved machine run on: the host is busy, or it is of no use."""


class SavedMachine(Strict):
    """What is known of a machine at rest.

    Attributes:
        definition: its parts.
        xml: of the domain as it ran, with the paths of then.
        folder: its private folder of then.
        serial_log: the file of its console, then.
        capture: the file of its network packets, then; empty without a network card.
        is_plugged: whether its network cable is plugged in.
        disks: its media but DVDs: path of then to the name of the copy.
        faults: of these media: path of then to what is wrong; others have none.
        serial_text: what its console has shown so far.
        serial_begin: bytes of that before its last start.
        serial_restart: bytes of that before what runs in it restarted it the last time.
        failure_texts: what on the console means failure.
        has_agent: whether somebody inside has answered.
        is_installed: whether the agent was installed by us.
    """

    definition: MachineDefinition
    xml: str
    folder: str
    serial_log: str
    capture: str = ""
    is_plugged: bool = True
    disks: dict[str, str]
    faults: dict[str, Faults] = Field(default_factory=dict)
    serial_text: str
    serial_begin: int
    serial_restart: int = 0
    failure_texts: list[str]
    has_agent: bool
    is_installed: bool

    @property
    def uuid(self) -> str:
        """Of its domain; a saved machine keeps it."""
        return ElementTree.fromstring(self.xml).findtext("uuid", "")

    def xml_at(
        self,
        *,
        folder: Path,
        serial_log: Path,
        disks: Mapping[str, Path],
        run: str,
        capture: Path | None = None,
    ) -> str:
        """Return the XML of the domain with the paths of now.

        Args:
            folder: private to the machine.
            serial_log: file of its console.
            disks: path of then to path of now, also of DVDs that have moved.
            run: id of the run that it now belongs to.
            capture: file of its network packets, if it has a card.
        """
        moved = {self.serial_log: str(serial_log)}
        moved |= {then: str(now) for then, now in disks.items()}
        root = ElementTree.fromstring(self.xml)
        for element in root.iter():
            if element.tag == f"{{{NAMESPACE}}}run":
                element.set("id", run)
                continue
            if element.tag == QEMU_ARGUMENT:
                element.set("value", self._argument(element.get("value", ""), folder, capture))
                continue
            for name, value in element.attrib.items():
                element.set(name, self._moved(value, moved, folder))
            if element.text and element.text.strip():
                element.text = self._moved(element.text, moved, folder)
        return text_of(root)

    def _argument(self, value: str, folder: Path, capture: Path | None) -> str:
        """Return an argument of QEMU with the paths of now: they stand inside other text."""
        value = value.replace(f"{self.folder}/", f"{folder}/")
        if self.capture and capture is not None:
            value = value.replace(self.capture, str(capture))
        return value

    def _moved(self, value: str, moved: Mapping[str, str], folder: Path) -> str:
        if value in moved:
            return moved[value]
        if value.startswith(f"{self.folder}/"):
            return f"{folder}{value[len(self.folder) :]}"
        return value


@dataclass(frozen=True)
class MachineAtRest:
    """A saved machine and the folder with its files.

    Attributes:
        facts: what is known of it.
        folder: with `MEMORY`, the copies of its media, `VARIABLES` of a UEFI machine.
        images: that its media were made of, and that lie in another place now: path of then to
            path of now.
    """

    facts: SavedMachine
    folder: Path
    images: Mapping[str, Path] = field(default_factory=dict)


def media_files(xml: str) -> list[str]:
    """Return the files of a domain's media that belong to its run, in their order: all but DVDs."""
    disks = ElementTree.fromstring(xml).iterfind("devices/disk")
    files = [file_of(disk) for disk in disks if disk.get("device") != "cdrom"]
    return [str(file) for file in files if file is not None]
