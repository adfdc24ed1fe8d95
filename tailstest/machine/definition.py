"""What a machine is made of, before it exists."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tailstest.core.settings import Strict
from tailstest.hypervisor.domain_template import DomainValues
from tailstest.hypervisor.memory_claims import memory_for

#: Seconds that a hardware clock may be wrong at most: thirty years, which is past both ends of what
#: systems of today take for a date.
_DECADES = 30 * 366 * 86_400


class MachineDefinition(Strict):
    """The parts of one machine; profiles give defaults, steps change single fields.

    Attributes:
        firmware: "bios" (SeaBIOS) or "uefi" (OVMF with a variable store of the machine's own).
        chipset: "pc" is an i440FX board of 1996, "q35" a PCI Express board of 2009.
        memory_mib: main memory in MiB.
        searchable_memory: whether its main memory can be searched, also after it is off. QEMU then
            takes all of it from the host, and seconds longer to be saved and to run on.
        cpus: processors.
        medium: what the image is on: a DVD in a drive or a USB stick.
        width, height: resolution that the display announces, in pixels.
        channel: how commands get inside: "agent" (the image carries ours), "qemu-agent" (the image
            carries QEMU's guest agent; ours is installed through it), "debug-shell" (a root shell
            that systemd opens on the serial port when the kernel command line asks for it; the
            agent is installed through it), "serial-login" (a login prompt on the serial port; the
            agent is installed through the shell behind it), "auto" (the first of these that the
            image offers), or "none".
        login_user, login_password: for "serial-login"; the user must be root by number, because the
            agent is. The password may be empty.
        usb: version of its USB sockets.
        network: "none" has no network card; "user" has one in a network that leads nowhere;
            "isolated" one in a network of the lab that gives out addresses and nothing else;
            "lab" one in a network of the lab that leads to the lab's Internet.
        cable: whether the network cable is plugged in when it is switched on.
        mac: MAC address of the card: the one that a system may want to hide.
        clock_ahead: seconds by which its hardware clock is ahead of the right time when it is
            switched on; below 0 it is behind.
    """

    firmware: Literal["bios", "uefi"] = "bios"
    chipset: Literal["pc", "q35"] = "q35"
    memory_mib: Annotated[int, Field(ge=16, le=65_536)] = 1024
    searchable_memory: bool = False
    cpus: Annotated[int, Field(ge=1, le=64)] = 2
    medium: Literal["dvd", "usb"] = "dvd"
    width: Annotated[int, Field(ge=640, le=3840)] = 1024
    height: Annotated[int, Field(ge=480, le=2160)] = 768
    usb: Literal[1, 2, 3] = 3
    network: Literal["none", "user", "isolated", "lab"] = "none"
    cable: bool = True
    mac: Annotated[str, Field(pattern=r"^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$")] = (
        "52:54:00:12:34:56"
    )
    clock_ahead: Annotated[int, Field(ge=-_DECADES, le=_DECADES)] = 0
    channel: Literal["auto", "none", "agent", "qemu-agent", "debug-shell", "serial-login"] = "auto"
    login_user: Annotated[str, Field(min_length=1, max_length=256)] = "root"
    login_password: Annotated[str, Field(max_length=1024, repr=False)] = ""


def memory_needed(definition: MachineDefinition, accelerator: str) -> int:
    """Return the MiB of the host that a machine may come to need; see `memory_for`."""
    return memory_for(definition.memory_mib, accelerator, DomainValues.tb_size_mib)
