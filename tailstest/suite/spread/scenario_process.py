"""A process that runs scenarios, seen from the Dask worker that started it.

Scenarios run apart from Dask: a process can be told to end, which a thread cannot, and a worker
that serves many runs never has the step files of two of them in its memory.
"""

from __future__ import annotations

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

_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from tailstest.suite.spread.scenario_main import main; main({number})"
)


class ProcessDied(Exception):
    """The process ended before its scenario did."""


@dataclass(frozen=True)
class Told:
    """An event of the scenario that is going on, as a line of JSON."""

    line: str


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
            TailstestError: the scenario could not begin.
        """
        try:
            self._line.send(scenario)
            while True:
                message = self._line.recv()
                if isinstance(message, Told):
                    tell(message.line)
                elif message.error is not None:
                    raise message.error
                else:
                    assert isinstance(message, Ended)
                    return message
        except (EOFError, OSError) as error:
            self._is_lost = True  # the kernel may tell so a moment later
            raise ProcessDied(f"process {self.pid} ended during a scenario") from error

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
