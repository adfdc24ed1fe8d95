"""Runs a plan with Dask workers, and tells their events scenario by scenario."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import distributed

from tailstest.core.cut_off import CutOff
from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.core.events import Event, Events, Noted, ScenarioFinished
from tailstest.core.interruption import interruptions_wait, sigterm_interrupts
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict, verdict_of, verdict_of_attempts
from tailstest.hypervisor.leftovers import remove_leftovers
from tailstest.results.progress import SeveralAtOnce
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.narrator import scenario_started
from tailstest.suite.plan import Plan
from tailstest.suite.run_result import RunResult, is_bad
from tailstest.suite.spread.cluster import submit
from tailstest.suite.spread.crew import Crew
from tailstest.suite.spread.mail import Mail
from tailstest.suite.spread.scenario_process import ENDING
from tailstest.suite.spread.turns import Turn
from tailstest.suite.spread.worker import (
    TOPIC,
    Outcome,
    ScenarioWorker,
    done_name,
    plugin_name,
    run_scenario,
    stop_name,
)

#: Seconds for the events of a scenario to arrive after its outcome did; they take the same way.
_ARRIVAL = 60.0
#: Seconds for what interrupted scenarios still tell, a little more than they have.
_LAST_WORDS = ENDING + 1.0
#: Seconds between two looks for what the crew has to say.
_LOOK = 2.0
#: Seconds between two looks for an outcome.
_SOON = 0.05

#: Requests to the scheduler that are on their way at once.
_AT_ONCE = 50
#: Where trouble of the run's own record is counted.
_RECORD = "the record of the run"


class SpreadRunner:
    """Runs a plan with the workers of a crew.

    The events of a scenario are told together when it has ended, so that whoever listens sees one
    scenario after the other, as in a run without workers.

    Args:
        crew: the workers.
        plan: what to run.
        turns: in which order.
        folder: of the run.
        events: told about everything.
        progress: told at once what workers do.
        stop: end after the first scenario that does not pass.
    """

    def __init__(
        self,
        crew: Crew,
        plan: Plan,
        turns: list[Turn],
        folder: Path,
        events: Events,
        progress: SeveralAtOnce,
        *,
        stop: bool = False,
    ) -> None:
        self._crew = crew
        self._plan = plan
        self._turns = turns
        self._folder = folder
        self._events = events
        self._stop = stop
        self._run = uuid.uuid4().hex[:12]
        self._scenarios = {scenario.id: scenario for scenario in plan.scenarios}
        self._mail = Mail(self._run, progress)
        self._verdicts: dict[str, Verdict] = {}
        self._attempts: dict[str, list[Verdict]] = {}
        self._interrupted = False

    def run(self) -> RunResult:
        """Run all planned scenarios; always ends with the event RunFinished."""
        with sigterm_interrupts():
            try:
                self._run_all()
            except KeyboardInterrupt:
                self._interrupted = True
        self._say_notes()
        for token in self._mail.unfinished():
            self._tell_cut_off(token)
        remove_leftovers()
        result = RunResult.of(self._plan, self._verdicts, interrupted=self._interrupted)
        try:
            result.tell(self._events)
        except InfrastructureError:  # of the disk, at the very end
            verdicts = {**result.verdicts, _RECORD: Verdict.INCOMPLETE}
            result = replace(result, verdicts=verdicts)
        return result

    def _run_all(self) -> None:
        with self._crew.at_work(self._run, self._folder) as client:
            client.subscribe_topic(TOPIC, self._mail.take)
            client.register_plugin(
                ScenarioWorker(
                    self._run, self._crew.place, stop=self._stop, patience=self._crew.patience
                )
            )
            futures: dict[distributed.Future, str] = {}
            try:
                self._crew.supply()
                futures = self._submit(client, self._turns, f"scenario-{self._run}")
                self._gather(client, futures)
            except KeyboardInterrupt:
                self._interrupted = True
                self._end_early(client, futures)
            finally:
                with suppress(Exception):  # the scheduler may be gone, and the workers with it
                    client.sync(self._clear, client)
                    client.unregister_worker_plugin(plugin_name(self._run))

    async def _clear(self, client: distributed.Client) -> None:
        """Take away what the scheduler would remember for ever."""
        names = [stop_name(self._run)]
        if self._crew.patience:
            names += [done_name(self._run, each) for each in self._scenarios]
        for begin in range(0, len(names), _AT_ONCE):
            await asyncio.gather(
                *(
                    client.scheduler.event_clear(name=each)
                    for each in names[begin : begin + _AT_ONCE]
                )
            )

    def _submit(
        self, client: distributed.Client, turns: Sequence[Turn], name: str
    ) -> dict[distributed.Future, str]:
        task, resources = partial(run_scenario, self._run), self._crew.resources
        return submit(client, turns, task, name=name, resources=resources)

    def _gather(self, client: distributed.Client, futures: dict[distributed.Future, str]) -> None:
        completed = distributed.as_completed(list(futures), loop=client.loop)
        while not completed.is_empty():
            self._say_notes()
            arrived = poll(
                lambda: completed.has_ready() or None, Deadline.after(_LOOK), interval=_SOON
            )
            if arrived is None:
                continue
            future = next(completed)
            scenario = futures[future]
            is_left_out = _is_left_out(future)
            if not is_left_out:
                self._finished(scenario, future)
            if self._stop and (is_left_out or self._is_bad(scenario)):  # its worker may be gone
                # Not where the scheduler is lost: then nobody is there to be told.
                with suppress(OSError, TimeoutError):
                    distributed.Event(stop_name(self._run), client=client).set()
            if is_left_out:
                turns = [replace(each, after=None) for each in self._turns]
                again = [each for each in turns if each.scenario == scenario]
                new = self._submit(client, again, f"{future.key}-again")
                futures |= new
                completed.update(list(new))

    def _say_notes(self) -> None:
        for text in self._crew.notes():
            self._say(Noted(text=text, level="warning"))

    def _end_early(
        self, client: distributed.Client, futures: dict[distributed.Future, str]
    ) -> None:
        """End what goes on, everywhere, and keep what it still tells."""
        ended = {each: of for each, of in futures.items() if each.status == "finished"}
        for future, scenario in ended.items():
            if scenario not in self._verdicts:
                self._finished(scenario, future)
        with suppress(KeyboardInterrupt):  # a second one does not wait
            client.cancel([each for each in futures if each not in ended])
            poll(lambda: not self._mail.going() or None, Deadline.after(_LAST_WORDS))
            for token in self._mail.unfinished():
                self._bring_files(self._mail.scenario_of(token), token)

    def _finished(self, scenario: str, future: distributed.Future) -> None:
        if future.status != "finished":
            # It may have told its outcome just before it was lost with its worker or scheduler.
            told = self._mail.result_of(scenario)
            if told is not None:
                self._take(scenario, told)
            elif scenario not in self._verdicts:
                self._lost(self._scenarios[scenario], _error_of(future))
            return
        outcome: Outcome | None
        try:
            outcome = future.result()
        except Exception:  # noqa: BLE001 - the scheduler was lost, just now
            outcome = Outcome("", 0, {})
        first = self._mail.result_of(scenario)
        if outcome.error is not None and first is None:
            if scenario not in self._verdicts:
                self._lost(self._scenarios[scenario], outcome.error)
            return
        if not outcome.token and not outcome.verdicts:
            outcome = self._told_before(scenario)
        elif first is not None and first.token != outcome.token:
            # Its worker was lost just after it had told; what another one did counts nothing.
            self._mail.open(outcome.token)
            outcome = first
        if outcome is not None:
            self._take(scenario, outcome)

    def _told_before(self, scenario: str) -> Outcome | None:
        """Return the outcome of a scenario whose worker was lost after it had told of it."""
        if scenario in self._verdicts:
            return None
        found = poll(lambda: self._mail.result_of(scenario), Deadline.after(_LAST_WORDS))
        if found is None:
            self._lost(self._scenarios[scenario], None)
        return found

    def _take(self, scenario: str, outcome: Outcome) -> None:
        arrived = poll(
            lambda: self._mail.arrived(outcome.token) >= outcome.told or None,
            Deadline.after(_ARRIVAL),
        )
        self._tell_earlier(scenario, outcome.token)
        self._bring_files(scenario, outcome.token)
        self._publish(outcome.token)
        for key, verdict in outcome.verdicts.items():
            self._verdicts[key if key in self._scenarios else f"{key}, {scenario}"] = verdict
        self._settle(scenario)
        if arrived is None:
            text = "some of what a worker told of this scenario did not arrive"
            self._say(Noted(text=text, level="warning"))
            self._verdicts[f"events of {scenario}"] = Verdict.INCOMPLETE

    def _bring_files(self, scenario: str, token: str) -> None:
        try:
            lost = self._crew.fetch(self._mail.place_of(token), self._mail.files_of(token))
        except InfrastructureError as error:
            self._say(Noted(text=printable(error.message), level="warning"))
            self._verdicts[f"files of {scenario}"] = Verdict.INCOMPLETE
            return
        if lost:
            text = f"{len(lost)} files of this scenario did not come from its worker"
            self._say(Noted(text=text, level="warning"))

    def _lost(self, scenario: PlannedScenario, error: BaseException | None) -> None:
        """Tell that a scenario has no outcome: its worker died, or could not begin."""
        self._tell_earlier(scenario.id, "")
        if isinstance(error, TailstestError):
            text, verdict = printable(error.message), verdict_of(error)
        elif isinstance(error, distributed.KilledWorker):
            text, verdict = CutOff.WORKERS_LOST.value, Verdict.INCOMPLETE
        elif error is None:
            text, verdict = CutOff.SCHEDULER_LOST.value, Verdict.INCOMPLETE
        else:
            text = printable(f"the worker: {type(error).__name__}: {error}")
            verdict = Verdict.INCOMPLETE
        self._verdicts[scenario.id] = verdict
        self._say(scenario_started(scenario))
        self._say(
            ScenarioFinished(
                scenario_id=scenario.id, verdict=verdict.value, seconds=0.0, error=text
            )
        )
        self._settle(scenario.id)

    def _tell_earlier(self, scenario: str, token: str) -> None:
        """Tell of the executions of a scenario that ended with their process or worker."""
        for each in self._mail.earlier(scenario, token):
            self._bring_files(scenario, each)
            self._tell_cut_off(each)

    def _tell_cut_off(self, token: str) -> None:
        """Tell what is known of an execution that was cut off, as an attempt of its own."""
        told = self._publish(token)
        if not told:
            return
        scenario = self._mail.scenario_of(token)
        if not isinstance(told[-1], ScenarioFinished) and not _is_over(told):
            error = CutOff.INTERRUPTED if self._interrupted else CutOff.PROCESS_LOST
            self._say(
                ScenarioFinished(
                    scenario_id=scenario,
                    verdict=Verdict.INCOMPLETE.value,
                    seconds=max(0.0, time.time() - told[0].time),  # by the clocks of two hosts
                    error=error.value,
                )
            )
        self._verdicts.setdefault(scenario, _last_verdict(told))
        self._settle(scenario)

    def _settle(self, scenario: str) -> None:
        """Let all attempts at a scenario count, also those of executions that were cut off."""
        attempts = self._attempts.get(scenario, [])
        known = [*attempts, *([self._verdicts[scenario]] if scenario in self._verdicts else [])]
        if known:
            self._verdicts[scenario] = verdict_of_attempts(known)

    def _say(self, event: Event) -> None:
        """Publish an event; what a full disk does not take is missing, and the run goes on."""
        if isinstance(event, ScenarioFinished):
            verdict = Verdict(event.verdict)
            self._attempts.setdefault(event.scenario_id, []).append(verdict)
        try:
            self._events.publish(event)
        except InfrastructureError as error:
            self._verdicts[_RECORD] = Verdict.INCOMPLETE
            with suppress(InfrastructureError):
                self._events.publish(Noted(text=printable(error.message), level="warning"))

    def _publish(self, token: str) -> list[Event]:
        with interruptions_wait():  # an execution is told as a whole, and once
            events = self._mail.open(token)
            for event in events:
                self._say(event)
        return events

    def _is_bad(self, scenario: str) -> bool:
        return is_bad(self._verdicts.get(scenario, Verdict.NOT_RUN))


def _is_over(told: list[Event]) -> bool:
    """Tell whether the last attempt in these events has ended."""
    kinds = [type(each).__name__ for each in told]
    return kinds.count("ScenarioFinished") >= kinds.count("ScenarioStarted")


def _last_verdict(told: list[Event]) -> Verdict:
    ended = [each for each in told if isinstance(each, ScenarioFinished)]
    return Verdict(ended[-1].verdict) if ended and _is_over(told) else Verdict.INCOMPLETE


def _is_left_out(future: distributed.Future) -> bool:
    """Tell whether a scenario did not run since Dask gave up the one that it waited for."""
    error = _error_of(future)
    return isinstance(error, distributed.KilledWorker) and error.task != future.key


def _error_of(future: distributed.Future) -> BaseException | None:
    """Return why there is no outcome; None if the future was lost with its scheduler."""
    if future.status != "error":
        return None
    error: BaseException = future.exception()
    return error
