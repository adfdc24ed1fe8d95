"""Which accelerator really works here: decided by running a guest, not by looking at a device.

`/dev/kvm` can be missing, closed to this user, or open and still unable to run a guest to its end
(seen with nested virtualisation: the API answers, a machine is created, and the guest hangs). So a
boot sector of our own (boot_probe.S) goes through real, protected and long mode and works there.
The same program under TCG tells how fast the host is.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

import psutil

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.text import printable, shortened
from tailstest.hypervisor.host_speed import MAX_LOAD_SCALE, load_per_core

Accelerator = Literal["kvm", "tcg"]

KVM_DEVICE = Path("/dev/kvm")

#: Seconds the guest may take. Under KVM it needs 0.5 s, nearly all of it firmware; a host where it
#: takes ten times as long gains nothing from KVM.
KVM_LIMIT = 5.0
#: Under TCG it needs 1.3 s on a small machine; this only has to end a hopeless wait.
TCG_LIMIT = 120.0

#: CPU that TCG shows the guest. The model "max" boots a live system 1.5 to 2 times slower, and
#: without rdrand a guest of today waits for randomness.
TCG_CPU = "qemu64,+rdrand"

#: What QEMU's exit status becomes when the program writes 0x10 to isa-debug-exit: 2 n + 1.
_DONE_STATUS = 0x10 * 2 + 1
_STAGES = {
    "": "the firmware did not start the program",
    "R": "it came as far as real mode",
    "P": "it came as far as protected mode",
    "L": "it reached long mode and stuck at work there",
    "D": "it stuck between two rounds of work",
    "F": "it computed a wrong result",
}
# ioctl numbers of linux/kvm.h: _IO(0xAE, 0x00) and _IO(0xAE, 0x01).
_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01


@dataclass(frozen=True)
class ProbeRun:
    """What one start of the boot program showed.

    Attributes:
        ok: it went through all modes, computed the right results and ended by itself.
        trace: letters it wrote; see boot_probe.S.
        seconds: from start to end of QEMU.
        work_seconds: median time of one round of work in long mode; 0.0 if none was finished.
        message: what QEMU wrote, printable and shortened.
        share: of a core that QEMU had while its guest worked: 1.0 alone, less beside others.
    """

    ok: bool
    trace: str
    seconds: float
    work_seconds: float
    message: str
    share: float = 1.0

    @property
    def stage(self) -> str:
        """How far the guest came, in words."""
        return _STAGES.get(self.trace[-1:], "it wrote something unexpected")


@dataclass(frozen=True)
class AcceleratorChoice:
    """The accelerator to use.

    Attributes:
        accelerator: "kvm" or "tcg".
        reason: one line for the user: why this one.
        refused: one line for every accelerator that was tried and is not used.
        probe: the run of the boot program under the chosen accelerator.
    """

    accelerator: Accelerator
    reason: str
    refused: tuple[str, ...]
    probe: ProbeRun


def choose_accelerator(
    wanted: Literal["auto", "kvm", "tcg"], emulator: Path, *, device: Path = KVM_DEVICE
) -> AcceleratorChoice:
    """Run the boot program under KVM, and under TCG if that does not work or is not wanted.

    Args:
        wanted: the setting `accelerator`.
        emulator: path of QEMU for x86_64.
        device: KVM's device file.

    Raises:
        SetupError: "kvm" is wanted and does not work here.
        InfrastructureError: not even TCG runs the program.
    """
    refused: tuple[str, ...] = ()
    if wanted != "tcg":
        problem, probe = examine_kvm(emulator, device=device)
        if probe is not None and not problem:
            reason = f"KVM ran the test program in {probe.seconds:.1f} s"
            return AcceleratorChoice("kvm", reason, (), probe)
        if wanted == "kvm":
            raise SetupError(
                f'the setting accelerator is "kvm", but KVM cannot be used: {problem}',
                hint='repair KVM, or set accelerator = "auto" to go on with slow emulation',
            )
        refused = (f"KVM: {problem}",)
    probe = _run_alone("tcg", emulator, limit=TCG_LIMIT)
    if not probe.ok:
        raise InfrastructureError(
            f"{emulator} cannot run a small test program: {probe.stage} in {probe.seconds:.0f} s."
            f" It said: {probe.message or 'nothing'}",
            hint="check memory and disk of this host, and the installation of QEMU",
        )
    reason = (
        "TCG (emulation) is what the setting accelerator asks for"
        if wanted == "tcg"
        else "using TCG (emulation, several times slower) because KVM does not work here"
    )
    return AcceleratorChoice("tcg", reason, refused, probe)


def measured_again(choice: AcceleratorChoice, emulator: Path) -> AcceleratorChoice:
    """Return a choice with a new run of the boot program; the old one stays if that fails."""
    limit = TCG_LIMIT if choice.accelerator == "tcg" else KVM_LIMIT
    probe = _run_alone(choice.accelerator, emulator, limit=limit)
    return replace(choice, probe=probe) if probe.ok else choice


def examine_kvm(emulator: Path, *, device: Path = KVM_DEVICE) -> tuple[str, ProbeRun | None]:
    """Find out whether a guest runs under KVM.

    Returns:
        What is wrong ("" if nothing), and the run of the boot program if it came to that.
    """
    problem = kvm_device_problem(device)
    if problem:
        return problem, None
    probe = _run_alone("kvm", emulator, limit=KVM_LIMIT)
    if probe.ok:
        return "", probe
    said = f"; QEMU said: {probe.message}" if probe.message else ""
    if probe.seconds < KVM_LIMIT and not probe.trace:
        return f"{device} opens, but QEMU cannot use it{said}", probe
    how = (
        "fails at once"
        if probe.seconds < KVM_LIMIT
        else f"hangs, ended after {probe.seconds:.0f} s"
    )
    return (
        f"{device} opens and creates a machine, but a guest {how}: {probe.stage}{said}",
        probe,
    )


def kvm_device_problem(device: Path) -> str:
    """Return what keeps us from creating a machine with KVM's `device`; "" if nothing does."""
    try:
        handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return (
            f"there is no {device}: the kvm module is not loaded, virtualisation is off in the"
            " firmware, or this is itself a machine without nested virtualisation"
        )
    except PermissionError:
        return (
            f"{device} exists but is closed to this user; run: sudo adduser"
            f" {_user_name()} kvm, then log in again"
        )
    except OSError as error:
        return f"{device} does not open: {error.strerror}"
    try:
        fcntl.ioctl(handle, _KVM_GET_API_VERSION, 0)
        os.close(fcntl.ioctl(handle, _KVM_CREATE_VM, 0))
    except OSError as error:
        return f"{device} opens but creates no machine: {error.strerror}"
    finally:
        os.close(handle)
    return ""


def _run_alone(accelerator: Accelerator, emulator: Path, *, limit: float) -> ProbeRun:
    """Run the boot program; its work counts as if nobody else had used the host meanwhile.

    The load stretches deadlines by itself (`HostSpeed.deadline_scale`); a program that had to
    share its core would count it a second time. The load is the mean of a minute, and may be over
    already: it counts only as far as QEMU did wait for a core.
    """
    load = min(MAX_LOAD_SCALE, max(1.0, load_per_core()))
    probe = run_probe(accelerator, emulator, limit=limit)
    waited = 1 / max(probe.share, 1 / MAX_LOAD_SCALE)
    return replace(probe, work_seconds=probe.work_seconds / min(load, max(1.0, waited)))


def run_probe(accelerator: Accelerator, emulator: Path, *, limit: float) -> ProbeRun:
    """Run the boot program once; QEMU is killed when `limit` seconds are over.

    Raises:
        InfrastructureError: QEMU cannot be started at all.
    """
    with as_file(files(__package__) / "boot_probe.bin") as program:
        command = [
            str(emulator), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "pc", "-accel", accelerator, "-m", "32",
            "-cpu", "host" if accelerator == "kvm" else TCG_CPU,
            "-drive", f"file={str(program).replace(',', ',,')},format=raw,if=floppy,readonly=on",
            "-chardev", "stdio,id=console,signal=off",
            "-device", "isa-debugcon,iobase=0xe9,chardev=console",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        ]  # fmt: skip
        with _started(command) as (process, complaints):
            return _watch(process, complaints, Deadline.after(limit))


@contextmanager
def _started(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start QEMU; however the block is left, it is dead and its files are gone afterwards."""
    with tempfile.NamedTemporaryFile(prefix="tailstest-probe-") as errors:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        except OSError as error:
            raise InfrastructureError(f"{command[0]} does not start: {error.strerror}") from error
        try:
            yield process, Path(errors.name)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _watch(process: subprocess.Popen[bytes], complaints: Path, deadline: Deadline) -> ProbeRun:
    """Read letters with the time they came until QEMU ends or the deadline passes."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    letters: list[tuple[str, float, float]] = []
    qemu = psutil.Process(process.pid)

    def look() -> int | None:
        read = process.stdout.read(64) if process.stdout else None
        if read:
            now, used = time.monotonic(), _cpu_seconds(qemu)
            letters.extend((chr(byte), now, used) for byte in read)
        return process.poll() if len(letters) < 64 else -1

    # The interval bounds the error of the measured time; a round takes 300 ms under TCG.
    status = poll(look, deadline, interval=0.002)
    look()
    trace = "".join(letter for letter, _, _ in letters)
    rounds = [
        (end - start, after - before)
        for (first, start, before), (second, end, after) in pairwise(letters)
        if (first, second) == ("L", "D")
    ]
    shares = [used / seconds for seconds, used in rounds if seconds > 0]
    message = complaints.read_text(encoding="utf-8", errors="replace")[:4000].strip()
    return ProbeRun(
        ok=status == _DONE_STATUS and trace == "RPLDLDLD",
        trace=printable(trace),
        seconds=deadline.elapsed,
        work_seconds=median(seconds for seconds, _ in rounds) if rounds else 0.0,
        message=shortened(printable(message).replace("\n", "; "), 400),
        share=min(1.0, median(shares)) if shares else 1.0,
    )


def _cpu_seconds(process: psutil.Process) -> float:
    """Return how long a process has had a core; of one that has ended, 0."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
