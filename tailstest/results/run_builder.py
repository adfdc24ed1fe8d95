"""Builds a `Run` from events, as they happen or out of a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tailstest.core.events import Event
from tailstest.core.verdict import Verdict
from tailstest.results.event_log import read_events
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import (
    ArtifactRecord,
    AttemptRecord,
    FrameRecord,
    LookRecord,
    NoteRecord,
    Run,
    ScenarioRecord,
    StepRecord,
)

ENDED_HERE = "the run ended while this was going on"

Json = Mapping[str, Any]


class RunBuilder:
    """Collects events into `run`; a listener for `Events.subscribe`.

    Events that say nothing about where they belong (frames, looks, notes, files) belong to the
    step that is going on, else to the step that ended last, else to the attempt, else to the run.
    """

    def __init__(self) -> None:
        self.run = Run()
        self._attempt: AttemptRecord | None = None
        self._step: StepRecord | None = None
        self._is_ended = False
        self._handlers: dict[str, Callable[[Json], None]] = {
            "RunStarted": self._run_started,
            "PlanMade": self._plan_made,
            "ScenarioStarted": self._scenario_started,
            "StepStarted": self._step_started,
            "StepFinished": self._step_finished,
            "ScenarioFinished": self._scenario_finished,
            "RunFinished": self._run_finished,
            "FrameKept": self._frame_kept,
            "Looked": self._looked,
            "Typed": self._typed,
            "MachineChanged": self._machine_changed,
            "ArtifactKept": self._artifact_kept,
            "Noted": self._noted,
        }

    def __call__(self, event: Event) -> None:
        """Take an event of the run that is going on."""
        self.apply(event.to_json())

    def apply(self, event: Json) -> None:
        """Take an event as JSON; unknown ones are ignored, missing fields count as empty."""
        time = _number(event, "time")
        if time:
            self.run.started = self.run.started or time
            self.run.ended = max(self.run.ended, time)
        handler = self._handlers.get(_text(event, "event"))
        if handler is not None:
            handler(event)

    def end(self) -> Run:
        """Return the run; what is still open was cut off and becomes INCOMPLETE."""
        for scenario in self.run.scenarios:
            for attempt in scenario.attempts:
                if not attempt.is_finished:
                    _cut_off(attempt, self.run.ended)
        reported, derived = self.run.reported_status, self.run.derived_status
        if not self._is_ended and reported is not None and (reported == 0) != (derived == 0):
            text = f"the run ended with status {reported}, but its scenarios stand for {derived}"
            self.run.notes.append(NoteRecord(text, "warning", self.run.ended))
        self._is_ended = True
        return self.run

    def _run_started(self, event: Json) -> None:
        self.run.run_id = _text(event, "run_id")
        self.run.command = [str(word) for word in _list(event, "command")]
        environment = event.get("environment")
        self.run.environment = environment if isinstance(environment, Mapping) else {}

    def _plan_made(self, event: Json) -> None:
        for planned in _list(event, "scenarios"):
            if isinstance(planned, Mapping):
                location = _text(planned, "location")
                self.run.add(
                    ScenarioRecord(
                        id=_text(planned, "id"),
                        name=_text(planned, "name"),
                        feature=_text(planned, "feature"),
                        feature_file=_file_of(location),
                        location=location,
                    )
                )
        self.run.excluded = [
            {key: str(value) for key, value in item.items()}
            for item in _list(event, "excluded")
            if isinstance(item, Mapping)
        ]
        self.run.problems = [str(problem) for problem in _list(event, "problems")]
        self.run.selection = _text(event, "selection")

    def _scenario_started(self, event: Json) -> None:
        location = _text(event, "location")
        scenario = self.run.add(ScenarioRecord(_text(event, "scenario_id"), "", "", "", location))
        scenario.name = _text(event, "name")
        scenario.feature = _text(event, "feature")
        scenario.feature_file = _text(event, "feature_file") or _file_of(location)
        scenario.location = location
        scenario.tags = [str(tag) for tag in _list(event, "tags")]
        scenario.description = _text(event, "description")
        steps = [StepRecord(i, str(text)) for i, text in enumerate(_list(event, "steps"))]
        self._attempt = AttemptRecord(started=_number(event, "time"), steps=steps)
        self._step = None
        scenario.attempts.append(self._attempt)

    def _step_started(self, event: Json) -> None:
        attempt = self._attempt_of(event)
        if attempt is None:
            return
        step = attempt.step(_index(event))
        step.keyword = _text(event, "keyword").strip()
        step.text = _text(event, "text")
        step.location = _text(event, "location")
        step.table = [
            [str(cell) for cell in row] for row in _list(event, "table") if isinstance(row, list)
        ]
        step.doc = _text(event, "doc")
        step.started = _number(event, "time")
        step.verdict = Verdict.INCOMPLETE
        self._step = step

    def _step_finished(self, event: Json) -> None:
        attempt = self._attempt_of(event)
        if attempt is None:
            return
        step = attempt.step(_index(event))
        step.verdict = _verdict(event)
        step.seconds = _number(event, "seconds")
        step.error = _text(event, "error")
        step.hint = _text(event, "hint")
        step.details = _text(event, "details")
        if step.started is not None:
            self._step = step

    def _scenario_finished(self, event: Json) -> None:
        attempt = self._attempt_of(event)
        if attempt is None:
            return
        attempt.verdict = _verdict(event)
        attempt.seconds = _number(event, "seconds")
        attempt.error = _text(event, "error")
        attempt.is_finished = True

    def _run_finished(self, event: Json) -> None:
        self.run.is_finished = True
        self.run.interrupted = bool(event.get("interrupted"))
        status = event.get("exit_status")
        self.run.reported_status = status if isinstance(status, int) else None

    def _frame_kept(self, event: Json) -> None:
        self._place().frames.append(
            FrameRecord(
                path=_text(event, "path"),
                reason=_text(event, "reason"),
                width=int(_number(event, "width")),
                height=int(_number(event, "height")),
                time=_number(event, "time"),
            )
        )

    def _looked(self, event: Json) -> None:
        look, files = event.get("look"), event.get("files")
        self._place().looks.append(
            LookRecord(
                kind=_text(event, "kind"),
                wanted=[str(name) for name in _list(event, "wanted")],
                found=bool(event.get("found")),
                look=look if isinstance(look, Mapping) else {},
                files=(
                    {str(role): str(path) for role, path in files.items()}
                    if isinstance(files, Mapping)
                    else {}
                ),
                time=_number(event, "time"),
            )
        )

    def _typed(self, event: Json) -> None:
        repaired = int(_number(event, "repaired"))
        text = f"typed {_text(event, 'text')!r}"
        if repaired:
            text += f" and {repaired} lost keys again after reading back"
        self._note(event, text, "warning" if repaired else "input")

    def _machine_changed(self, event: Json) -> None:
        detail = _text(event, "detail")
        text = f"machine {_text(event, 'machine')}: {_text(event, 'state')}"
        is_bad = event.get("state") in ("crashed", "watchdog")
        self._note(
            event, f"{text} ({detail})" if detail else text, "warning" if is_bad else "machine"
        )

    def _noted(self, event: Json) -> None:
        self._note(event, _text(event, "text"), _text(event, "level") or "info")

    def _note(self, event: Json, text: str, level: str) -> None:
        self._place().notes.append(NoteRecord(text, level, _number(event, "time")))

    def _artifact_kept(self, event: Json) -> None:
        (self._attempt or self.run).artifacts.append(
            ArtifactRecord(
                kind=_text(event, "kind"),
                path=_text(event, "path"),
                title=_text(event, "title"),
                truncated=bool(event.get("truncated")),
            )
        )

    def _place(self) -> StepRecord | AttemptRecord | Run:
        return self._step or self._attempt or self.run

    def _attempt_of(self, event: Json) -> AttemptRecord | None:
        scenario = self.run.scenario(_text(event, "scenario_id"))
        return scenario.last if scenario else None


def load_run(folder: RunFolder) -> Run:
    """Read the run in `folder`, also one that was killed.

    Raises:
        UsageError: the event log cannot be read.
    """
    content = read_events(folder.events_file)
    builder = RunBuilder()
    for event in content.events:
        builder.apply(event)
    run = builder.end()
    run.run_id = run.run_id or folder.run_id
    run.log_is_cut = content.is_cut
    if content.damaged:
        lines = ", ".join(map(str, content.damaged[:10]))
        run.notes.append(
            NoteRecord(f"events.jsonl is damaged in lines {lines}", "warning", run.ended)
        )
    return run


def _cut_off(attempt: AttemptRecord, ended: float) -> None:
    """Close an attempt whose end was never recorded; says nothing about the product."""
    attempt.verdict = Verdict.INCOMPLETE
    attempt.seconds = max(0.0, ended - attempt.started)
    if attempt.bad_step is not None and attempt.bad_step.error:
        attempt.verdict = attempt.bad_step.verdict
        return
    attempt.error = ENDED_HERE
    for step in attempt.steps:
        if step.verdict is Verdict.INCOMPLETE and not step.error:
            step.error = ENDED_HERE
            step.seconds = max(0.0, ended - (step.started or ended))


def _text(event: Json, key: str) -> str:
    value = event.get(key, "")
    return value if isinstance(value, str) else str(value)


def _number(event: Json, key: str) -> float:
    value = event.get(key, 0.0)
    is_number = isinstance(value, (int, float)) and abs(value) < 1e12
    return float(value) if is_number else 0.0


def _list(event: Json, key: str) -> list[Any]:
    value = event.get(key)
    return value if isinstance(value, list) else []


#: No scenario has more steps than this; a damaged log must not make us allocate at will.
_MAX_STEPS = 10_000


def _index(event: Json) -> int:
    return min(max(0, int(_number(event, "index"))), _MAX_STEPS)


def _verdict(event: Json) -> Verdict:
    try:
        return Verdict(_text(event, "verdict"))
    except ValueError:
        return Verdict.INCOMPLETE


def _file_of(location: str) -> str:
    """Return the file of "file:line"."""
    file, separator, line = location.rpartition(":")
    return file if separator and line.isdigit() else location
