"""What a scenario was doing when its process was killed, as far as it has told."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from tailstest.core.events import (
    Event,
    Noted,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepStarted,
    event_from_json,
)
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict
from tailstest.suite.scenario_limit import LimitReached

#: How the lines begin that are looked at; most others are of searches, and long.
_FOLLOWED = ('{"event": "Scenario', '{"event": "Step')
#: Where trouble is counted that came behind the last attempt.
_BEHIND = "a process that hung"
_HINT = (
    "look at what that was waiting for: it could not be interrupted; "
    "if it needs so long, raise scenario_limit"
)


class Course:
    """Follows the events of one execution of a scenario."""

    def __init__(self) -> None:
        self._attempt: ScenarioStarted | None = None
        self._step: StepStarted | None = None
        self._is_in_step = False
        self._bad: StepFinished | None = None
        self._last: Verdict | None = None

    def hear(self, line: str) -> None:
        """Take an event, a line of JSON."""
        if not line.startswith(_FOLLOWED):
            return
        event = event_from_json(json.loads(line))
        if isinstance(event, ScenarioStarted):
            self._attempt, self._step, self._bad = event, None, None
            self._is_in_step = False
        elif isinstance(event, StepStarted):
            self._step, self._is_in_step = event, True
        elif isinstance(event, StepFinished):
            self._is_in_step = False
            if Verdict(event.verdict) not in {Verdict.PASSED, Verdict.SKIPPED}:
                self._bad = self._bad or event
        elif isinstance(event, ScenarioFinished):
            self._attempt, self._last = None, Verdict(event.verdict)

    def cut_off(self, scenario: str, seconds: float) -> tuple[list[Event], Mapping[str, Verdict]]:
        """Return what the process would have told and did not, and what comes of the scenario.

        Args:
            scenario: its id.
            seconds: that the process had to tell of an end.

        Raises:
            LimitReached: not even a beginning was told.
        """
        text = (
            f"the process told of no end within {seconds:.0f} s (the setting scenario_limit, and "
            f"time for putting away), and was killed; {self._whereabouts}"
        )
        if self._attempt is None:
            if self._last is None:
                raise LimitReached(text, hint=_HINT)
            note = Noted(text=f"{text}; {_HINT}", level="warning")
            return [note], {scenario: self._last, _BEHIND: Verdict.INCOMPLETE}
        return self._ending(self._attempt, text)

    def _ending(
        self, attempt: ScenarioStarted, text: str
    ) -> tuple[list[Event], Mapping[str, Verdict]]:
        """Return the end of the attempt that was going on; a step that failed before counts."""
        kind, bad = LimitReached.__name__, self._bad
        verdict = Verdict(bad.verdict) if bad else Verdict.INCOMPLETE
        events: list[Event] = []
        if self._step is not None and self._is_in_step:
            events.append(
                StepFinished(
                    scenario_id=attempt.scenario_id,
                    index=self._step.index,
                    verdict=Verdict.INCOMPLETE.value,
                    seconds=_since(self._step),
                    error=text,
                    hint=_HINT,
                    kind=kind,
                )
            )
        else:
            events.append(Noted(text=f"{text}; {_HINT}", level="warning"))
        events.append(
            ScenarioFinished(
                scenario_id=attempt.scenario_id,
                verdict=verdict.value,
                seconds=_since(attempt),
                error=bad.error if bad else text,
                kind=bad.kind if bad else kind,
            )
        )
        return events, {attempt.scenario_id: verdict}

    @property
    def _whereabouts(self) -> str:
        if self._attempt is None:
            return "it was behind the scenario" if self._last else "no scenario had begun"
        if self._step is None:
            return "no step had begun"
        step = printable(f"“{self._step.keyword} {self._step.text}”")
        return f"{step} was going on" if self._is_in_step else f"it was behind {step}"


def _since(event: Event) -> float:
    """Return the seconds since an event."""
    return max(0.0, time.time() - event.time)
