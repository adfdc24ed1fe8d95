"""Turns what behave does into events."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from behave.model_type import Status

from tailstest.core.cut_off import CutOff
from tailstest.core.errors import TailstestError, UsageError
from tailstest.core.events import (
    Events,
    Noted,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepStarted,
)
from tailstest.core.interruption import interruptions_wait
from tailstest.core.text import printable, shortened
from tailstest.core.verdict import Verdict, verdict_of
from tailstest.suite.checkpoints.checkpoints import Checkpoints
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.image_guard import ImageChanged
from tailstest.suite.scenario_limit import LimitReached, ScenarioLimit

#: Characters of an error message or of a step's own output that an event keeps.
MESSAGE_LIMIT = 20_000


class ScenarioKeeper(Protocol):
    """What is done around scenarios and steps besides running them; see `suite.session`."""

    def begin_scenario(self, scenario_id: str, name: str) -> None:
        """Prepare for a scenario."""
        ...

    def check(self) -> None:
        """Raise if what a step has just done or seen was worth nothing; takes no time."""
        ...

    def after_step(self, verdict: Verdict, *, hurry: bool = False) -> None:
        """Keep what a step leaves to be seen.

        Args:
            hurry: somebody ends the run: no more than is there already.
        """
        ...

    def end_scenario(self, verdict: Verdict) -> None:
        """Take everything away that belongs to the scenario."""
        ...


class Narrator:
    """Follows one scenario at a time, as one of behave's formatters and through its hooks.

    Args:
        events: told about everything.
        keeper: called around scenarios and steps.
        checkpoints: lets scenarios go on from the beginning of others.
        limit: the time that each scenario may take.

    Attributes:
        verdicts: scenario id to verdict, of all scenarios that were begun.
    """

    name = "tailstest"

    def __init__(
        self,
        events: Events,
        keeper: ScenarioKeeper,
        checkpoints: Checkpoints | None,
        limit: ScenarioLimit,
    ) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self._events = events
        self._keeper = keeper
        self._checkpoints = checkpoints
        self._limit = limit
        self._context: Any = None
        self._scenario: PlannedScenario | None = None
        self._index = 0
        self._verdict = Verdict.PASSED
        self._error = self._kind = ""
        self._started = 0.0

    def begin(self, scenario: PlannedScenario) -> None:
        """Tell that a scenario begins."""
        self._scenario = scenario
        self._index, self._verdict, self._error, self._kind = 0, Verdict.PASSED, "", ""
        self._started = time.monotonic()
        self._events.publish(scenario_started(scenario))
        self._guarded(lambda: self._keeper.begin_scenario(scenario.id, scenario.name))
        if self._checkpoints is not None:
            self._checkpoints.begin(scenario)

    def end(self) -> Verdict:
        """Tell that the scenario ended, after all of its hooks and clean-ups.

        Steps that did not run are skipped.

        Returns:
            The verdict of the scenario.
        """
        scenario = self._scenario
        if scenario is None:
            return Verdict.NOT_RUN
        for step in list(scenario.model.all_steps)[self._index :]:
            self._tell_start(scenario, step)
            self._tell_end(scenario, Verdict.SKIPPED, 0.0)
        status = scenario.model.status
        if self._verdict is Verdict.PASSED and status is Status.skipped:
            self._verdict = Verdict.SKIPPED
            reason = printable(str(scenario.model.skip_reason or ""))
            self._error = shortened(reason, MESSAGE_LIMIT)
        elif self._verdict is Verdict.PASSED and status.has_failed():
            # behave saw trouble that none of our hooks was told about.
            self._verdict = Verdict.ERRORED
            self._error = printable(str(scenario.model.error_message or f"behave: {status.name}"))
        try:
            self._guarded(lambda: self._keeper.end_scenario(self._verdict))
        except KeyboardInterrupt:
            # What is known stays known; whoever ends the run ends the rest of the machine, too.
            text = "interrupted while the machine was put away; evidence may be missing"
            self._events.publish(Noted(text=text, level="warning"))
        with interruptions_wait():
            self._scenario = None
            self.verdicts[scenario.id] = self._verdict
            self._events.publish(
                ScenarioFinished(
                    scenario_id=scenario.id,
                    verdict=self._verdict.value,
                    seconds=time.monotonic() - self._started,
                    error=self._error,
                    kind=self._kind,
                )
            )
        return self._verdict

    @property
    def verdict(self) -> Verdict:
        """The verdict of the present scenario so far."""
        return self._verdict

    @contextlib.contextmanager
    def not_counting(self) -> Iterator[None]:
        """Leave the seconds meanwhile, a person's, out of what the scenario took and may take."""
        began = time.monotonic()
        try:
            with self._limit.paused():
                yield
        finally:
            self._started += time.monotonic() - began

    @property
    def is_telling(self) -> bool:
        """Whether a scenario has begun and not ended."""
        return self._scenario is not None

    def is_own_step(self, step: Any) -> bool:
        """Tell whether a step stands in the scenario, and is not called by another step."""
        steps = self._scenario.model.all_steps if self._scenario else []
        return any(step is each for each in steps)

    def trouble(self, error: BaseException, where: str = "") -> None:
        """Note something that went wrong outside of the steps, in a hook for example."""
        text = _message(error)
        is_known = text == self._error
        # If the image changed meanwhile, it is not the image that failed.
        if self._verdict in {Verdict.PASSED, Verdict.SKIPPED} or isinstance(error, ImageChanged):
            self._verdict, self._error = verdict_of(error), text
            self._kind = type(error).__name__
        if where or not is_known:
            hint = f"; {error.hint}" if isinstance(error, TailstestError) and error.hint else ""
            said = printable(f"{where}: {text}{hint}" if where else f"{text}{hint}")
            self._events.publish(Noted(text=said, level="warning"))

    def block(self, scenario: PlannedScenario, error: BaseException, where: str) -> None:
        """Tell that a scenario could not run because of a hook around it."""
        self.begin(scenario)
        self.trouble(error, where)
        self.end()

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something for the scenario whose own trouble must neither end the run nor be lost."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the verdict
            self.trouble(error)

    def leave_to_a_person(self, scenario: PlannedScenario) -> None:
        """Tell that a scenario is a person's; nothing of it runs."""
        self._events.publish(scenario_started(scenario))
        self.verdicts[scenario.id] = Verdict.MANUAL
        needs = scenario.automation_needs
        why = f"to be done by a person; to automate it: {needs}" if needs else ""
        self._events.publish(
            ScenarioFinished(
                scenario_id=scenario.id, verdict=Verdict.MANUAL.value, seconds=0.0, error=why
            )
        )

    def refuse(self, scenario: PlannedScenario, problems: list[str], lines: set[int]) -> None:
        """Tell that a scenario cannot run because steps are undefined."""
        self.begin(scenario)
        self._verdict, self._error = Verdict.ERRORED, "\n".join(problems)
        steps = list(scenario.model.all_steps)
        for step in steps:
            self._tell_start(scenario, step)
            if step.line in lines:
                self._tell_end(
                    scenario,
                    Verdict.ERRORED,
                    0.0,
                    next(text for text in problems if f":{step.line}: " in text),
                    "correct the step's text, or define it; `tailstest steps` lists all steps",
                )
            else:
                self._tell_end(scenario, Verdict.SKIPPED, 0.0)
        self.end()

    # behave's formatter protocol: only what tells of steps

    def uri(self, uri: str) -> None:
        """Take the name of a feature file."""

    def feature(self, feature: Any) -> None:
        """Take a feature."""

    def rule(self, rule: Any) -> None:
        """Take a rule."""

    def background(self, background: Any) -> None:
        """Take a background."""

    def scenario(self, scenario: Any) -> None:
        """Take a scenario."""

    def step(self, step: Any) -> None:
        """Take a step that will run."""

    def eof(self) -> None:
        """Take the end of a feature file."""

    def close(self) -> None:
        """Take the end of the run."""

    def match(self, match: Any) -> None:
        """Tell that the next step begins; keep it from ending the program, or never ending."""
        scenario = self._scenario
        steps = list(scenario.model.all_steps) if scenario else []
        if scenario is not None and self._index < len(steps):
            self._tell_start(scenario, steps[self._index])
        run = match.run
        if self._checkpoints is not None and scenario is not None:
            run = self._checkpoints.wrapped(self._index, run)

        def run_without_leaving(context: Any) -> None:
            self._context = context
            try:
                self._limit.during(partial(run, context))
            except SystemExit as error:
                raise UsageError(
                    f"the step ended the program with sys.exit({error.code!r})",
                    hint="raise an error instead; a step must leave the run going",
                ) from error
            # Not after a step that failed: what it has found stays found. And before the next one,
            # which would take what is missing now for a failure of the image.
            self._keeper.check()

        match.run = run_without_leaving

    def result(self, step: Any) -> None:
        """Tell how a step ended."""
        scenario = self._scenario
        if scenario is None:
            return
        verdict = self._verdict_of(step)
        is_bad = verdict not in {Verdict.PASSED, Verdict.SKIPPED}
        message, hint, details = _texts(step) if is_bad else ("", "", "")
        if is_bad and self._verdict in {Verdict.PASSED, Verdict.SKIPPED}:
            self._verdict = verdict  # what comes after trouble is its consequence
        kind = type(step.exception).__name__ if is_bad and step.exception is not None else ""
        if not self._error:
            self._error, self._kind = message, kind
        try:
            if self._checkpoints is None or not self._checkpoints.is_behind(self._index):
                hurry = isinstance(step.exception, KeyboardInterrupt)
                self._guarded(lambda: self._keeper.after_step(verdict, hurry=hurry))
            self._tell_output(step)
            if self._checkpoints is not None and self._context is not None:
                self._guarded(
                    partial(self._checkpoints.after_step, self._index, verdict, self._context)
                )
        finally:
            seconds = float(step.duration or 0.0)
            self._tell_end(scenario, verdict, seconds, message, hint, details, kind)

    def _verdict_of(self, step: Any) -> Verdict:
        if step.status is Status.passed:
            return Verdict.PASSED
        if step.status is Status.skipped:
            return Verdict.SKIPPED
        return verdict_of(step.exception) if step.exception is not None else Verdict.ERRORED

    def _tell_output(self, step: Any) -> None:
        captured = getattr(step, "captured", None)
        kinds = ("stdout", "stderr", "log")
        parts = [getattr(captured, kind, "") or "" for kind in kinds]
        output = "\n".join(str(part) for part in parts if part)
        # behave adds the error itself, which is told with the step.
        output = output.replace(str(step.error_message or "\0"), "").strip()
        if output:
            self._events.publish(Noted(text=shortened(printable(output), MESSAGE_LIMIT)))

    def _tell_start(self, scenario: PlannedScenario, step: Any) -> None:
        table = []
        if step.table is not None:
            table = [list(step.table.headings), *(list(row.cells) for row in step.table.rows)]
        self._events.publish(
            StepStarted(
                scenario_id=scenario.id,
                index=self._index,
                keyword=step.keyword,
                text=step.name,
                location=f"{scenario.feature_file}:{step.line}",
                table=table,
                doc=str(step.text or ""),
            )
        )

    def _tell_end(
        self,
        scenario: PlannedScenario,
        verdict: Verdict,
        seconds: float,
        error: str = "",
        hint: str = "",
        details: str = "",
        kind: str = "",
    ) -> None:
        self._events.publish(
            StepFinished(
                scenario_id=scenario.id,
                index=self._index,
                verdict=verdict.value,
                seconds=seconds,
                error=shortened(error, MESSAGE_LIMIT),
                hint=hint,
                details=shortened(details, MESSAGE_LIMIT),
                kind=kind,
            )
        )
        self._index += 1


def scenario_started(scenario: PlannedScenario) -> ScenarioStarted:
    """Return the event that an attempt at a scenario begins."""
    model = scenario.model
    return ScenarioStarted(
        scenario_id=scenario.id,
        name=scenario.name,
        feature=scenario.feature_name,
        feature_file=scenario.feature_file,
        location=scenario.location,
        tags=scenario.tags,
        steps=[f"{step.keyword} {step.name}" for step in model.all_steps],
        description="\n".join(model.description or []),
    )


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return CutOff.INTERRUPTED.value
    text = (
        error.message if isinstance(error, TailstestError) else f"{type(error).__name__}: {error}"
    )
    return printable(text)


def _texts(step: Any) -> tuple[str, str, str]:
    """Return message, hint and details of what went wrong in a step."""
    error = step.exception
    if error is None:
        return printable(str(step.error_message or f"the step is {step.status.name}")), "", ""
    if isinstance(error, TailstestError):
        trace = error.trace if isinstance(error, LimitReached) else ""
        return printable(error.message), error.hint, printable(trace)
    if isinstance(error, KeyboardInterrupt):
        return CutOff.INTERRUPTED.value, "", ""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, AssertionError):
        return printable(str(error) or "an assertion of the step failed"), "", trace
    if isinstance(error, OSError):
        return printable(f"the host: {error}"), "", trace
    return (
        printable(f"the step itself is wrong: {type(error).__name__}: {error}"),
        "the details show the line in the step's file",
        printable(trace),
    )
