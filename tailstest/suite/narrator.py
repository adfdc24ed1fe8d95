"""Turns what behave does into events."""

from __future__ import annotations

import time
import traceback
from typing import Any, Protocol

from behave.model_type import Status

from tailstest.core.errors import TailstestError
from tailstest.core.events import (
    Events,
    Noted,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepStarted,
)
from tailstest.core.text import printable, shortened
from tailstest.core.verdict import Verdict, verdict_of
from tailstest.suite.feature_reader import PlannedScenario

#: Characters of an error message or of a step's own output that an event keeps.
MESSAGE_LIMIT = 20_000


class ScenarioKeeper(Protocol):
    """What is done around scenarios and steps besides running them; see `suite.session`."""

    def begin_scenario(self, scenario_id: str, name: str) -> None:
        """Prepare for a scenario."""
        ...

    def after_step(self, verdict: Verdict) -> None:
        """Keep what a step leaves to be seen."""
        ...

    def end_scenario(self, verdict: Verdict) -> None:
        """Take everything away that belongs to the scenario."""
        ...


class Narrator:
    """Follows one scenario at a time, as one of behave's formatters and through its hooks.

    Attributes:
        verdicts: scenario id to verdict, of all scenarios that were begun.
    """

    name = "tailstest"

    def __init__(self, events: Events, keeper: ScenarioKeeper) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self._events = events
        self._keeper = keeper
        self._scenario: PlannedScenario | None = None
        self._index = 0
        self._verdict = Verdict.PASSED
        self._error = ""
        self._nested: BaseException | None = None
        self._started = 0.0

    def begin(self, scenario: PlannedScenario) -> None:
        """Tell that a scenario begins."""
        self._scenario = scenario
        self._index, self._verdict, self._error = 0, Verdict.PASSED, ""
        self._nested = None
        self._started = time.monotonic()
        model = scenario.model
        self._events.publish(
            ScenarioStarted(
                scenario_id=scenario.id,
                name=scenario.name,
                feature=str(scenario.feature.name or scenario.feature_file),
                feature_file=scenario.feature_file,
                location=scenario.location,
                tags=scenario.tags,
                steps=[f"{step.keyword} {step.name}" for step in model.all_steps],
                description="\n".join(model.description or []),
            )
        )
        self._keeper.begin_scenario(scenario.id, scenario.name)

    def end(self) -> None:
        """Tell that the scenario ended; steps that did not run are skipped."""
        scenario = self._scenario
        if scenario is None:
            return
        self._scenario = None
        for step in list(scenario.model.all_steps)[self._index :]:
            self._tell_start(scenario, step)
            self._tell_end(scenario, Verdict.SKIPPED, 0.0)
        status = scenario.model.status
        if self._verdict is Verdict.PASSED and status is Status.skipped:
            self._verdict = Verdict.SKIPPED
        elif self._verdict is Verdict.PASSED and status.has_failed():
            # A hook or a clean-up went wrong although every step passed.
            self._verdict = Verdict.ERRORED
            self._error = printable(str(scenario.model.error_message or f"behave: {status.name}"))
        try:
            self._keeper.end_scenario(self._verdict)
        except TailstestError as error:
            self.trouble(error)
        self.verdicts[scenario.id] = self._verdict
        self._events.publish(
            ScenarioFinished(
                scenario_id=scenario.id,
                verdict=self._verdict.value,
                seconds=time.monotonic() - self._started,
                error=self._error,
            )
        )

    def trouble(self, error: BaseException) -> None:
        """Note something that went wrong outside of the steps."""
        if self._verdict in {Verdict.PASSED, Verdict.SKIPPED}:
            self._verdict = verdict_of(error)
            self._error = printable(str(error))
        self._events.publish(Noted(text=printable(str(error)), level="warning"))

    def refuse(self, scenario: PlannedScenario, problems: list[str], lines: set[int]) -> None:
        """Tell that a scenario cannot run because steps are undefined."""
        self._scenario = scenario
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
        """Tell that the next step begins."""
        scenario = self._scenario
        steps = list(scenario.model.all_steps) if scenario else []
        if scenario is not None and self._index < len(steps):
            self._nested = None
            self._tell_start(scenario, steps[self._index])

    def after_step(self, step: Any) -> None:
        """Take behave's hook after a step, nested ones included."""
        if step.exception is not None and self._nested is None:
            self._nested = step.exception

    def result(self, step: Any) -> None:
        """Tell how a step ended."""
        scenario = self._scenario
        if scenario is None:
            return
        verdict = self._verdict_of(step)
        if verdict not in {Verdict.PASSED, Verdict.SKIPPED}:
            self._verdict = verdict
        error = self._nested if verdict is not Verdict.PASSED else None
        message, hint, details = _texts(step, error) if verdict is not Verdict.PASSED else ("",) * 3
        self._error = self._error or message
        self._keeper.after_step(verdict)
        self._tell_output(step)
        self._tell_end(scenario, verdict, float(step.duration or 0.0), message, hint, details)

    def _verdict_of(self, step: Any) -> Verdict:
        if step.status is Status.passed:
            return Verdict.PASSED
        if step.status is Status.skipped:
            return Verdict.SKIPPED
        error = self._nested or step.exception
        return verdict_of(error) if error is not None else Verdict.ERRORED

    def _tell_output(self, step: Any) -> None:
        captured = getattr(step, "captured", None)
        parts = [getattr(captured, name, "") or "" for name in ("stdout", "stderr")]
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
            )
        )
        self._index += 1


def _texts(step: Any, error: BaseException | None) -> tuple[str, str, str]:
    """Return message, hint and details of what went wrong in a step."""
    error = error or step.exception
    if error is None:
        return printable(str(step.error_message or f"the step is {step.status.name}")), "", ""
    if isinstance(error, TailstestError):
        return printable(error.message), error.hint, ""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "", ""
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
