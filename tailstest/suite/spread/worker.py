"""What a worker process does: one scenario at a time, every event told to whoever started it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import distributed
from distributed.diagnostics.plugin import WorkerPlugin

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Event, Events, Listener, RunFinished
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.verdict import Verdict
from tailstest.results.event_log import event_line
from tailstest.suite.assembly import RunOrder
from tailstest.suite.checkpoints.checkpoints import Checkpoints
from tailstest.suite.feature_reader import read_features
from tailstest.suite.plan import Plan
from tailstest.suite.run_plan import plan_run
from tailstest.suite.runner import SuiteRunner
from tailstest.suite.session import Session
from tailstest.suite.spread.diary import Diary

#: Topic of Dask's event log on which workers tell theirs.
TOPIC = "tailstest"
#: Name of the event that makes scenarios which have not begun be left out.
STOP = "tailstest-stop"
#: How the folders of workers begin, in that of the run.
FOLDER = "worker-"
_PLUGIN = "tailstest"


@dataclass(frozen=True)
class Outcome:
    """How one execution of a scenario ended.

    Attributes:
        token: names this execution; its events carry it, too.
        told: how many events there are.
        verdicts: scenario id, or place of trouble outside of scenarios, to verdict.
        flaky: ids of scenarios whose attempts contradict each other.
    """

    token: str
    told: int
    verdicts: Mapping[str, Verdict]
    flaky: frozenset[str] = frozenset()


class ScenarioWorker(WorkerPlugin):  # type: ignore[misc]  # distributed has no type hints here
    """Lives in a worker process from its first to its last scenario.

    Args:
        order: the run.
        environment: of the run, see `Session.environment`.
    """

    name = _PLUGIN

    def __init__(self, order: RunOrder, environment: Mapping[str, Any]) -> None:
        self._order = order
        self._environment = environment

    def setup(self, worker: Any) -> None:
        """Take the worker; called by Dask."""
        self._worker = worker
        self._parts: _Parts | None = None
        self._lock = threading.Lock()
        self._scenario, self._token, self._told = "", "", 0
        self._diary: Diary | None = None

    def teardown(self, worker: Any) -> None:
        """End everything; called by Dask when the worker goes away."""
        if self._parts is not None:
            self._parts.close()
        if self._diary is not None:
            self._diary.close()

    def run(self, scenario: str) -> Outcome:
        """Run a scenario.

        Raises:
            UsageError: its file, the steps or environment.py are not what they were.
            InfrastructureError: the host cannot run machines.
        """
        with self._lock:
            self._scenario, self._token, self._told = scenario, uuid.uuid4().hex, 0
        if distributed.Event(STOP).is_set():
            return Outcome(self._token, 0, {scenario: Verdict.NOT_RUN})
        if self._parts is None:
            folder = _own_folder(self._order.folder)
            self._diary = Diary(folder)
            self._parts = _Parts.of(self._order, self._environment, folder, self._tell)
        parts = self._parts
        plan = parts.plan_of(scenario)
        result = SuiteRunner(
            plan,
            parts.events,
            parts.session,
            checkpoints=parts.checkpoints,
            repeating=self._order.options.repeating,
        ).run()
        with self._lock:
            return Outcome(self._token, self._told, result.verdicts, result.flaky)

    def _tell(self, event: Event) -> None:
        if isinstance(event, RunFinished):
            return  # of this scenario alone
        with self._lock:
            self._told += 1
            message = {
                "scenario": self._scenario,
                "token": self._token,
                "number": self._told,
                "event": event_line(event),
            }
            if self._diary is not None:
                self._diary.write(message)
            self._worker.log_event(TOPIC, message)


@dataclass(frozen=True)
class _Parts:
    """What is made once in a process."""

    events: Events
    plan: Plan
    session: Session
    checkpoints: Checkpoints | None

    @classmethod
    def of(
        cls, order: RunOrder, environment: Mapping[str, Any], folder: Path, tell: Listener
    ) -> _Parts:
        plan = plan_run(order.options)
        events = Events()
        events.subscribe(tell)
        session = order.session(plan, events, EvidenceFolder(folder, order.folder))
        checkpoints = order.checkpoints(plan, session, events, environment, folder)
        return cls(events, plan, session, checkpoints)

    def plan_of(self, scenario: str) -> Plan:
        """Return a plan of one scenario, its models made anew: behave changes what it runs.

        Raises:
            UsageError: its file is not what it was when the run began.
        """
        root = self.plan.suite.root
        planned = next(each for each in self.plan.scenarios if each.id == scenario)
        found = read_features([root / planned.feature_file], root)
        alone = [each for each in found.scenarios if each.id == scenario]
        if not alone:
            raise UsageError(
                f"{planned.location}: the scenario is gone since the run began",
                hint="leave features as they are while they are run",
            )
        return replace(self.plan, scenarios=alone, broken_files=[])

    def close(self) -> None:
        try:
            self.session.close()
        finally:
            if self.checkpoints is not None:
                self.checkpoints.close()


def _own_folder(run: Path) -> Path:
    """Make a folder in that of the run, for what this process keeps."""
    for number in range(1, 10_000):
        folder = run / f"{FOLDER}{number}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise InfrastructureError(f"cannot make {folder}: {error.strerror}") from error
        return folder
    raise InfrastructureError(f"there is no name left for a worker's folder in {run}")


def run_scenario(scenario: str, after: object = None) -> Outcome:
    """Run a scenario in this worker process; the task that is given to Dask.

    Args:
        scenario: its id.
        after: outcome of the scenario that this one waited for.
    """
    worker: ScenarioWorker = distributed.get_worker().plugins[_PLUGIN]
    return worker.run(scenario)
