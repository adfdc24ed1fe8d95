"""Machines that are saved and run on: what they showed, said and wrote is still there."""

import os
import subprocess

import pytest
from conftest import RESCUE
from test_machine import qemu_of

from tailstest.core.errors import InfrastructureError
from tailstest.core.paths import bundled
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.machine import Machine
from tailstest.machine.profile import load_profiles
from tailstest.machine.saved_machine import MEMORY, VARIABLES, MachineAtRest, MachineLost
from tailstest.media.dvd import Dvd
from tailstest.media.usb_stick import UsbStick

pytestmark = pytest.mark.vm


@pytest.fixture
def wake(bench):
    """Return a function that makes a saved machine run on."""
    made = []

    def woken(saved, folder):
        rest = MachineAtRest(saved, folder)
        one = Machine(f"woken-{len(made)}", saved.definition, [], bench, rest=rest)
        made.append(one)
        one.wake(folder / MEMORY)
        return one

    yield woken
    for one in made:
        one.close()


def at_command_line(machine, typed, menu="GNU/Linux"):
    machine.screen.wait_text(menu)
    machine.keyboard.press("c")
    machine.screen.wait_text("grub>")
    machine.keyboard.type(f"echo {typed}\n")
    machine.screen.wait_text(typed)
    return machine


def saved(machine, folder):
    folder.mkdir()
    facts = machine.save(folder)
    assert machine.state is MachineState.OFF
    machine.close(keep_serial=False)
    return facts


def test_a_bios_machine_with_a_dvd_runs_on_as_often_as_one_likes(make, wake, bench, tmp_path):
    machine = make(memory_mib=256)
    at_command_line(machine, "elephants")
    machine.keyboard.type("serial --unit=0 --speed=115200\n")
    machine.keyboard.type("terminal_output console serial\necho said on the wire\n")
    machine.wait_serial("said on the wire")
    facts = saved(machine, tmp_path / "rest")
    assert facts.disks == {}
    for _ in range(2):
        again = wake(facts, tmp_path / "rest")
        again.screen.wait_text("elephants")
        assert "said on the wire" in again.serial.text()
        again.keyboard.type("echo giraffes\n")
        again.screen.wait_text("giraffes")
        again.wait_serial("giraffes")
        assert again.serial.text().startswith(facts.serial_text)
        again.close()
    assert qemu_of(bench) == []


def test_a_machine_that_ran_on_can_be_switched_off_and_on(make, wake, tmp_path):
    facts = saved(at_command_line(make(memory_mib=256), "before"), tmp_path / "rest")
    again = wake(facts, tmp_path / "rest")
    again.power_off()
    again.power_on()
    again.screen.wait_text("GNU/Linux")


def test_a_machine_that_ran_on_can_be_restarted_and_reset(make, wake, tmp_path):
    facts = saved(at_command_line(make(memory_mib=256), "before"), tmp_path / "rest")
    for _ in range(3):  # by chance SeaBIOS needs one, two or three tries
        again = wake(facts, tmp_path / "rest")
        again.keyboard.type("reboot\n")
        again.wait_reset()
        again.screen.wait_text("GNU/Linux")
        again.reset()
        again.screen.wait_text("GNU/Linux")
        again.close()


def test_a_stick_takes_with_it_what_was_written_to_it(make, wake, bench, tmp_path):
    stick = UsbStick.of_image(RESCUE, tmp_path / "stick.qcow2")
    machine = make(stick.disk(), memory_mib=256, medium="usb")
    facts = saved(at_command_line(machine, "on a stick"), tmp_path / "rest")
    (name,) = facts.disks.values()
    assert (tmp_path / "rest" / name).stat().st_size > 0
    stick.overlay.unlink()
    again = wake(facts, tmp_path / "rest")
    again.screen.wait_text("on a stick")
    again.keyboard.type("ls (hd0)\n")
    again.screen.wait_text("hd0", within=60)


def test_a_uefi_machine_takes_its_variables_with_it(make, wake, tmp_path):
    image = load_profiles([bundled("images")])["debian-installer-text"].image_path()
    machine = make(Dvd(image).disk(), firmware="uefi", memory_mib=512)
    facts = saved(at_command_line(machine, "variables", menu="Rescue mode"), tmp_path / "rest")
    assert (tmp_path / "rest" / VARIABLES).stat().st_size > 0
    again = wake(facts, tmp_path / "rest")
    again.screen.wait_text("variables")
    again.keyboard.type("echo giraffes\n")
    again.screen.wait_text("giraffes")


def test_a_memory_that_was_cut_off_is_the_hosts_trouble_and_leaves_nothing(
    make, wake, bench, tmp_path
):
    facts = saved(at_command_line(make(memory_mib=256), "cut"), tmp_path / "rest")
    os.truncate(tmp_path / "rest" / MEMORY, (tmp_path / "rest" / MEMORY).stat().st_size // 3)
    with pytest.raises(InfrastructureError, match="cannot run on"):
        wake(facts, tmp_path / "rest")
    assert qemu_of(bench) == []


def test_a_machine_that_cannot_be_saved_runs_on(make, tmp_path):
    machine = at_command_line(make(memory_mib=256), "before")
    with pytest.raises(InfrastructureError, match="cannot be saved"):
        machine.save(tmp_path / "there is no such folder")
    assert machine.state is MachineState.RUNNING
    machine.keyboard.type("echo afterwards\n")
    machine.screen.wait_text("afterwards")


def test_a_machine_that_runs_already_is_not_taken_from_who_runs_it(make, wake, tmp_path):
    facts = saved(at_command_line(make(memory_mib=256), "before"), tmp_path / "rest")
    first = wake(facts, tmp_path / "rest")
    with pytest.raises(InfrastructureError, match="runs already"):
        wake(facts, tmp_path / "rest")
    first.keyboard.type("echo undisturbed\n")
    first.screen.wait_text("undisturbed")


@pytest.fixture
def full(tmp_path):
    """Return a folder on a disk that is too small for anything."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nobody may mount a small disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_lets_the_machine_run_on(make, full):
    machine = at_command_line(make(memory_mib=256), "before")
    with pytest.raises(InfrastructureError, match="cannot be saved") as error:
        machine.save(full)
    assert not isinstance(error.value, MachineLost)
    assert machine.state is MachineState.RUNNING
    machine.keyboard.type("echo afterwards\n")
    machine.screen.wait_text("afterwards")


def test_a_machine_whose_stick_cannot_be_copied_is_lost_and_says_so(make, bench, tmp_path):
    stick = UsbStick.of_image(RESCUE, tmp_path / "stick.qcow2")
    machine = at_command_line(make(stick.disk(), memory_mib=256, medium="usb"), "before")
    (tmp_path / "rest" / "disk-0.qcow2").mkdir(parents=True)
    with pytest.raises(MachineLost, match="was stopped to be saved: cannot copy"):
        machine.save(tmp_path / "rest")
    assert machine.state is MachineState.OFF
    machine.close()
    assert qemu_of(bench) == []
