"""The process in which scenarios run; started by `ScenarioProcess`, ends with whoever did that."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from types import FrameType

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.core.events import Event, Events, Noted, RunFinished, ScenarioStarted
from tailstest.core.evidence import EvidenceFolder
from tailstest.results.event_log import event_line
from tailstest.suite.checkpoints.checkpoints import Checkpoints
from tailstest.suite.feature_reader import read_features
from tailstest.suite.plan import Plan
from tailstest.suite.run_plan import plan_run
from tailstest.suite.runner import SuiteRunner
from tailstest.suite.scenario_limit import ScenarioLimit
from tailstest.suite.session import Session
from tailstest.suite.spread.assignment import Assignment, remove_abandoned
from tailstest.suite.spread.scenario_process import ENDING, Allowed, Ended, Told


def main(number: int) -> None:
    """Run scenarios until the other end of the line is closed.

    Args:
        number: of the file descriptor of the line.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides
    # Outside of a scenario, too, everything that was begun is put away.
    signal.signal(signal.SIGTERM, _exit_once)
    line = Connection(number)
    _end_with_parent(number)
    parts: _Parts | None = None
    assignment: Assignment | None = None
    try:
        try:
            assignment = line.recv()
            assert isinstance(assignment, Assignment)
            while True:
                scenario: str = line.recv()
                try:
                    parts = parts or _Parts.of(assignment, line)
                    ended = parts.run(scenario)
                except TailstestError as error:
                    ended = Ended(error=error)
                except Exception as error:  # noqa: BLE001 - told, not printed
                    ended = Ended(error=InfrastructureError(f"{type(error).__name__}: {error}"))
                line.send(ended)
                if parts is not None and parts.is_over:
                    break
        except (EOFError, OSError):
            pass
        finally:
            # The end of the line is also what `_end_with_parent` sends its signal for.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    finally:  # also when the signal came just before it was of no more use
        if parts is not None:
            parts.close()
        if assignment is not None and assignment.abandoned is not None:
            remove_abandoned(assignment.abandoned)


def _exit_once(_number: int, _frame: FrameType | None) -> None:
    """Leave in order; a second signal would interrupt the clean-up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _end_with_parent(number: int) -> None:
    """Interrupt the scenario when the other end of the line is gone, and then this process."""

    def watch() -> None:
        poller = select.poll()
        poller.register(number, select.POLLRDHUP)
        while not any(found & (select.POLLRDHUP | select.POLLHUP) for _, found in poller.poll()):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        poll(lambda: None, Deadline.after(ENDING))
        os._exit(1)  # the guardian removes the machine

    threading.Thread(target=watch, daemon=True).start()


@dataclass
class _Parts:
    """What is made once."""

    assignment: Assignment
    events: Events
    plan: Plan
    session: Session
    checkpoints: Checkpoints | None
    limit: ScenarioLimit
    is_over: bool = False

    @classmethod
    def of(cls, assignment: Assignment, line: Connection) -> _Parts:
        order, folder = assignment.order, assignment.folder
        plan = plan_run(order.options)
        events = Events()
        note = f"runs on {assignment.place}" if assignment.place else ""
        lock = threading.Lock()

        def tell(event: Event) -> None:
            if isinstance(event, RunFinished):
                return  # of this scenario alone
            with lock:
                line.send(Told(event_line(event)))
                if note and isinstance(event, ScenarioStarted):
                    line.send(Told(event_line(Noted(text=note))))

        def allow(seconds: float) -> None:
            with lock:
                line.send(Allowed(seconds))

        events.subscribe(tell)
        session = order.session(plan, events, EvidenceFolder(folder, assignment.root))
        environment = assignment.environment
        if environment is None:
            environment = session.environment()
        checkpoints = order.checkpoints(plan, session, events, environment, folder)
        limit = order.limit(events, environment, allow)
        return cls(assignment, events, plan, session, checkpoints, limit)

    def run(self, scenario: str) -> Ended:
        result = SuiteRunner(
            self._plan_of(scenario),
            self.events,
            self.session,
            checkpoints=self.checkpoints,
            repeating=self.assignment.order.options.repeating,
            limit=self.limit,
        ).run()
        self.is_over = result.interrupted
        return Ended(result.verdicts)

    def _plan_of(self, scenario: str) -> Plan:
        """Return a plan of one scenario, its models made anew: behave changes what it runs.

        Raises:
            UsageError: its file is not what it was when the run began.
        """
        root = self.plan.suite.root
        planned = next((each for each in self.plan.scenarios if each.id == scenario), None)
        if planned is not None:
            found = read_features([root / planned.feature_file], root)
            alone = [each for each in found.scenarios if each.id == scenario]
            if alone:
                return replace(self.plan, scenarios=alone, broken_files=[])
        where = planned.location if planned is not None else scenario
        raise UsageError(
            f"{where}: the scenario is gone since the run began",
            hint="leave features as they are while they are run",
        )

    def close(self) -> None:
        with suppress(OSError):  # the other end of the line may be gone
            try:
                # First, for who takes too long to close is killed, and this may be gigabytes.
                if self.checkpoints is not None:
                    self.checkpoints.close()
            finally:
                self.session.close()
