"""The process of a machine: found by the number of its domain, and stopped with all its threads."""

import subprocess
import sys

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.hypervisor import qemu_process as module
from tailstest.hypervisor.qemu_process import frozen, qemu_process

UUID = "6b5ba5ba-7a52-4f6a-a1bd-6ac0a3aa8a3c"
COUNT = """
import sys, threading, time
def count(path):
    for number in range(10**9):
        with open(path, "w") as file:
            file.write(str(number))
for path in sys.argv[3:]:
    threading.Thread(target=count, args=(path,)).start()
"""


@pytest.fixture
def counting(tmp_path):
    """Return a process called qemu whose two threads write, and their files."""
    files = [tmp_path / "1", tmp_path / "2"]
    words = ["qemu-of-a-test", "-c", COUNT, "-uuid", UUID, *map(str, files)]
    process = subprocess.Popen(words, executable=sys.executable)
    assert poll(lambda: all(file.exists() for file in files) or None, Deadline.after(30))
    yield psutil.Process(process.pid), files
    process.kill()
    process.wait()


def test_it_is_found_by_the_number_of_its_domain(counting):
    process, _files = counting
    assert qemu_process(UUID) == process
    with pytest.raises(InfrastructureError, match="cannot be found"):
        qemu_process("another")


def test_nothing_is_written_while_it_is_frozen(counting):
    process, files = counting

    def changes(before, within):
        deadline = Deadline.after(within)
        return poll(lambda: [each.read_text() for each in files] != before or None, deadline)

    for _ in range(4):
        with frozen(process, deadline_scale=1):
            before = [each.read_text() for each in files]
            assert not changes(before, 0.02)
        assert changes(before, 30)


def test_one_that_has_ended_or_does_not_stop_is_trouble(counting, monkeypatch):
    process, _files = counting
    monkeypatch.setattr(module, "_stands_still", lambda _number: False)
    monkeypatch.setattr(module, "FREEZE_LIMIT", 0.01)
    with pytest.raises(InfrastructureError, match="it goes on"), frozen(process, deadline_scale=1):
        pass
    assert poll(lambda: process.status() != "stopped" or None, Deadline.after(10))
    process.kill()
    with pytest.raises(InfrastructureError, match="cannot be frozen"):
        process.wait()
        with frozen(process, deadline_scale=1):
            pass
