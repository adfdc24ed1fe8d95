"""The process of a machine: found by the number of its domain, and stopped with all its threads."""

import contextlib
import subprocess
import sys
import uuid
from types import SimpleNamespace

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.hypervisor import qemu_process as module
from tailstest.hypervisor.qemu_process import frozen, qemu_process

#: Of its own for each process that runs these tests: all processes of the host are looked at.
UUID = str(uuid.uuid4())
COUNT = """
import sys, threading, time
def count(path):
    for number in range(10**9):
        with open(path, "w") as file:
            file.write(str(number))
for path in sys.argv[3:]:
    threading.Thread(target=count, args=(path,)).start()
"""


def domain(uuid=UUID, uri="qemu:///session"):
    """Return what libvirt says about a domain."""
    return SimpleNamespace(
        UUIDString=lambda: uuid, connect=lambda: SimpleNamespace(getURI=lambda: uri)
    )


@contextlib.contextmanager
def qemu(files, *words):
    """Run a process called qemu, with a thread for each file that writes it over and over."""
    command = ["qemu-of-a-test", "-c", COUNT, "-uuid", UUID, *map(str, files), *words]
    process = subprocess.Popen(command, executable=sys.executable)
    try:
        assert poll(lambda: all(file.exists() for file in files) or None, Deadline.after(30))
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def counting(tmp_path):
    """Return a process called qemu whose two threads write, and their files."""
    files = [tmp_path / "1", tmp_path / "2"]
    with qemu(files) as process:
        yield process, files


def test_it_is_found_by_the_number_of_its_domain(counting):
    process, _files = counting
    assert qemu_process(domain()) == process
    with pytest.raises(InfrastructureError, match="cannot be found"):
        qemu_process(domain("another"))


def test_two_workers_that_go_on_from_one_checkpoint_each_find_their_own(tmp_path):
    keys = [tmp_path / name / "master-key.aes" for name in ("worker", "worker2")]
    for key in keys:
        key.parent.mkdir()
    with qemu(keys[:1]) as first, qemu(keys[1:]) as second:
        for process, key in zip((first, second), keys, strict=True):
            assert qemu_process(domain(uri=f"qemu:///embed?root={key.parent}")) == process
        with pytest.raises(InfrastructureError, match="cannot be found"):
            qemu_process(domain(uri=f"qemu:///embed?root={tmp_path}/other"))
        with pytest.raises(InfrastructureError, match="2 virtual machines"):
            qemu_process(domain())


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
