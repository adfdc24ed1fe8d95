"""A real Linux and media that are pulled out, built in, and given back."""

import re
import subprocess
from dataclasses import replace

import psutil
import pytest
from conftest import RESCUE
from test_checkpoints import at_command_line, saved, wake  # noqa: F401

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.media.dvd import Dvd
from tailstest.media.faults import NO_FAULTS
from tailstest.media.shell_linux import shell_iso
from tailstest.media.usb_stick import UsbStick

pytestmark = pytest.mark.vm

MIB = 1 << 20


@pytest.fixture
def new(bench):
    """Return a function that makes blank media of 64 MiB."""

    def stick(name, bus="usb"):
        blank = UsbStick.blank(bench.media.path(name, ".qcow2"), 64 * MIB)
        return replace(blank, bus=bus)

    return stick


def servers():
    """Return the servers of media with faults that run."""
    return [each for each in psutil.Process().children() if each.name() == "nbdkit"]


def written(stick):
    """Return how many bytes of a stick were written."""
    return stick.overlay.stat().st_blocks * 512


def test_a_linux_meets_built_in_media_and_media_that_come_and_go(make, new):
    system, card = Dvd(shell_iso().build()), new("card", bus="sd")
    inside, stick, disk = new("inside", bus="nvme"), new("stick"), new("disk", bus="virtio")
    machine = make(system.disk(), card.disk(), inside.disk(), memory_mib=512)
    machine.wait_serial("READY")
    # There are an SD card in a reader of its own, and an NVMe controller.
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
    machine.wait_serial(re.compile(r"(?s)ended with 1.*Attached SCSI removable disk"))
    with pytest.raises(CheckFailed, match='"stick" cannot be removed safely'):
        machine.bay.remove(stick.overlay, "stick", within=0.1)
    assert machine.bay.holds(stick.overlay)
    machine.keyboard.type("eject /dev/sda\n")
    machine.bay.remove(stick.overlay, "stick", within=60)
    assert not machine.bay.holds(stick.overlay)

    # A disk on the PCI bus is given back by the system.
    machine.bay.plug_in(disk.disk())
    machine.keyboard.type("cat /sys/bus/pci/devices/*/device > /dev/ttyS0\n")
    machine.wait_serial("0x1042")  # virtio-blk
    machine.bay.remove(disk.overlay, "disk", within=60)
    assert not machine.bay.holds(disk.overlay)
    machine.check_running()


def test_a_bad_stick_starts_a_machine_and_is_still_bad_when_a_saved_one_runs_on(
    make,
    wake,  # noqa: F811
    bench,
    tmp_path,
):
    image = UsbStick.of_image(RESCUE, tmp_path / "s.qcow2", 64 * MIB)
    bad = image.with_faults(
        NO_FAULTS.with_place("unreadable", 32 * MIB, 64 * MIB),
        bench.media.path("bad", ".raw"),
    )
    machine = make(bad.disk(), memory_mib=256, medium="usb")
    at_command_line(machine, "before")
    machine.keyboard.type("clear; hexdump --skip=33554432 --length=16 (hd0)\n")
    machine.screen.wait_text("failure reading")
    facts = saved(machine, tmp_path / "rest")
    assert facts.faults == {str(bad.overlay): bad.faults}
    assert servers() == []
    bad.overlay.unlink()
    again = wake(facts, tmp_path / "rest")
    again.keyboard.type("clear; echo woken; hexdump --skip=50000000 --length=16 (hd0)\n")
    again.screen.wait_text("woken")
    again.screen.wait_text("failure reading")
    again.close()
    assert servers() == []
