from __future__ import annotations

import multiprocessing
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import pytest

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.hypervisor import accelerator
from tailstest.hypervisor.accelerator import (
    ProbeRun,
    choose_accelerator,
    examine_kvm,
    kvm_device_problem,
    run_probe,
)

NULL = Path("/dev/null")


def emulator(folder: Path, kvm: str, tcg: str = "printf RPLDLDLD; exit 33") -> Path:
    """Return a stand-in for QEMU that does one thing under KVM and another under TCG."""
    script = folder / "qemu"
    script.write_text(
        f'#!/bin/sh\ncase " $* " in *" -accel kvm "*) {kvm};; *) {tcg};; esac\n', encoding="utf-8"
    )
    script.chmod(0o755)
    return script


@pytest.fixture
def open_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "kvm_device_problem", lambda _device: "")


@pytest.mark.skipif(not shutil.which("as") or not shutil.which("ld"), reason="needs binutils")
def test_the_boot_program_is_what_its_source_says(tmp_path: Path) -> None:
    source = files("tailstest.hypervisor") / "boot_probe.S"
    (tmp_path / "probe.S").write_bytes(source.read_bytes())
    subprocess.run(["as", "--64", "-o", "probe.o", "probe.S"], cwd=tmp_path, check=True)
    link = "ld -m elf_x86_64 -Ttext 0x7c00 --oformat binary -o probe.bin probe.o"
    subprocess.run(link.split(), cwd=tmp_path, check=True)
    program = (files("tailstest.hypervisor") / "boot_probe.bin").read_bytes()
    assert program == (tmp_path / "probe.bin").read_bytes()
    assert len(program) == 512
    assert program.endswith(b"\x55\xaa")


def test_a_working_guest_is_recognised_and_timed(tmp_path: Path) -> None:
    work = "printf RP; for i in 1 2 3; do printf L; sleep 0.3; printf D; done; exit 33"
    probe = run_probe("tcg", emulator(tmp_path, "exit 1", work), limit=30)
    assert probe.ok
    assert probe.trace == "RPLDLDLD"
    assert probe.work_seconds >= 0.2


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("exec sleep 60", "hangs.*firmware did not start"),
        ("printf R; exec sleep 60", "hangs.*real mode"),
        ("printf RP; exec sleep 60", "hangs.*protected mode"),
        ("printf RPL; exec sleep 60", "hangs.*long mode"),
        ("printf RPLF; exit 35", "fails at once.*wrong result"),
        ("printf RPLDLDLD; exit 1", "fails at once"),
        ("echo no kvm for you >&2; exit 1", "QEMU cannot use it.*no kvm for you"),
        ("exec yes", "guest"),
    ],
)
@pytest.mark.usefixtures("open_device")
def test_a_device_that_opens_but_does_not_work_is_told_how_far_it_came(
    tmp_path: Path, behaviour: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who waits for nothing may take long on a busy host; who hangs is waited for.
    ends_by_itself = "exit" in behaviour
    monkeypatch.setattr(accelerator, "KVM_LIMIT", 30.0 if ends_by_itself else 2.0)
    fake = emulator(tmp_path, behaviour)
    choice = choose_accelerator("auto", fake)
    assert choice.accelerator == "tcg"
    assert "\n" not in choice.reason
    (refused,) = choice.refused
    assert re.search(words, refused), refused
    with pytest.raises(SetupError, match='accelerator is "kvm"'):
        choose_accelerator("kvm", fake)


@pytest.mark.usefixtures("open_device")
def test_kvm_is_chosen_when_a_guest_runs(tmp_path: Path) -> None:
    choice = choose_accelerator("auto", emulator(tmp_path, "printf RPLDLDLD; exit 33", "exit 1"))
    assert choice.accelerator == "kvm"
    assert choice.refused == ()


def test_tcg_is_not_second_guessed(tmp_path: Path) -> None:
    choice = choose_accelerator("tcg", emulator(tmp_path, "printf RPLDLDLD; exit 33"))
    assert choice.accelerator == "tcg"
    assert choice.refused == ()


def test_a_host_that_cannot_even_emulate_is_infrastructure(tmp_path: Path) -> None:
    fake = emulator(tmp_path, "exit 1", "echo cannot allocate memory >&2; exit 1")
    with pytest.raises(InfrastructureError, match="cannot allocate memory"):
        choose_accelerator("tcg", fake)


def test_a_missing_device(tmp_path: Path) -> None:
    problem, probe = examine_kvm(NULL, device=tmp_path / "kvm")
    assert problem.startswith(f"there is no {tmp_path / 'kvm'}")
    assert probe is None


def test_a_device_that_is_not_kvm() -> None:
    assert kvm_device_problem(NULL).startswith("/dev/null opens but creates no machine")


def become_nobody() -> None:
    """Give up root's rights: the superuser may open everything, so another user has to try."""
    if os.geteuid() == 0:
        os.setuid(pwd.getpwnam("nobody").pw_uid)


def test_a_device_closed_to_this_user() -> None:
    # Forked, so that the other user needs no access to where Python and this clone are.
    fork = multiprocessing.get_context("fork")
    with tempfile.NamedTemporaryFile() as device, fork.Pool(1, become_nobody) as other_user:
        Path(device.name).chmod(0)
        answer = other_user.apply(kvm_device_problem, (Path(device.name),))
    assert "exists but is closed to this user; run: sudo adduser" in answer


@pytest.mark.parametrize(
    ("load", "share", "counted"),
    [
        (0.3, 1.0, 1.2),
        (3.0, 0.3, 0.4),
        (90.0, 0.1, 0.3),
        (3.0, 1.0, 1.2),  # it is over
        (3.0, 0.5, 0.6),
        (1.0, 0.5, 1.2),  # something else keeps it from a core
    ],
)
def test_the_load_of_the_host_is_not_counted_twice(monkeypatch, tmp_path, load, share, counted):
    seen = ProbeRun(ok=True, trace="RPLD", seconds=2.0, work_seconds=1.2, message="", share=share)
    monkeypatch.setattr(accelerator, "load_per_core", lambda: load)
    monkeypatch.setattr(accelerator, "run_probe", lambda *_arguments, **_options: seen)
    assert accelerator._run_alone("tcg", tmp_path, limit=1.0).work_seconds == pytest.approx(counted)


def test_the_share_of_a_core_is_measured(tmp_path: Path) -> None:
    idle = "printf RP; for i in 1 2 3; do printf L; sleep 0.3; printf D; done; exit 33"
    busy = idle.replace("sleep 0.3", "n=0; while [ $n -lt 200000 ]; do n=$((n + 1)); done")
    shares = [
        run_probe("tcg", emulator(tmp_path, "exit 1", work), limit=60).share
        for work in (idle, busy)
    ]
    assert shares[0] < 0.2
    assert shares[1] > 2 * shares[0]
