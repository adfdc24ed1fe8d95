"""Runs that are killed leave nothing; runs that live are left alone (case C43)."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.hypervisor.leftovers import remove_leftovers

pytestmark = pytest.mark.vm

SCRIPT = Path(__file__).with_name("doomed_run.py")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with a short path, open to the user nobody, that also holds all state."""
    folder = Path(tempfile.mkdtemp(prefix="tt-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, pwd.getpwnam("nobody").pw_uid)
    for name in ("STATE_HOME", "CACHE_HOME", "CONFIG_HOME", "DATA_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(folder / name))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    yield folder
    end_daemon_of(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def embed_place(place: Path) -> Iterator[Path]:
    """Return `place` for runs of the embedded driver; none of them survives a failed test."""
    yield place
    remove_leftovers()


@contextmanager
def doomed(task: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start a run of doomed_run.py and give what it told; it is dead afterwards."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), task, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            line = run.stdout.readline()
            assert line, f"the run {task} did not get as far as it should"
            yield run, json.loads(line)
        finally:
            run.kill()
            run.wait()


def is_dead(process: psutil.Process) -> bool:
    """Tell whether a process ended; an orphan may wait a while for the system to notice."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def end_daemon_of(folder: Path) -> None:
    """End the libvirt daemon that a client of the folder's owner started; it would stay 2 min."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("XDG_RUNTIME_DIR") == str(folder) and process.name() in (
                "libvirtd",
                "virtqemud",
            ):
                process.terminate()
        except psutil.Error:
            continue


def qemu_of(root: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if command and "qemu-system" in command[0] and any(f"{root}/" in word for word in command):
            found.append(process)
    return found


def test_the_next_start_removes_what_a_killed_run_left_and_spares_the_living(
    embed_place: Path,
) -> None:
    with (
        doomed("embed", embed_place / "killed") as (run, told),
        doomed("embed", embed_place / "alive") as (_, alive),
    ):
        assert told["domains"] == alive["domains"]
        assert told["root"] != alive["root"]
        run.kill()
        run.wait()
        (qemu,) = qemu_of(told["root"])

        said = remove_leftovers()

        assert is_dead(qemu)
        assert not Path(told["root"]).exists()
        assert not Path(told["lease"]).exists()
        assert not (embed_place / "killed" / "half-written.qcow2").exists()
        assert len(said) == 3, said
        assert f"process {qemu.pid}" in said[0]
        assert told["root"] in said[1]

        (living,) = qemu_of(alive["root"])
        assert not is_dead(living)
        assert Path(alive["root"]).exists()
        assert (embed_place / "alive" / "half-written.qcow2").exists()
    remove_leftovers()
    assert qemu_of(alive["root"]) == []


def test_a_guarded_run_is_cleaned_up_without_another_start(embed_place: Path) -> None:
    with doomed("guarded", embed_place / "killed") as (run, told):
        (qemu,) = qemu_of(told["root"])
        run.kill()
        gone = poll(lambda: not Path(told["lease"]).exists() or None, Deadline.after(120))
        assert gone
        assert is_dead(qemu)
        assert not Path(told["root"]).exists()


def test_domains_on_a_daemon_go_with_all_their_flags_and_foreign_ones_stay(place: Path) -> None:
    with doomed("session", place) as (run, told):
        assert len(told["domains"]) == 4
        run.kill()
        run.wait()
    with doomed("clean", place) as (_, after):
        assert after["domains"] == ["tailstest", "tailstest-snapshots-2"]
        assert len(after["said"]) == 2, after["said"]
    assert not (place / "variables.fd").exists()
    assert list((place / "CONFIG_HOME").rglob("*.save")) == []
