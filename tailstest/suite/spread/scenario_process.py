"""A process that runs scenarios, seen from the Dask worker that started it.

Scenarios run apart from Dask: a process can be told to end, which a thread cannot, and a worker
that serves many runs never has the step files of two of them in its memory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tailstest.core.errors import TailstestError
from tailstest.core.verdict import Verdict
from tailstest.suite.spread.assignment import Assignment

#: Seconds for a scenario that was interrupted to put its machine away; Ctrl-C ends a run in 10 s.
ENDING = 5.0
#: Seconds for a process without a scenario to end.
_LEAVING = 3.0
#: Seconds that a process has after the limit of its scenario to tell of an end. It interrupts the
#: scenario itself, and has evidence to keep, films to finish and machines to put away behind that.
GRACE = 600.0

_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from tailstest.suite.spread.scenario_main import main; main({number})"
)


class ProcessDied(Exception):
    """The process ended before its scenario did."""


class ProcessSilent(Exception):
    """The process told of no end of its scenario in time, and was killed.

    Args:
        seconds: that it had.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"told of no end within {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Told:
    """An event of the scenario that is going on, as a line of JSON."""

    line: str


@dataclass(frozen=True)
class Allowed:
    """An attempt begins, or begins or ends to be held up: it may take so many seconds from now."""

    seconds: float


@dataclass(frozen=True)
class Ended:
    """A scenario has ended.

    Attributes:
        verdicts: scenario id, or place of trouble outside of scenarios, to verdict.
        error: why it could not begin.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    error: TailstestError | None = None


class ScenarioProcess:
    """Runs one scenario after the other; ends when this object's process ends, however that is.

    Args:
        assignment: what to run scenarios of.
    """

    def __init__(self, assignment: Assignment) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Ctrl-C in a terminal reaches the whole process group; whoever started us decides.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START.format(path=sys.path, number=theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=assignment.directory,
            )
        self._line = Connection(ours.detach())
        self._lock = threading.Lock()
        self._is_told_to_end = self._is_lost = False
        self._limit = assignment.order.settings.scenario_limit
        self._killer: threading.Timer | None = None
        self._silent: ProcessSilent | None = None
        with suppress(OSError):
            self._line.send(assignment)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def run(self, scenario: str, tell: Callable[[str], None]) -> Ended:
        """Run a scenario.

        Args:
            scenario: its id.
            tell: called with each event, a line of JSON.

        Raises:
            ProcessDied: it was killed, or told to end before the scenario began.
            ProcessSilent: it hung.
            TailstestError: the scenario could not begin.
        """
        try:
            self._expect_end(self._limit)  # of what comes in front of the scenario
            self._line.send(scenario)
            while True:
                message = self._line.recv()
                if isinstance(message, Told):
                    tell(message.line)
                elif isinstance(message, Allowed):
                    self._expect_end(message.seconds)
                elif message.error is not None:
                    raise message.error
                else:
                    assert isinstance(message, Ended)
                    return message
        except (EOFError, OSError) as error:
            self._is_lost = True  # the kernel may tell so a moment later
            if self._silent is not None and not self._is_told_to_end:
                raise self._silent from error
            raise ProcessDied(f"process {self.pid} ended during a scenario") from error
        finally:
            self._forget_end()

    def _expect_end(self, seconds: float) -> None:
        """Kill it when this time and `GRACE` have passed, unless it told of an end or other time.

        Looking at its line now and then would not do: it may stop in the middle of a message.
        """
        self._forget_end()
        if not self._limit:
            return
        silent = ProcessSilent(max(0.0, seconds) + GRACE)

        def kill() -> None:
            with self._lock:
                if self._killer is not killer:
                    return
                self._silent, self._is_lost = silent, True
                self._process.kill()
                # Programs that a step started may hold the other end of the line.
                with (
                    suppress(OSError),
                    socket.socket(fileno=os.dup(self._line.fileno())) as line,
                ):
                    line.shutdown(socket.SHUT_RDWR)

        killer = threading.Timer(silent.seconds, kill)
        killer.daemon = True
        with self._lock:
            self._killer = killer
        killer.start()

    def _forget_end(self) -> None:
        with self._lock:
            killer, self._killer = self._killer, None
        if killer is not None:
            killer.cancel()

    @property
    def is_alive(self) -> bool:
        """Whether it could run another scenario."""
        return not self._is_lost and self._process.poll() is None

    @property
    def is_told_to_end(self) -> bool:
        """Whether `interrupt` was called."""
        return self._is_told_to_end

    def interrupt(self) -> None:
        """Make it end what it does, and then itself; returns at once, from any thread."""
        with self._lock:
            if self._is_told_to_end:
                return
            self._is_told_to_end = True
        self._process.terminate()
        killer = threading.Timer(ENDING, self._process.kill)
        killer.daemon = True
        killer.start()

    def close(self) -> None:
        """End it: it has no scenario; harmless when done before."""
        if self._is_told_to_end:
            self._leave(ENDING)  # closing the line would interrupt its clean-up
        self._line.close()  # what it waits for
        self._leave(_LEAVING)

    def _leave(self, limit: float) -> None:
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
