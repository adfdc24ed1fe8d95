from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.hypervisor import embedded_root, leftovers, run_lease
from tailstest.hypervisor.embedded_root import EmbeddedRoot
from tailstest.hypervisor.leftovers import processes_of, remove_leftovers
from tailstest.hypervisor.run_lease import LeaseNotes, RunLease, lease_path, read_notes

EMBED = "qemu:///embed?root=/nowhere"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def kill_run(lease: RunLease) -> Path:
    """Leave the file of a lease behind as SIGKILL would: there, with its lock free."""
    lease._file.close()
    return lease.path


def dead_run(folder: Path) -> tuple[Path, RunLease]:
    """Return a folder that a run owned which was killed, and its lease."""
    root = folder / "root"
    root.mkdir()
    lease = RunLease.take("dead", EMBED)
    lease.own(root)
    kill_run(lease)
    return root, lease


@contextmanager
def stand_in(*arguments: str, name: str = "qemu-system-x86_64") -> Iterator[psutil.Process]:
    """Run a harmless process whose command line looks like QEMU's."""
    code = "import time; print(flush=True); time.sleep(600)"
    command = [name, "-c", code, *arguments]
    with subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def is_dead(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_what_a_dead_run_owned_is_removed_and_listed(tmp_path: Path) -> None:
    root, half, kept = tmp_path / "root", tmp_path / "half.qcow2", tmp_path / "complete.png"
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "monitor.sock").touch()
    half.touch()
    kept.touch()
    lease = RunLease.take("dead", EMBED)
    for path in (root, half, kept):
        lease.own(path)
    lease.disown(kept)
    kill_run(lease)

    said = remove_leftovers()

    assert not root.exists()
    assert not half.exists()
    assert kept.exists()
    assert len(said) == 2
    assert str(root) in said[0]
    assert str(half) in said[1]
    assert remove_leftovers() == []
    assert not lease.path.exists()


def test_a_live_run_is_left_alone_even_by_its_own_process(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    lease = RunLease.take("alive", EMBED)
    lease.own(root)
    with stand_in(f"path={root}/monitor.sock") as process:
        assert remove_leftovers() == []
        assert process.is_running()
    assert root.exists()
    root.rmdir()
    lease.release()
    assert list(run_lease.leases_folder().iterdir()) == []


def test_what_an_end_in_order_could_not_remove_goes_with_the_next_start(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    lease = RunLease.take("ended", EMBED)
    lease.own(root)
    lease.release()
    assert len(remove_leftovers()) == 1
    assert not root.exists()
    assert list(run_lease.leases_folder().iterdir()) == []


def test_what_another_run_of_the_process_answers_for_is_no_leftover(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    outer, inner = RunLease.take("outer", EMBED), RunLease.take("inner", EMBED)
    for lease in (outer, inner):
        lease.own(root)
    inner.hand_over(root)
    inner.release()
    assert remove_leftovers() == []
    assert root.exists()
    root.rmdir()
    outer.release()
    assert list(run_lease.leases_folder().iterdir()) == []


def test_a_folder_from_which_somebody_else_removes_files_is_no_lost_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, lease = dead_run(tmp_path)
    remove = leftovers.shutil.rmtree

    def vanishing(path: Path) -> None:
        monkeypatch.setattr(leftovers.shutil, "rmtree", remove)
        raise FileNotFoundError(2, "No such file or directory", str(path / "state.tmp"))

    monkeypatch.setattr(leftovers.shutil, "rmtree", vanishing)
    assert "Could not remove" in remove_leftovers()[0]
    assert lease.path.exists()
    assert "Removed" in remove_leftovers()[0]
    assert not root.exists()


def test_a_private_folder_is_removed_although_that_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = EmbeddedRoot()
    root.acquire()
    remove, calls = embedded_root.shutil.rmtree, []

    def interrupted_once(path: Path, **options: bool) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(path, **options)

    monkeypatch.setattr(embedded_root.shutil, "rmtree", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        root.release()
    assert not root.path.exists()


def test_a_lease_is_never_seen_unlocked_while_its_run_lives() -> None:
    lease = RunLease.take("alive", EMBED)
    with lease.path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lease.release()


def test_a_forked_child_does_not_keep_a_dead_run_alive() -> None:
    lease = RunLease.take("parent", EMBED)
    ready, stay = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # stays until the test is over, like a worker that outlives its parent
        os.write(ready[1], b"x")
        os.close(stay[1])
        os.read(stay[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        kill_run(lease)
        remove_leftovers()
        assert not lease.path.exists()
    finally:
        os.close(stay[1])
        os.waitpid(child, 0)


def test_a_note_that_was_cut_off_by_the_kill_is_passed_over(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    lease = RunLease.take("dead", EMBED)
    lease.own(root)
    with kill_run(lease).open("ab") as file:
        file.write(b'{"remove": "/etc/pass')
    remove_leftovers()
    assert not root.exists()
    assert not lease.path.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[1]\n7\n", b'{"run": "x"}\n'])
def test_a_damaged_lease_is_removed_and_mentioned(content: bytes) -> None:
    path = lease_path("damaged")
    path.write_bytes(content)
    (sentence,) = remove_leftovers()
    assert str(path) in sentence
    assert not path.exists()


def test_the_qemu_of_a_dead_run_is_ended_and_no_other(tmp_path: Path) -> None:
    root, similar = tmp_path / "root", tmp_path / "root-2"
    root.mkdir()
    lease = RunLease.take("dead", EMBED)
    lease.own(root)
    with (
        stand_in("-chardev", f"socket,path={root}/lib/monitor.sock") as own,
        stand_in("-chardev", f"socket,path={similar}/lib/monitor.sock") as foreign,
        stand_in(f"{root}/report.txt", name="less") as other_program,
    ):
        kill_run(lease)
        said = remove_leftovers()
        assert is_dead(own)
        assert not is_dead(foreign)
        assert not is_dead(other_program)
        assert str(own.pid) in said[0]


def test_a_process_that_is_older_than_the_run_is_not_its_own(tmp_path: Path) -> None:
    with stand_in(f"path={tmp_path}/x") as process:
        later = process.create_time() + 60
        notes = LeaseNotes("run", EMBED, 1, later, run_lease.boot_id(), (tmp_path,))
        assert processes_of(notes) == []


def test_after_another_boot_no_process_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lease, "boot_id", lambda: "an earlier boot")
    root = tmp_path / "root"
    root.mkdir()
    lease = RunLease.take("dead", EMBED)
    lease.own(root)
    with stand_in(f"path={root}/x") as process:
        kill_run(lease)
        remove_leftovers()
        assert not is_dead(process)
    assert not root.exists()


def test_what_cannot_be_removed_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _lease = dead_run(tmp_path)
    with monkeypatch.context() as patch:
        # Only this module believes to be somebody else; the register itself stays ours.
        another = SimpleNamespace(**{**vars(os), "geteuid": lambda: 12345})
        patch.setattr(leftovers, "os", another)
        (sentence,) = remove_leftovers()
    assert sentence.startswith(f"Could not remove {root}")
    assert "another user" in sentence
    assert root.exists()
    remove_leftovers()
    assert not root.exists()


def test_a_full_or_closed_register_is_infrastructure(tmp_path: Path) -> None:
    run_lease.leases_folder()
    (tmp_path / "state" / "tailstest" / "runs").rmdir()
    (tmp_path / "state" / "tailstest" / "runs").symlink_to("/proc/self")
    with pytest.raises(InfrastructureError, match="cannot register this run"):
        RunLease.take("x", EMBED)


def test_a_lease_is_a_list_of_json_lines(tmp_path: Path) -> None:
    lease = RunLease.take("run", EMBED)
    lease.own(tmp_path)
    lines = [json.loads(line) for line in lease.path.read_text().splitlines()]
    assert lines[0]["run"] == "run"
    with lease.path.open("rb") as file:
        notes = read_notes(file)
    assert notes is not None
    assert notes.pid == os.getpid()
    assert notes.belongings == (tmp_path,)
    lease.release()


def test_the_guardian_cleans_up_as_soon_as_the_run_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    code = (
        "import sys, os, pathlib\n"
        "from tailstest.hypervisor.guardian import Guardian\n"
        "from tailstest.hypervisor.run_lease import RunLease, lease_path\n"
        "guardian = Guardian(lease_path('run'))\n"
        "lease = RunLease.take('run', 'qemu:///embed?root=x')\n"
        "lease.own(pathlib.Path(sys.argv[1]))\n"
        "print(flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        assert root.exists()
        run.kill()
    gone = poll(lambda: not lease_path("run").exists() or None, Deadline.after(60))
    assert gone
    assert not root.exists()
