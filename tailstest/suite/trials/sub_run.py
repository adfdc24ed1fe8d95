"""`tailstest run` of this same installation, as a process of its own with a folder of its own.

The only place that starts such runs. They leave the store of results alone: a trial with another
image or suite must not become the latest run that the gate looks at.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tailstest
from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.core.interruption import sigterm_interrupts
from tailstest.core.text import printable, shortened
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run

#: Seconds that a run may take to end after an interruption; it promises 10.
_PATIENCE = 20.0
#: Characters of what a run printed that an error repeats.
_SAID = 500
#: The run ends with the process that started it, however that dies: PR_SET_PDEATHSIG is 1.
_PROGRAM = (
    "import ctypes, os, signal, sys; parent = int(sys.argv.pop(1)); "
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM); "
    "os.getppid() == parent or sys.exit(3); "
    "sys.path.insert(0, sys.argv.pop(1)); "
    "from tailstest.cli.main import main; main()"
)


@dataclass(frozen=True)
class SubRun:
    """What to run.

    Attributes:
        paths: as `tailstest run` takes them; absolute.
        image: file or name; None without one.
        output: folder of the run, which does not exist.
        folder: where it runs; what relative names are relative to.
        repeat: attempts at each scenario.
    """

    paths: Sequence[str]
    image: str | None
    output: Path
    folder: Path
    repeat: int = 1

    @property
    def words(self) -> list[str]:
        """The command line behind `tailstest`."""
        words = ["run", *self.paths, "--store", "none", "--output", str(self.output)]
        # Each trial begins anew: from a checkpoint it would be the start of another one once more,
        # with what went well or wrong in that.
        words.append("--no-checkpoints")
        words += ["--repeat", str(self.repeat)] if self.repeat > 1 else []
        return words + (["--image", self.image] if self.image else [])


@dataclass(frozen=True)
class Ended:
    """How it ended: the exit status, the run if there was one, and what it said last."""

    status: int
    run: Run | None
    said: str


def run_apart(order: SubRun) -> Ended:
    """Run, and wait for the end; an interruption is passed on and waited for.

    Raises:
        InfrastructureError: the run cannot be started, or its folder cannot be read.
        KeyboardInterrupt: somebody ended it.
    """
    package = str(Path(tailstest.__file__).resolve().parent.parent)
    program = [sys.executable, "-P", "-c", _PROGRAM, str(os.getpid()), package, *order.words]
    log = order.output.with_name(f"{order.output.name}.txt")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as said:
            process = subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=order.folder,
                start_new_session=True,
            )
            status = _wait(process)
        text = shortened(printable(log.read_text("utf-8", "replace")).strip()[-_SAID:], _SAID)
    except OSError as error:
        raise InfrastructureError(f"cannot run tailstest apart: {error}") from error
    try:
        run = load_run(RunFolder.open(order.output))
    except TailstestError:
        run = None  # it ended before it had a folder; what it said is told
    return Ended(status, run, text)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a process; one that is not to go on gets some time to end well."""
    with sigterm_interrupts():
        try:
            return process.wait()
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM):
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_PATIENCE)
                    break
            raise
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
