"""Sticks and DVDs of a real machine: plugged in, pulled out, changed, and started from."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import RESCUE
from test_checkpoints import at_command_line, saved, wake  # noqa: F401
from test_machine import qemu_of

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import UsageError
from tailstest.media.dvd import Dvd
from tailstest.media.image_file import digest_of
from tailstest.media.usb_stick import UsbStick

pytestmark = pytest.mark.vm

MIB = 1 << 20


@pytest.fixture
def sticks(bench):
    """Return two sticks: a blank one, and one with the rescue image."""

    def file(name):
        return bench.media.path(name, ".qcow2")

    return UsbStick.blank(file("blank"), 64 * MIB), UsbStick.of_image(
        RESCUE, file("rescue"), 64 * MIB
    )


def in_qemu(bench, machine):
    """Return what QEMU itself has open."""
    (process,) = qemu_of(bench)
    return {file.path for file in process.open_files()}


def test_a_stick_is_plugged_in_and_pulled_out_as_often_as_one_likes(make, sticks, bench):
    machine = make(memory_mib=256)
    blank, rescue = sticks
    machine.bay.plug_in(rescue.disk())
    for _ in range(5):
        machine.bay.plug_in(blank.disk())
        assert str(blank.overlay) in in_qemu(bench, machine)
        assert machine.bay.sticks() == [rescue.overlay, blank.overlay]
        machine.bay.pull_out(blank.overlay, "blank")
        assert str(blank.overlay) not in in_qemu(bench, machine)
    assert machine.bay.sticks() == [rescue.overlay]
    with pytest.raises(UsageError, match='"blank" is not plugged in'):
        machine.bay.pull_out(blank.overlay, "blank")
    with pytest.raises(UsageError, match="plugged in already"):
        machine.bay.plug_in(rescue.disk())
    machine.screen.wait_text("GNU/Linux")


def test_what_was_plugged_in_is_there_after_switching_off_and_on(make, sticks):
    blank, rescue = sticks
    machine = make(memory_mib=256)
    machine.bay.plug_in(blank.disk())
    machine.power_off()
    assert machine.bay.sticks() == [blank.overlay]
    machine.bay.pull_out(blank.overlay, "blank")
    machine.bay.plug_in(rescue.disk())
    machine.power_on()
    assert machine.bay.sticks() == [rescue.overlay]
    machine.screen.wait_text("GNU/Linux")


def test_the_same_machine_starts_from_another_stick(make, sticks):
    blank, rescue = sticks
    machine = make(blank.disk(), memory_mib=256, medium="usb")
    machine.screen.wait_text("not a bootable disk")
    machine.power_off()
    machine.bay.plug_in(rescue.disk())
    machine.bay.boot_from(rescue.overlay)
    machine.power_on()
    assert machine.bay.sticks() == [rescue.overlay, blank.overlay]
    machine.screen.wait_text("GNU/Linux")


def test_a_machine_with_nothing_to_boot_from_gets_something(make, sticks):
    blank, rescue = sticks
    machine = make(blank.disk(), memory_mib=256, medium="usb")
    machine.bay.pull_out(blank.overlay, "blank")
    machine.power_off()
    machine.power_on()
    machine.screen.wait_text("No bootable device")
    machine.bay.plug_in(rescue.disk())
    machine.power_off()
    machine.power_on()
    machine.screen.wait_text("GNU/Linux")


def test_a_dvd_is_ejected_and_changed(make, tmp_path, bench):
    other = tmp_path / "other.iso"
    shutil.copyfile(RESCUE, other)
    machine = make(memory_mib=256)
    machine.screen.wait_text("GNU/Linux")
    machine.bay.eject_dvd()
    assert not machine.bay.holds(RESCUE)
    assert str(RESCUE) not in in_qemu(bench, machine)
    with pytest.raises(UsageError, match="no DVD in the drive"):
        machine.bay.eject_dvd()
    machine.power_off()
    machine.power_on()
    machine.screen.wait_text("No bootable device")
    machine.bay.put_in_dvd(other)
    assert str(other) in in_qemu(bench, machine)
    machine.power_off()
    machine.power_on()
    machine.screen.wait_text("GNU/Linux")
    machine.bay.put_in_dvd(RESCUE)
    assert machine.bay.holds(RESCUE)


def test_a_medium_in_use_by_another_machine_is_refused(make, sticks):
    blank, _rescue = sticks
    make(Dvd(RESCUE).disk(), blank.disk(), memory_mib=256)
    other = make(memory_mib=256)
    with pytest.raises(UsageError, match="in use by another machine"):
        other.bay.plug_in(blank.disk())
    assert other.bay.sticks() == []


@pytest.mark.parametrize("usb", [1, 2, 3])
def test_a_stick_starts_from_every_version_of_usb(make, sticks, usb):
    _blank, rescue = sticks
    machine = make(rescue.disk(), memory_mib=256, medium="usb", usb=usb)
    machine.screen.wait_text("GNU/Linux")


def test_twins_a_slow_stick_and_a_protected_one_are_there_together(make, wake, sticks, tmp_path):  # noqa: F811
    blank, rescue = sticks
    kinds = [
        replace(rescue, serial="0001", is_write_protected=True),
        replace(blank, serial="0001", bytes_per_second=1_000_000),
        replace(UsbStick.blank(tmp_path / "v.qcow2", MIB), bus="virtio"),
        replace(UsbStick.blank(tmp_path / "s.qcow2", MIB), bus="sata"),
    ]
    machine = make(*(kind.disk() for kind in kinds), memory_mib=256, medium="usb")
    at_command_line(machine, "all of them")
    machine.keyboard.type("clear; ls\n")
    machine.screen.wait_text("hd3")
    facts = saved(machine, tmp_path / "rest")
    assert len(facts.disks) == 4
    again = wake(facts, tmp_path / "rest")
    again.screen.wait_text("hd3")


def test_a_machine_with_two_sticks_is_saved_and_runs_on(make, wake, sticks, tmp_path):  # noqa: F811
    blank, rescue = sticks
    before = digest_of(RESCUE)
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 64k", str(blank.overlay)], check=True)
    machine = make(rescue.disk(), memory_mib=256, medium="usb")
    at_command_line(machine, "two sticks")
    machine.bay.plug_in(blank.disk())
    facts = saved(machine, tmp_path / "rest")
    assert set(facts.disks) == {str(rescue.overlay), str(blank.overlay)}
    blank.overlay.unlink()
    rescue.overlay.unlink()
    again = wake(facts, tmp_path / "rest")
    moved = [again.moved_disks[str(each.overlay)] for each in (rescue, blank)]
    assert again.bay.sticks() == moved
    again.bay.pull_out(moved[1], "blank")
    read = ["qemu-io", "-c", "read -P 7 1M 64k", str(moved[1])]
    assert "verification failed" not in subprocess.run(read, capture_output=True, text=True).stdout
    again.keyboard.type("echo giraffes\n")
    again.screen.wait_text("giraffes")
    again.power_off()
    again.power_on()
    again.screen.wait_text("GNU/Linux")
    assert digest_of(RESCUE) == before


#: A run that looks at a stick of its own, until it is killed.
LOOKING = """
import pathlib, sys
from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.media.stick_content.inspection import StickInspection
from tailstest.suite.session import Session

run = pathlib.Path(sys.argv[1])
session = Session(settings=Settings(), events=Events(), evidence=EvidenceFolder(run), suite=run,
    images=[])
session.shelf.add_blank("a", 1 << 20)
session.shelf.add_blank("b", 2 << 20)
session.shelf.keep_only("b", 1 << 20, "lost")
with StickInspection.of(session.shelf.stick("a")):
    print(flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_leaves_no_medium(tmp_path):
    words = [sys.executable, "-c", LOOKING, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        run.stdout.readline()
        made = {file.name for file in tmp_path.rglob("*") if file.is_file()}
        run.kill()
    assert made == {"0001-stick-a.qcow2", "0003-stick-b.raw", "whole"}
    assert poll(lambda: not list(tmp_path.iterdir()) or None, Deadline.after(30))
