"""Builds a `Run` from events, as they happen or out of a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tailstest.core.cut_off import CutOff
from tailstest.core.events import Event
from tailstest.core.verdict import Verdict
from tailstest.results.event_fields import (
    Json,
    file_of,
    index_of,
    list_of,
    number_of,
    text_of,
    trouble_in,
    verdict_in,
)
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

ENDED_HERE = CutOff.RUN_ENDED.value


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
            "PartBegan": self._part_began,
            "ScenarioStarted": self._scenario_started,
            "StepStarted": self._step_started,
            "StepFinished": self._step_finished,
            "ScenarioFinished": self._scenario_finished,
            "RunFinished": self._run_finished,
            "FrameKept": self._frame_kept,
            "Looked": self._looked,
            "Typed": self._typed,
            "MachineChanged": self._machine_changed,
            "MachineUsed": self._machine_used,
            "ArtifactKept": self._artifact_kept,
            "Noted": self._noted,
        }

    def __call__(self, event: Event) -> None:
        """Take an event of the run that is going on."""
        self.apply(event.to_json())

    def apply(self, event: Json) -> None:
        """Take an event as JSON; unknown ones are ignored, missing fields count as empty."""
        time = number_of(event, "time")
        if time:
            self.run.started = self.run.started or time
            self.run.ended = max(self.run.ended, time)
        handler = self._handlers.get(text_of(event, "event"))
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
        self.run.run_id = text_of(event, "run_id")
        self.run.command = [str(word) for word in list_of(event, "command")]
        environment = event.get("environment")
        self.run.environment = environment if isinstance(environment, Mapping) else {}

    def _part_began(self, _event: Json) -> None:
        """Take the beginning of one of the runs that were put together; see `merging`."""
        self._attempt = self._step = None

    def _plan_made(self, event: Json) -> None:
        for planned in list_of(event, "scenarios"):
            if isinstance(planned, Mapping):
                location = text_of(planned, "location")
                self.run.add(
                    ScenarioRecord(
                        id=text_of(planned, "id"),
                        name=text_of(planned, "name"),
                        feature=text_of(planned, "feature"),
                        feature_file=file_of(location),
                        location=location,
                        tags=text_of(planned, "tags").split(),
                    )
                )
        self.run.excluded = [
            {key: str(value) for key, value in item.items()}
            for item in list_of(event, "excluded")
            if isinstance(item, Mapping)
        ]
        self.run.problems = [str(problem) for problem in list_of(event, "problems")]
        self.run.selection = text_of(event, "selection")

    def _scenario_started(self, event: Json) -> None:
        location = text_of(event, "location")
        scenario = self.run.add(ScenarioRecord(text_of(event, "scenario_id"), "", "", "", location))
        scenario.name = text_of(event, "name")
        scenario.feature = text_of(event, "feature")
        scenario.feature_file = text_of(event, "feature_file") or file_of(location)
        scenario.location = location
        scenario.tags = [str(tag) for tag in list_of(event, "tags")]
        scenario.description = text_of(event, "description")
        steps = [StepRecord(i, str(text)) for i, text in enumerate(list_of(event, "steps"))]
        self._attempt = AttemptRecord(started=number_of(event, "time"), steps=steps)
        self._step = None
        scenario.attempts.append(self._attempt)

    def _step_started(self, event: Json) -> None:
        attempt = self._attempt_of(event)
        if attempt is None:
            return
        step = attempt.step(index_of(event))
        step.keyword = text_of(event, "keyword").strip()
        step.text = text_of(event, "text")
        step.location = text_of(event, "location")
        step.table = [
            [str(cell) for cell in row] for row in list_of(event, "table") if isinstance(row, list)
        ]
        step.doc = text_of(event, "doc")
        step.started = number_of(event, "time")
        step.verdict = Verdict.INCOMPLETE
        self._step = step

    def _step_finished(self, event: Json) -> None:
        attempt = self._attempt_of(event)
        if attempt is None:
            return
        step = attempt.step(index_of(event))
        step.verdict = verdict_in(event)
        step.seconds = number_of(event, "seconds")
        step.error = text_of(event, "error")
        step.hint = text_of(event, "hint")
        step.details = text_of(event, "details")
        step.kind = text_of(event, "kind")
        if step.started is not None:
            self._step = step

    def _scenario_finished(self, event: Json) -> None:
        attempt = self._attempt_of(event)
        if attempt is None:
            return
        attempt.verdict = verdict_in(event)
        attempt.seconds = number_of(event, "seconds")
        attempt.error = text_of(event, "error")
        attempt.kind = text_of(event, "kind")
        attempt.is_finished = True

    def _run_finished(self, event: Json) -> None:
        self.run.is_finished = True
        self.run.interrupted = bool(event.get("interrupted"))
        status = event.get("exit_status")
        self.run.reported_status = status if isinstance(status, int) else None
        self.run.trouble |= trouble_in(event)

    def _frame_kept(self, event: Json) -> None:
        self._place().frames.append(
            FrameRecord(
                path=text_of(event, "path"),
                reason=text_of(event, "reason"),
                width=int(number_of(event, "width")),
                height=int(number_of(event, "height")),
                time=number_of(event, "time"),
            )
        )

    def _looked(self, event: Json) -> None:
        look, files = event.get("look"), event.get("files")
        self._place().looks.append(
            LookRecord(
                kind=text_of(event, "kind"),
                wanted=[str(name) for name in list_of(event, "wanted")],
                found=bool(event.get("found")),
                look=look if isinstance(look, Mapping) else {},
                files=(
                    {str(role): str(path) for role, path in files.items()}
                    if isinstance(files, Mapping)
                    else {}
                ),
                time=number_of(event, "time"),
            )
        )

    def _typed(self, event: Json) -> None:
        repaired = int(number_of(event, "repaired"))
        text = f"typed {text_of(event, 'text')!r}"
        if repaired:
            text += f" and {repaired} lost keys again after reading back"
        self._note(event, text, "warning" if repaired else "input")

    def _machine_changed(self, event: Json) -> None:
        detail = text_of(event, "detail")
        text = f"machine {text_of(event, 'machine')}: {text_of(event, 'state')}"
        is_bad = event.get("state") in ("crashed", "watchdog")
        self._note(
            event, f"{text} ({detail})" if detail else text, "warning" if is_bad else "machine"
        )

    def _machine_used(self, event: Json) -> None:
        if self._attempt is not None:
            kind = f"{text_of(event, 'firmware')} {text_of(event, 'medium')}".strip().lower()
            if kind and kind not in self._attempt.machines and len(self._attempt.machines) < 20:
                self._attempt.machines.append(kind)

    def _noted(self, event: Json) -> None:
        self._note(event, text_of(event, "text"), text_of(event, "level") or "info")

    def _note(self, event: Json, text: str, level: str) -> None:
        self._place().notes.append(NoteRecord(text, level, number_of(event, "time")))

    def _artifact_kept(self, event: Json) -> None:
        (self._attempt or self.run).artifacts.append(
            ArtifactRecord(
                kind=text_of(event, "kind"),
                path=text_of(event, "path"),
                title=text_of(event, "title"),
                truncated=bool(event.get("truncated")),
            )
        )

    def _place(self) -> StepRecord | AttemptRecord | Run:
        return self._step or self._attempt or self.run

    def _attempt_of(self, event: Json) -> AttemptRecord | None:
        scenario = self.run.scenario(text_of(event, "scenario_id"))
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
