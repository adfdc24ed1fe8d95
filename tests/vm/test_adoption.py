"""Whose child a real QEMU is, and that none stays behind as a zombie."""

import contextlib
import ctypes
import os

import psutil
import pytest
from test_machine import qemu_of, qemu_that_dies

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.machine.machine import Machine
from tailstest.machine.saved_machine import MEMORY, MachineAtRest

pytestmark = pytest.mark.vm

PR_GET_CHILD_SUBREAPER = 37  # linux/prctl.h


def zombies():
    """Return the zombies among our children."""
    ours = psutil.Process().children()
    return [each for each in ours if each.status() == psutil.STATUS_ZOMBIE]


def takes_orphans():
    answer = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def test_a_qemu_is_our_child_and_gone_when_it_has_ended(make, bench):
    machine = make(memory_mib=64)
    (process,) = qemu_of(bench)
    assert process.ppid() == os.getpid()
    process.kill()
    assert poll(lambda: not process.is_running() or None, Deadline(60))
    assert not zombies()
    machine.close()


def test_a_saved_qemu_that_runs_on_is_our_child_too(make, bench, tmp_path):
    machine = make(memory_mib=64)
    facts = machine.save(tmp_path)
    machine.close()
    assert not qemu_of(bench)
    assert not zombies()
    rest = MachineAtRest(facts, tmp_path)
    with contextlib.closing(Machine("woken", facts.definition, [], bench, rest=rest)) as woken:
        woken.wake(tmp_path / MEMORY)
        (process,) = qemu_of(bench)
        assert process.ppid() == os.getpid()
    assert not zombies()


def test_one_that_cannot_start_leaves_nothing_and_is_not_waited_for(
    make, bench, tmp_path, monkeypatch
):
    monkeypatch.setattr(bench.hypervisor, "emulator", qemu_that_dies(tmp_path, times=9))
    with pytest.raises(InfrastructureError, match="cannot be started"):
        make(memory_mib=64)
    assert poll(lambda: not zombies() or None, Deadline(60))


def test_the_orphans_of_others_are_left_to_the_system(make):
    make(memory_mib=64)
    assert not takes_orphans()
