"""What happened in a run, as scenarios, attempts, steps, looks and frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tailstest.core.verdict import WRONG, Verdict, exit_status, verdict_of_attempts
from tailstest.results.suspect import Suspicion


@dataclass
class FrameRecord:
    """A picture of the screen that was kept."""

    path: str
    reason: str
    width: int
    height: int
    time: float


@dataclass
class LookRecord:
    """A search of the screen that ended; see the event `Looked`."""

    kind: str
    wanted: list[str]
    found: bool
    look: Mapping[str, Any]
    files: Mapping[str, str]
    time: float

    @property
    def outcome(self) -> str:
        """Return the named outcome in small letters with spaces, "" if there is none."""
        return str(self.look.get("outcome", "")).lower().replace("_", " ")


@dataclass
class ArtifactRecord:
    """A file worth keeping: "serial", "video", "frame", "log" or "xml"."""

    kind: str
    path: str
    title: str
    truncated: bool


@dataclass
class NoteRecord:
    """One line about what happened: a note, a warning, a change of a machine, typed text."""

    text: str
    level: str
    time: float


@dataclass
class StepRecord:
    """A step of one attempt; one that never began has only a text and the verdict NOT_RUN."""

    index: int
    text: str
    keyword: str = ""
    location: str = ""
    table: list[list[str]] = field(default_factory=list)
    doc: str = ""
    started: float | None = None
    verdict: Verdict = Verdict.NOT_RUN
    seconds: float = 0.0
    error: str = ""
    hint: str = ""
    details: str = ""
    kind: str = ""
    looks: list[LookRecord] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    notes: list[NoteRecord] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Keyword and text as the author wrote them."""
        return f"{self.keyword} {self.text}".strip()

    @property
    def is_bad(self) -> bool:
        """Whether the scenario did not pass because of this step."""
        return self.verdict in (Verdict.FAILED, Verdict.ERRORED, Verdict.INCOMPLETE)


@dataclass
class AttemptRecord:
    """One execution of a scenario.

    Attributes:
        machines: kinds of machines it worked with, each firmware and medium: "uefi usb".
        kind: class of the error that ended it, "" when nobody said.
        suspicion: what the file that it was imported from suspects; None for our own attempts,
            whose evidence is there (`suspect_rules.suspicion_of`).
    """

    started: float
    steps: list[StepRecord]
    verdict: Verdict = Verdict.INCOMPLETE
    seconds: float = 0.0
    error: str = ""
    kind: str = ""
    is_finished: bool = False
    machines: list[str] = field(default_factory=list)
    looks: list[LookRecord] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    notes: list[NoteRecord] = field(default_factory=list)
    artifacts: list[ArtifactRecord] = field(default_factory=list)
    suspicion: Suspicion | None = None

    @property
    def bad_step(self) -> StepRecord | None:
        """The step that ended the attempt, if one did."""
        return next((step for step in self.steps if step.is_bad), None)

    @property
    def reason(self) -> str:
        """Why it did not pass, or was left out; "" when it passed."""
        if self.verdict is Verdict.PASSED:
            return ""
        if self.verdict is Verdict.SKIPPED:
            return self.error
        if self.verdict is Verdict.MANUAL:
            return self.error or "to be done by a person"
        step = self.bad_step
        return self.error or (step.error if step else "")

    @property
    def last_frame(self) -> FrameRecord | None:
        """The last picture of the screen that was kept, None without any."""
        frames = [frame for step in self.steps for frame in step.frames] + self.frames
        return max(frames, key=lambda frame: frame.time, default=None)

    def step(self, index: int) -> StepRecord:
        """Return the step with `index`, adding steps that were not announced."""
        while index >= len(self.steps):
            self.steps.append(StepRecord(len(self.steps), ""))
        return self.steps[index]


@dataclass
class ScenarioRecord:
    """A planned scenario with every attempt at it."""

    id: str
    name: str
    feature: str
    feature_file: str
    location: str
    tags: list[str] = field(default_factory=list)
    description: str = ""
    attempts: list[AttemptRecord] = field(default_factory=list)

    @property
    def last(self) -> AttemptRecord | None:
        """The last attempt, None when it never began."""
        return self.attempts[-1] if self.attempts else None

    @property
    def decisive(self) -> AttemptRecord | None:
        """The attempt that says why: the last of its verdict, of a flaky one the last failure."""
        wanted = WRONG if self.is_flaky else {self.verdict}
        return next((each for each in reversed(self.attempts) if each.verdict in wanted), None)

    @property
    def verdict(self) -> Verdict:
        """What is known about it: what all attempts say together."""
        if not self.attempts:
            return Verdict.NOT_RUN
        return verdict_of_attempts([attempt.verdict for attempt in self.attempts])

    @property
    def seconds(self) -> float:
        """Seconds that all attempts took."""
        return sum(attempt.seconds for attempt in self.attempts)

    @property
    def is_flaky(self) -> bool:
        """Whether attempts at it contradict each other."""
        return self.verdict is Verdict.FLAKY

    @property
    def failures(self) -> int:
        """Number of attempts that failed or are errored."""
        return sum(attempt.verdict in WRONG for attempt in self.attempts)


@dataclass
class Run:
    """Everything known about a run, complete or not.

    Attributes:
        problems: of its plan, broken files for example.
        trouble: what went wrong outside of scenarios; place to verdict.
    """

    run_id: str = ""
    command: list[str] = field(default_factory=list)
    environment: Mapping[str, Any] = field(default_factory=dict)
    started: float = 0.0
    ended: float = 0.0
    scenarios: list[ScenarioRecord] = field(default_factory=list)
    excluded: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    trouble: dict[str, Verdict] = field(default_factory=dict)
    selection: str = ""
    notes: list[NoteRecord] = field(default_factory=list)
    looks: list[LookRecord] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    artifacts: list[ArtifactRecord] = field(default_factory=list)
    is_finished: bool = False
    interrupted: bool = False
    reported_status: int | None = None
    log_is_cut: bool = False

    @property
    def counts(self) -> dict[Verdict, int]:
        """Number of scenarios per verdict, all verdicts in their order of definition."""
        counted = Counter(scenario.verdict for scenario in self.scenarios)
        return {verdict: counted[verdict] for verdict in Verdict}

    @property
    def exit_status(self) -> int:
        """The exit status that the run had, or that follows from what is known of it."""
        return self.derived_status if self.reported_status is None else self.reported_status

    @property
    def derived_status(self) -> int:
        """The exit status that follows from the verdicts.

        A plan with problems never counts as passed: it gives at least 2. A scenario that failed
        and passed did not pass: trying again takes nothing back.
        """
        status = exit_status([*(each.verdict for each in self.scenarios), *self.trouble.values()])
        return 2 if self.problems and status in (0, 3) else status

    @property
    def outside(self) -> list[str]:
        """What is wrong outside of scenarios, a line each: in the plan, and when it was run."""
        trouble = [f"{place}: {verdict.value}" for place, verdict in self.trouble.items()]
        return [*self.problems, *trouble]

    @property
    def seconds(self) -> float:
        """Seconds from the first event to the last."""
        return max(0.0, self.ended - self.started)

    @property
    def bad(self) -> list[ScenarioRecord]:
        """The scenarios that failed, are errored, flaky or incomplete, in the order they ran."""
        wanted = (*WRONG, Verdict.FLAKY, Verdict.INCOMPLETE)
        return [scenario for scenario in self.scenarios if scenario.verdict in wanted]

    @property
    def flaky(self) -> list[ScenarioRecord]:
        """The scenarios whose attempts contradict each other."""
        return [scenario for scenario in self.scenarios if scenario.is_flaky]

    @cached_property
    def _by_id(self) -> dict[str, ScenarioRecord]:
        return {scenario.id: scenario for scenario in self.scenarios}

    def scenario(self, scenario_id: str) -> ScenarioRecord | None:
        """Return the scenario with this id, None when there is none."""
        return self._by_id.get(scenario_id)

    def add(self, scenario: ScenarioRecord) -> ScenarioRecord:
        """Add a scenario (or return the one that has its id already)."""
        known = self._by_id.setdefault(scenario.id, scenario)
        if known is scenario:
            self.scenarios.append(scenario)
        return known

    def all_looks(self) -> Iterator[LookRecord]:
        """Yield every search of the run in order."""
        yield from self.looks
        for scenario in self.scenarios:
            for attempt in scenario.attempts:
                yield from attempt.looks
                for step in attempt.steps:
                    yield from step.looks
