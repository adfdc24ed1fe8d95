"""What a Dask worker does: scenarios in processes of its own, every event told to the client."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import distributed
from distributed.diagnostics.plugin import WorkerPlugin

from tailstest.core.cut_off import CutOff
from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.core.verdict import Verdict
from tailstest.results.event_log import event_line
from tailstest.suite.run_result import is_bad
from tailstest.suite.spread.course import Course
from tailstest.suite.spread.scenario_process import (
    Ended,
    ProcessDied,
    ProcessSilent,
    ScenarioProcess,
)
from tailstest.suite.spread.workplace import Workplace

#: Topic of Dask's event log on which workers tell theirs. One for all runs, for Dask keeps the
#: last ones of each topic for as long as a scheduler lives.
TOPIC = "tailstest"
#: How often a scenario may take its process with it before it is given up.
ALLOWED_FAILURES = 1


def plugin_name(run: str) -> str:
    """Return the name of the plugin that a run has in each worker."""
    return f"tailstest-{run}"


def stop_name(run: str) -> str:
    """Return the name of the Dask event that makes scenarios which have not begun be left out."""
    return f"tailstest-stop-{run}"


def done_name(run: str, scenario: str) -> str:
    """Return the name of the Dask event that says that a scenario has an outcome.

    Dask runs a task again whose result was lost with its worker, but the outcome was told.
    """
    return f"tailstest-done-{run}-{scenario}"


@dataclass(frozen=True)
class Outcome:
    """How one execution of a scenario ended.

    Attributes:
        token: names this execution; its events carry it, too. "": there was none, the scenario
            is done already or was left out.
        told: how many messages there are of it.
        verdicts: scenario id, or place of trouble outside of scenarios, to verdict.
        error: why it could not run. It is told and not raised: Dask would give up all scenarios
            that wait for this one.
    """

    token: str
    told: int
    verdicts: Mapping[str, Verdict]
    error: TailstestError | None = None


class ScenarioWorker(WorkerPlugin):  # type: ignore[misc]  # distributed has no type hints here
    """Lives in a Dask worker for one run.

    Args:
        run: names the run.
        place: where scenarios run.
        stop: whether none shall begin after one that does not pass.
        patience: seconds without a word of the client after which the run is given up; 0: never.
    """

    def __init__(
        self, run: str, place: Workplace, *, stop: bool = False, patience: float = 0.0
    ) -> None:
        self._patience = patience
        self.name = plugin_name(run)
        self._stop = stop
        self._run = run
        self.place = place

    async def setup(self, worker: Any) -> None:
        """Take the worker; called by Dask."""
        self._worker = worker
        self._lock = threading.Lock()
        self._idle: list[ScenarioProcess] = []
        self._busy: dict[Any, ScenarioProcess] = {}
        self._cancelled: set[Any] = set()
        self._going = 0
        self._is_closed = False
        await asyncio.to_thread(self.place.open, worker.state.nthreads)
        self.hear()
        if self._patience:
            threading.Thread(target=self._listen, daemon=True).start()

    def hear(self) -> None:
        """Note that the client lives."""
        self._heard = time.monotonic()

    def _listen(self) -> None:
        """Give the run up when the client has not been heard of for too long."""

        def look() -> bool | None:
            silent = time.monotonic() - self._heard > self._patience
            return self._is_closed or silent or None

        poll(look, Deadline.after(math.inf), interval=1.0)
        if not self._is_closed:
            self._worker.loop.add_callback(self._worker.plugin_remove, self.name)

    async def teardown(self, worker: Any) -> None:
        """End everything; called by Dask when the worker goes away, or the run has ended."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            for process in self._busy.values():
                process.interrupt()
            is_busy = self._going > 0
        for process in idle:
            process.close()
        if not is_busy:
            self.place.close()

    def transition(self, key: Any, start: str, finish: str, **_more: Any) -> None:
        """Interrupt a scenario that nobody wants any more; called by Dask.

        The client has cancelled it, or is gone.
        """
        if start in {"executing", "long-running"} and finish == "released":
            with self._lock:
                self._cancelled.add(key)
                process = self._busy.get(key)
            if process is not None:
                process.interrupt()

    def run(self, key: Any, scenario: str) -> Outcome:
        """Run a scenario.

        Args:
            key: of the task.
            scenario: its id.

        Raises:
            UsageError: its file, the steps or environment.py are not what they were.
            InfrastructureError: the host cannot run machines, processes were killed, or one hung
                before the scenario began.
        """
        with self._lock:
            if self._is_closed:
                return Outcome("", 0, {scenario: Verdict.NOT_RUN})
            self._going += 1
        try:
            return self._run_scenario(key, scenario)
        finally:
            with self._lock:
                self._going -= 1
                is_last = self._is_closed and not self._going
            if is_last:
                self.place.close()

    def _run_scenario(self, key: Any, scenario: str) -> Outcome:
        if distributed.Event(stop_name(self._run)).is_set():
            return Outcome("", 0, {scenario: Verdict.NOT_RUN})
        # A worker that shares our process is not lost without us.
        done = distributed.Event(done_name(self._run, scenario)) if self._patience else None
        if done is not None and done.is_set():
            return Outcome("", 0, {})
        for _ in range(1 + ALLOWED_FAILURES):
            execution = _Execution(self._worker, self._run, scenario)
            process = self._taken(key)
            try:
                ended = execution.run(process)
            except ProcessDied:
                if process.is_told_to_end:
                    execution.end()
                    return Outcome(execution.token, execution.told, {})
            else:
                execution.end(ended)
                if done is not None:
                    done.set()
                if self._stop and any(map(is_bad, ended.verdicts.values())):
                    distributed.Event(stop_name(self._run)).set()
                return Outcome(execution.token, execution.told, ended.verdicts)
            finally:
                self._give_back(key, process)
        raise InfrastructureError(CutOff.PROCESSES_KILLED.value)

    def _taken(self, key: Any) -> ScenarioProcess:
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None:
            process = ScenarioProcess(self.place.assignment())
        with self._lock:
            self._busy[key] = process
            is_unwanted = self._is_closed or key in self._cancelled
        if is_unwanted:
            process.interrupt()
        return process

    def _give_back(self, key: Any, process: ScenarioProcess) -> None:
        with self._lock:
            is_reusable = process.is_alive and not (process.is_told_to_end or self._is_closed)
            if is_reusable:
                self._idle.append(process)
        if not is_reusable:
            process.close()
        with self._lock:
            del self._busy[key]


class _Execution:
    """Tells what happens in one execution of a scenario."""

    def __init__(self, worker: Any, run: str, scenario: str) -> None:
        self.token = uuid.uuid4().hex
        self.told = 0
        self._worker = worker
        self._scenario = scenario
        self._course = Course()
        self._head = {
            "run": run,
            "scenario": scenario,
            "token": self.token,
            "place": worker.contact_address,
        }

    def run(self, process: ScenarioProcess) -> Ended:
        """Let a process run the scenario; what hangs is over, for it would hang elsewhere, too.

        Raises:
            ProcessDied: it was killed, or told to end before the scenario began.
            InfrastructureError: it hung before the scenario began.
            TailstestError: the scenario could not begin.
        """
        try:
            return process.run(self._scenario, self._tell)
        except ProcessSilent as error:
            events, verdicts = self._course.cut_off(self._scenario, error.seconds)
            for event in events:
                self._tell(event_line(event))
            return Ended(verdicts)

    def _tell(self, line: str) -> None:
        """Tell an event, a line of JSON."""
        self._course.hear(line)
        self._send({"event": line})

    def end(self, ended: Ended | None = None) -> None:
        """Tell that there will be no more.

        Args:
            ended: how it ended; None if it was cut off.
        """
        if ended is None:
            self._send({"over": True})
        else:
            verdicts = {key: each.value for key, each in ended.verdicts.items()}
            self._send({"over": True, "verdicts": verdicts})

    def _send(self, content: Mapping[str, Any]) -> None:
        self.told += 1
        self._worker.log_event(TOPIC, {**self._head, "number": self.told, **content})


def run_scenario(run: str, scenario: str, after: object = None) -> Outcome:
    """Run a scenario in this Dask worker; the task that is given to Dask. Raises nothing.

    Args:
        run: names the run.
        scenario: its id.
        after: outcome of the scenario that this one waited for.
    """
    try:
        dask_worker = distributed.get_worker()
        worker: ScenarioWorker = dask_worker.plugins[plugin_name(run)]
        return worker.run(dask_worker.get_current_task(), scenario)
    except TailstestError as error:
        return Outcome("", 0, {}, error=error)
    except Exception as error:  # noqa: BLE001 - told, and of a class that the client knows
        told = InfrastructureError(f"the worker: {type(error).__name__}: {error}")
        return Outcome("", 0, {}, error=told)
