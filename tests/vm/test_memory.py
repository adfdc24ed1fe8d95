"""The memory of a real machine, looked into while it runs and afterwards; and power that fails."""

from pathlib import Path

import pytest
from conftest import RESCUE, at_shell
from test_machine import qemu_of

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.machine.lifecycle import MachineState
from tailstest.media.pattern_search import forms_of
from tailstest.media.usb_stick import UsbStick

pytestmark = pytest.mark.vm

WORD = "elephantsneverforget"


def thread_state(process, thread):
    text = Path(f"/proc/{process.pid}/task/{thread}/stat").read_text()
    return text.rpartition(")")[2].split()[0]


def test_what_was_typed_is_in_memory_until_the_next_start(make, bench):
    machine = at_shell(make(memory_mib=256, searchable_memory=True))
    absent = machine.search_memory(forms_of(WORD))
    assert not absent.found
    machine.keyboard.type(f"set word={WORD}\n")
    machine.keyboard.type("echo done with $feature_menuentry_id\n")
    machine.wait_serial("done with y")
    running = machine.search_memory(forms_of(WORD))
    assert running.copies["raw"].count > 0
    assert running.size == 256 << 20
    assert 1 << 20 < running.searched < running.size
    assert machine.state is MachineState.RUNNING
    machine.fail_power()
    assert machine.state is MachineState.OFF
    assert qemu_of(bench) == []
    assert machine.search_memory(forms_of(WORD)) == running
    with pytest.raises(UsageError, match="switched off"):
        machine.fail_power()
    machine.power_on()
    machine.screen.wait_text("GNU/Linux")
    assert not machine.search_memory(forms_of(WORD)).found


def test_a_frozen_machine_does_nothing_and_goes_on(make, bench):
    stick = UsbStick.of_image(RESCUE, bench.media.path("frozen", ".qcow2"), 64 << 20)
    machine = make(stick.disk(), memory_mib=256, medium="usb")
    machine.screen.wait_text("GNU/Linux")
    (process,) = qemu_of(bench)
    with machine.frozen():
        assert {thread_state(process, each.id) for each in process.threads()} == {"T"}
        copied = stick.copy_to(bench.media.path("copy", ".qcow2"))
    assert copied.overlay.stat().st_size > 0
    assert machine.bay.written(stick.overlay) == 0
    machine.keyboard.press("c")
    machine.screen.wait_text("grub>")
    machine.check_running()
    machine.fail_power()
    with pytest.raises(UsageError, match="in a machine that runs"):
        machine.bay.written(stick.overlay)
    with pytest.raises(CheckFailed, match="expected a running machine"):
        machine.check_running()
