"""Runs a plan in several worker processes, and tells their events scenario by scenario."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distributed

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import TailstestError
from tailstest.core.events import (
    Event,
    Events,
    Noted,
    ScenarioFinished,
)
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict, verdict_of
from tailstest.hypervisor.leftovers import remove_leftovers
from tailstest.results.progress import SeveralAtOnce
from tailstest.suite.assembly import RunOrder
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.narrator import scenario_started
from tailstest.suite.plan import Plan
from tailstest.suite.run_result import RunResult, is_bad
from tailstest.suite.session import Session
from tailstest.suite.spread.cluster import local_cluster, submit
from tailstest.suite.spread.diary import read_diary, remove_diary
from tailstest.suite.spread.mail import Mail
from tailstest.suite.spread.turns import Turn, turns_of
from tailstest.suite.spread.worker import FOLDER, STOP, TOPIC, Outcome, ScenarioWorker, run_scenario

#: Seconds for the events of a scenario to arrive after its outcome did; they take the same way.
_ARRIVAL = 30.0


class SpreadRunner:
    """Runs a plan in `order.options.workers` processes.

    The events of a scenario are told together when it has ended, so that whoever listens sees one
    scenario after the other, as in a run without workers.

    Args:
        order: the run.
        plan: what to run.
        session: of this process; makes no machines, but knows the host.
        events: told about everything.
        environment: of the run.
        progress: told at once what workers do.
        seconds: id to what a scenario took before; the long ones go first.
    """

    def __init__(
        self,
        order: RunOrder,
        plan: Plan,
        session: Session,
        events: Events,
        environment: Mapping[str, Any],
        progress: SeveralAtOnce,
        seconds: Mapping[str, float],
    ) -> None:
        self._order = order
        self._plan = plan
        self._session = session
        self._events = events
        self._environment = environment
        self._scenarios = {scenario.id: scenario for scenario in plan.scenarios}
        self._mail = Mail(progress)
        self._verdicts: dict[str, Verdict] = {}
        self._flaky: set[str] = set()
        self._interrupted = False
        self._seconds = seconds

    def run(self) -> RunResult:
        """Run all planned scenarios; always ends with the event RunFinished."""
        with _interruptible():
            try:
                self._run_all()
            except KeyboardInterrupt:
                self._interrupted = True
        self._read_diaries()
        for token in self._mail.unfinished():
            self._tell_cut_off(token)
        for folder in self._worker_folders():
            remove_diary(folder)
        remove_leftovers()
        result = RunResult.of(
            self._plan, self._verdicts, interrupted=self._interrupted, flaky=self._flaky
        )
        result.tell(self._events)
        return result

    def _run_all(self) -> None:
        workers = min(self._order.options.workers, len(self._plan.scenarios))
        folder = self._order.folder / ".dask"
        try:
            with local_cluster(workers, folder) as client:
                client.register_plugin(ScenarioWorker(self._order, self._environment))
                client.subscribe_topic(TOPIC, self._mail.take)
                futures = submit(client, self._turns(), run_scenario)
                for future in distributed.as_completed(list(futures)):
                    self._finished(futures[future], future)
                    if self._order.options.stop and self._is_bad(futures[future]):
                        distributed.Event(STOP, client=client).set()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _turns(self) -> list[Turn]:
        checkpoints = self._order.checkpoints(
            self._plan, self._session, self._events, self._environment, self._order.folder
        )
        return turns_of(
            list(self._scenarios),
            checkpoints.chains if checkpoints is not None else {},
            checkpoints.is_saved if checkpoints is not None else lambda _key: False,
            self._seconds,
        )

    def _finished(self, scenario: str, future: distributed.Future) -> None:
        if future.status == "finished":
            outcome: Outcome = future.result()
            arrived = poll(
                lambda: self._mail.arrived(outcome.token) >= outcome.told or None,
                Deadline.after(_ARRIVAL, scale=self._session.slowness),
            )
            self._tell_earlier(scenario, outcome.token)
            self._publish(outcome.token)
            self._flaky |= outcome.flaky
            for key, verdict in outcome.verdicts.items():
                self._verdicts[key if key in self._scenarios else f"{key}, {scenario}"] = verdict
            if arrived is None:
                text = "some of what a worker told of this scenario did not arrive"
                self._events.publish(Noted(text=text, level="warning"))
                self._verdicts[f"events of {scenario}"] = Verdict.INCOMPLETE
        elif scenario not in self._verdicts:
            self._lost(self._scenarios[scenario], future.exception())

    def _lost(self, scenario: PlannedScenario, error: BaseException | None) -> None:
        """Tell that a scenario has no outcome: its worker died, or could not begin."""
        self._tell_earlier(scenario.id, "")
        if isinstance(error, TailstestError):
            text, verdict = printable(error.message), verdict_of(error)
        elif isinstance(error, distributed.KilledWorker):
            text, verdict = "each worker process that ran it was killed", Verdict.INCOMPLETE
        else:
            text = printable(f"the worker: {type(error).__name__}: {error}")
            verdict = Verdict.INCOMPLETE
        self._verdicts[scenario.id] = verdict
        self._events.publish(scenario_started(scenario))
        self._events.publish(
            ScenarioFinished(
                scenario_id=scenario.id, verdict=verdict.value, seconds=0.0, error=text
            )
        )

    def _tell_earlier(self, scenario: str, token: str) -> None:
        """Tell of the executions of a scenario that ended with their worker process."""
        if len(self._worker_folders()) > self._order.options.workers:
            self._read_diaries()
        for each in self._mail.earlier(scenario, token):
            self._tell_cut_off(each)

    def _worker_folders(self) -> list[Path]:
        return sorted(self._order.folder.glob(f"{FOLDER}*"))

    def _read_diaries(self) -> None:
        for folder in self._worker_folders():
            self._mail.collect(read_diary(folder))

    def _tell_cut_off(self, token: str) -> None:
        """Tell what is known of an execution that was cut off, as an attempt of its own."""
        told = self._publish(token)
        if not told:
            return
        scenario = self._mail.scenario_of(token)
        error = "interrupted" if self._interrupted else "the worker process that ran it was killed"
        self._events.publish(
            ScenarioFinished(
                scenario_id=scenario,
                verdict=Verdict.INCOMPLETE.value,
                seconds=time.time() - told[0].time,
                error=error,
            )
        )
        self._verdicts.setdefault(scenario, Verdict.INCOMPLETE)

    def _publish(self, token: str) -> list[Event]:
        events = self._mail.open(token)
        for event in events:
            self._events.publish(event)
        return events

    def _is_bad(self, scenario: str) -> bool:
        return scenario in self._flaky or is_bad(self._verdicts.get(scenario, Verdict.NOT_RUN))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Make SIGTERM end the run as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
