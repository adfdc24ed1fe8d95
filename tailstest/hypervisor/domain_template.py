"""Domain XML from the templates in vm-templates/."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jinja2

from tailstest.core.errors import UsageError
from tailstest.core.paths import bundled
from tailstest.hypervisor.marker import NAMESPACE

#: Template used unless a profile names another.
DEFAULT_TEMPLATE = "domain.xml.j2"

#: Template of one drive; the other one includes it.
DISK_TEMPLATE = "disk.xml.j2"


@dataclass(frozen=True, kw_only=True)
class DiskValues:
    """One drive of a domain.

    Attributes:
        source: file on the host; None for an empty CD drive.
        device: what the guest sees.
        socket: where NBD serves the medium; its name there is `source`. None: QEMU opens the file.
        bus: where it is attached. On machine "pc" a SATA drive becomes an IDE one. "nvme" is an
            NVMe controller with one disk, "sd" a card in an SD host controller of the PCI bus; both
            are only for machines that do not run yet.
        target: its name for libvirt, unique in the domain ("sda", "hdc", "vda").
        format: of the file.
        readonly: forced to true for "cdrom".
        removable: whether a USB disk tells the guest that its medium can be taken out.
        boot_order: 1 is tried first; None: never booted from.
        serial: serial number shown to the guest, at most 20 characters; empty for none.
        alias: name to find the drive by, must begin with "ua-"; empty lets libvirt choose.
        bytes_per_second: that it reads and writes at most; 0 does not slow it down.
    """

    source: Path | None
    socket: Path | None = None
    device: Literal["disk", "cdrom"] = "disk"
    bus: Literal["sata", "ide", "usb", "virtio", "nvme", "sd"] = "sata"
    target: str = "sda"
    format: Literal["raw", "qcow2"] = "raw"
    readonly: bool = False
    removable: bool = False
    boot_order: int | None = None
    serial: str = ""
    alias: str = ""
    bytes_per_second: int = 0

    def render(self, machine: str, *, folder: Path | None = None) -> str:
        """Return the XML of this drive alone, to be plugged in.

        Args:
            machine: chipset, "pc" or "q35".
            folder: a suite's own templates; see `render_domain`.
        """
        return render_domain(DISK_TEMPLATE, folder=folder, disk=self, machine=machine)


@dataclass(frozen=True, kw_only=True)
class DomainValues:
    """Everything a domain template may use; a custom template may leave out what it likes.

    Attributes:
        name: of the domain, unique on the connection.
        uuid: of the domain.
        run_id: marks the domain as ours (`Hypervisor.run_id`).
        title: for people; control characters must be out already.
        emulator: path of QEMU.
        accelerator: "kvm" or "tcg".
        cpu_model: "host" passes the host's CPU through (KVM only); otherwise a model of QEMU,
            with features as in "qemu64,+rdrand".
        machine: chipset; "pc" is i440fx with PIIX3, "q35" a PCI Express board.
        firmware: "bios" or "uefi".
        loader, nvram: UEFI code (read-only) and this machine's own copy of the variables (raw).
        memory_mib: size of the memory.
        searchable_memory: whether QEMU keeps it in a file without a name, which can be opened.
        cpus: number of virtual processors.
        clock_ahead: seconds by which the hardware clock is ahead of the right time.
        tb_size_mib: memory for code that TCG translated; ignored with KVM.
        width, height: resolution that the display announces (EDID) and the firmware starts with.
        disks: drives in order.
        serial_log: file that gets what the guest writes to its first serial port; None for no port.
        serial_socket: Unix socket through which the first serial port can be used; None: it only
            writes the log.
        usb_controller: whose sockets it has, of USB 1, 2 or 3.
        network: "none", or "user": QEMU's own NAT. `network_restricted` cuts it off the world.
        network_model: card that the guest sees.
        qemu_arguments: of QEMU, for what libvirt has no words for.
        kernel, initrd, cmdline: boot these directly, without firmware's or a medium's loader.
        channels: name of a virtio-serial port to socket on the host, for agents in the guest.
        vnc_socket: Unix socket for a viewer; None: no viewer, screenshots work all the same.
        panic_device: lets a Linux guest report a kernel panic.
        watchdog: a watchdog card whose alarm becomes an event and does nothing else.
        on_poweroff, on_reboot, on_crash: what libvirt does; "preserve" keeps a crashed guest's
            screen to be looked at, "restart" lets a reboot happen.
    """

    name: str
    uuid: str
    run_id: str
    emulator: Path
    title: str = ""
    accelerator: Literal["kvm", "tcg"] = "tcg"
    cpu_model: str = "qemu64,+rdrand"
    machine: Literal["pc", "q35"] = "q35"
    firmware: Literal["bios", "uefi"] = "bios"
    loader: Path | None = None
    nvram: Path | None = None
    memory_mib: int = 1024
    searchable_memory: bool = False
    cpus: int = 2
    clock_ahead: int = 0
    tb_size_mib: int = 512
    width: int = 1024
    height: int = 768
    disks: tuple[DiskValues, ...] = ()
    serial_log: Path | None = None
    serial_socket: Path | None = None
    usb_controller: Literal["piix3-uhci", "ehci", "qemu-xhci"] = "qemu-xhci"
    network: Literal["none", "user"] = "none"
    network_restricted: bool = True
    network_model: Literal["virtio", "e1000"] = "virtio"
    qemu_arguments: tuple[str, ...] = ()
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""
    channels: dict[str, Path] = field(default_factory=dict)
    vnc_socket: Path | None = None
    panic_device: bool = True
    watchdog: bool = False
    on_poweroff: Literal["destroy", "preserve", "restart"] = "destroy"
    on_reboot: Literal["restart", "destroy", "preserve"] = "restart"
    on_crash: Literal["preserve", "destroy", "restart"] = "preserve"

    def render(self, template: str = DEFAULT_TEMPLATE, *, folder: Path | None = None) -> str:
        """Return the XML of a domain with these values; see `render_domain`."""
        fields = dataclasses.fields(self)
        values = {each.name: getattr(self, each.name) for each in fields}
        return render_domain(template, folder=folder, **values)


def render_domain(template: str, *, folder: Path | None = None, **values: Any) -> str:
    """Fill in a domain template.

    Args:
        template: file name, looked for in `folder` first and in the bundled vm-templates then.
        folder: a suite's own templates; a template there may extend or include bundled ones.
        values: the attributes of `DomainValues` by name; every string is escaped for XML.

    Raises:
        UsageError: no such template, a mistake in it (file and line), or a value it misses.
    """
    folders = [str(path) for path in (folder, bundled("vm-templates")) if path is not None]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return environment.get_template(template).render(marker_namespace=NAMESPACE, **values)
    except jinja2.TemplateNotFound as error:
        raise UsageError(
            f"there is no domain template {error.name!r} in {' or '.join(folders)}",
            hint=f"use one of: {', '.join(sorted(environment.list_templates()))}",
        ) from error
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(
            f"{error.filename or template}:{error.lineno}: {error.message}",
            hint="this is a Jinja2 template: https://jinja.palletsprojects.com/templates/",
        ) from error
    except jinja2.TemplateError as error:
        raise UsageError(
            f"domain template {template}: {error.message}",
            hint="the values it may use are described at the top of the bundled template",
        ) from error
