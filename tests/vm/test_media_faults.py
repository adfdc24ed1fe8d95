"""A real Linux and media that are pulled out, built in, and given back."""

import subprocess
from dataclasses import replace

import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.media.shell_linux import shell_iso
from tailstest.media.usb_stick import UsbStick

pytestmark = pytest.mark.vm

MIB = 1 << 20


@pytest.fixture
def new(bench):
    """Return a function that makes blank media, or media with an image."""

    def stick(name, bus="usb", size=64 * MIB, image=None):
        file = bench.evidence.path("disks", name, ".qcow2")
        made = UsbStick.of_image(image, file, size) if image else UsbStick.blank(file, size)
        return replace(made, bus=bus)

    return stick


def written(stick):
    """Return how many bytes of a stick were written."""
    return stick.overlay.stat().st_blocks * 512


def test_a_linux_meets_built_in_media_and_media_that_come_and_go(make, new):
    card = new("card", bus="sd", image=shell_iso().build())
    inside, stick, disk = new("inside", bus="nvme"), new("stick"), new("disk", bus="virtio")
    machine = make(card.disk(), inside.disk(), memory_mib=512, medium="usb")
    machine.wait_serial("READY")
    # It started from an SD card in a reader of its own, and has an NVMe controller.
    machine.wait_serial("mmcblk0: mmc0:")
    machine.keyboard.type("cat /sys/bus/pci/devices/*/class > /dev/ttyS0\n")
    machine.wait_serial("0x010802")
    for one in (card, inside):
        with pytest.raises(UsageError, match="built into the machine"):
            machine.bay.pull_out(one.overlay, "x")
        with pytest.raises(UsageError, match="cannot be built into a machine that runs"):
            machine.bay.plug_in(new("late", bus=one.bus).disk())

    # A stick is pulled out while it is written to.
    machine.bay.plug_in(stick.disk())
    machine.wait_serial("[sda] Attached SCSI removable disk")
    before = written(stick)
    machine.keyboard.type("dd if=/dev/zero of=/dev/sda bs=64k; echo ended with $? > /dev/ttyS0\n")
    limit = Deadline.after(60, scale=machine.deadline_scale)
    assert poll(lambda: True if written(stick) > before + MIB else None, limit)
    machine.bay.pull_out(stick.overlay, "stick")
    machine.wait_serial("USB disconnect")
    machine.wait_serial("ended with 1")
    machine.check_running()
    assert MIB < written(stick) < 64 * MIB
    subprocess.run(["qemu-img", "check", "-q", str(stick.overlay)], check=True)

    # It is not safe to remove before the system has ejected it.
    machine.bay.plug_in(stick.disk())
    machine.wait_serial("[sdb] Attached SCSI removable disk")
    with pytest.raises(CheckFailed, match='"stick" cannot be removed safely'):
        machine.bay.remove(stick.overlay, "stick", within=0.1)
    assert machine.bay.holds(stick.overlay)
    machine.keyboard.type("eject /dev/sdb\n")
    machine.bay.remove(stick.overlay, "stick", within=60)
    assert not machine.bay.holds(stick.overlay)

    # A disk on the PCI bus is given back by the system.
    machine.bay.plug_in(disk.disk())
    machine.keyboard.type("cat /sys/bus/pci/devices/*/device > /dev/ttyS0\n")
    machine.wait_serial("0x1042")  # virtio-blk
    machine.bay.remove(disk.overlay, "disk", within=60)
    assert not machine.bay.holds(disk.overlay)
    machine.check_running()
