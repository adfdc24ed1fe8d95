"""Orphans that become ours while a QEMU is started, and are asked how they ended."""

import ctypes
import os
import subprocess
import threading

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.hypervisor.adoption import Adoption

PR_GET_CHILD_SUBREAPER = 37  # linux/prctl.h


def takes_orphans():
    answer = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def start_daemon(file, seconds):
    """Start a daemon as libvirt does, whose number is in a file; return that number."""
    command = f"setsid sh -c 'echo $$ > {file}.part; mv {file}.part {file}; exec sleep {seconds}' &"
    subprocess.run(["sh", "-c", command], check=True, timeout=60)
    assert poll(lambda: file.exists() or None, Deadline(60))
    return int(file.read_text())


def followers():
    return [each for each in threading.enumerate() if each.name == "qemu-parent"]


def is_gone(number):
    return poll(lambda: not psutil.pid_exists(number) or None, Deadline(60)) is not None


def nobody():
    raise InfrastructureError("there is none")


@pytest.mark.parametrize("seconds", [0, 0.5])
def test_a_daemon_is_ours_and_gone_when_it_has_ended(tmp_path, seconds):
    file = tmp_path / "number"
    with Adoption(file, nobody).while_starting():
        assert takes_orphans()
        number = start_daemon(file, seconds)
        if seconds:
            assert psutil.Process(number).ppid() == os.getpid()
    assert not takes_orphans()
    assert is_gone(number)
    assert poll(lambda: not followers() or None, Deadline(60))


def test_one_whose_file_is_elsewhere_is_asked_too(tmp_path):
    numbers = []
    with Adoption(tmp_path / "not here", lambda: numbers[0]).while_starting():
        numbers.append(start_daemon(tmp_path / "number", 0.5))
    assert is_gone(numbers[0])


def test_where_nothing_was_started_nothing_stays(tmp_path):
    (tmp_path / "number").write_text("1\n")  # of an earlier start, say
    with (
        pytest.raises(RuntimeError, match="refused"),
        Adoption(tmp_path / "number", nobody).while_starting(),
    ):
        raise RuntimeError("refused")
    assert not takes_orphans()
    assert poll(lambda: not followers() or None, Deadline(60))


def test_two_starts_at_a_time_do_not_end_one_another(tmp_path):
    file = tmp_path / "number"
    with Adoption(file, nobody).while_starting():
        with Adoption(tmp_path / "other", nobody).while_starting():
            pass
        assert takes_orphans()
        number = start_daemon(file, 0.1)
    assert not takes_orphans()
    assert is_gone(number)


def test_an_interruption_before_anything_was_started_leaves_no_trace(tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        Adoption(tmp_path / "number", nobody).while_starting(),
    ):
        pass
    assert not takes_orphans()
    assert not followers()
