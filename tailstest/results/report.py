"""The HTML report of a run: one file that carries everything needed to judge a failure."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tailstest.core.errors import InfrastructureError
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.environment_view import (
    environment_rows,
    find_fact,
    image_digest,
    image_name,
)
from tailstest.results.excuses import excuse_of
from tailstest.results.junit import write_junit
from tailstest.results.look_view import LookView
from tailstest.results.page import render_page, write_page
from tailstest.results.pictures import BUDGET, Picture, Pictures
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import JUNIT_FILE, RunFolder
from tailstest.results.run_record import (
    ArtifactRecord,
    AttemptRecord,
    FrameRecord,
    LookRecord,
    Run,
    ScenarioRecord,
    StepRecord,
)
from tailstest.results.shown import shown
from tailstest.results.suspect_rules import suspicion_of
from tailstest.results.text_tail import tail_of
from tailstest.results.wording import VERDICTS, attempts_failed

#: Bytes of the end of a log shown for a scenario that did not pass.
LOG_TAIL = 16_000
#: Bytes of all these ends together; once they are used up, each log shows `LEAST_TAIL` only.
LOG_BUDGET = 8_000_000
LEAST_TAIL = 1_000
#: Bytes of one video, and of all videos together, put into the page; longer ones are linked.
VIDEO_INLINE = 3_000_000
VIDEO_BUDGET = 24_000_000
#: What is wrong with a run, from what matters most to what matters least.
_DID_NOT_PASS = (
    Verdict.FAILED,
    Verdict.ERRORED,
    Verdict.FLAKY,
    Verdict.INCOMPLETE,
    Verdict.NOT_RUN,
)


@dataclass
class Group:
    """The scenarios of one feature file."""

    file: str
    title: str
    scenarios: list[ScenarioRecord] = field(default_factory=list)

    @property
    def counts(self) -> list[tuple[Verdict, int]]:
        """Numbers of scenarios per verdict, none with 0."""
        counted = Counter(scenario.verdict for scenario in self.scenarios)
        return [(verdict, counted[verdict]) for verdict in Verdict if counted[verdict]]


def build_report(
    folder: RunFolder | Path, *, settings: Settings | None = None, project: Path | None = None
) -> Path:
    """Write `junit.xml` and `report.html` of an earlier run, complete or killed, from its events.

    Args:
        settings: for the bounds of junit.xml; the defaults if not given.
        project: folder that paths in junit.xml are relative to; see `write_junit`.

    Returns:
        The report.

    Raises:
        UsageError: `folder` is not a run's.
        InfrastructureError: a file cannot be written.
    """
    if isinstance(folder, Path):
        folder = RunFolder.open(folder)
    folder.release_reserve()  # a killed run has left it
    run = load_run(folder)
    limit = (settings or Settings()).junit_output_limit
    write_junit(run, folder, output_limit=limit, project=project)
    return write_report(run, folder)


def write_report(run: Run, folder: RunFolder) -> Path:
    """Write `report.html`; on a full disk a second one without pictures is tried.

    Raises:
        InfrastructureError: not even that could be written.
    """
    try:
        write_page(folder.report_file, render_report(run, folder))
    except InfrastructureError:
        folder.release_reserve()
        write_page(folder.report_file, render_report(run, folder, picture_budget=0))
    return folder.report_file


def render_report(run: Run, folder: RunFolder, *, picture_budget: int = BUDGET) -> str:
    """Return the report as HTML.

    Args:
        picture_budget: bytes of pictures (and, when 0, of videos) put into the page; what does not
            fit is linked.
    """
    pictures = Pictures(folder, budget=picture_budget)
    pictures.prepare(full=_full_paths(run), thumbs=_thumb_paths(run))
    view = ReportView(run, folder, pictures, video_budget=VIDEO_BUDGET if picture_budget else 0)
    return render_page("report.html.j2", {"run": run, "view": view})


class ReportView:
    """What the template asks for beyond the run itself."""

    def __init__(
        self, run: Run, folder: RunFolder, pictures: Pictures, *, video_budget: int
    ) -> None:
        self.run = run
        self._folder = folder
        self._pictures = pictures
        self._video_left = video_budget
        self._log_left = LOG_BUDGET
        self._shown: dict[str, str] = {}
        self.open = {scenario.id for scenario in run.bad}
        self._ids = {scenario.id: f"s{n}" for n, scenario in enumerate(run.scenarios, 1)}
        self.image = image_name(run.environment)
        self.digest = image_digest(run.environment)
        self.accelerator = find_fact(run.environment, "accelerator")
        self.accelerator_reason = find_fact(run.environment, "accelerator_reason")
        self.deadline_scale = find_fact(run.environment, "deadline_scale")
        self.kernel_parameters = find_fact(
            run.environment, "kernel_parameters_added", "kernel_parameters"
        )
        self.environment = environment_rows(run.environment)
        self.has_junit = folder.file(JUNIT_FILE) is not None

    @property
    def groups(self) -> list[Group]:
        """Scenarios by feature file, in the order they ran."""
        groups: dict[str, Group] = {}
        for scenario in self.run.scenarios:
            file = scenario.feature_file
            group = groups.setdefault(file, Group(file, scenario.feature))
            group.title = group.title or scenario.feature
            group.scenarios.append(scenario)
        return list(groups.values())

    @property
    def verdict(self) -> Verdict:
        """The verdict of the whole run."""
        has_failed = self.run.counts[Verdict.FAILED] or Verdict.FAILED in self.run.trouble.values()
        is_flaky = self.run.flaky and not has_failed
        by_status = {
            0: Verdict.PASSED,
            1: Verdict.FLAKY if is_flaky else Verdict.FAILED,
            2: Verdict.ERRORED,
        }
        return by_status.get(self.run.exit_status, Verdict.INCOMPLETE)

    @property
    def headline(self) -> str:
        """The run in one sentence."""
        counts, total = self.run.counts, len(self.run.scenarios)
        if not total:
            return "No scenario ran"
        noun = "scenario" if total == 1 else "scenarios"
        if self._bad:
            verdict, number = self._bad[0]
            words = {
                Verdict.FAILED: "failed",
                Verdict.ERRORED: "could not be judged: mistakes in the test",
                Verdict.FLAKY: "flaky: passed and failed on this image",
                Verdict.INCOMPLETE: "could not be judged: infrastructure trouble",
                Verdict.NOT_RUN: "did not run",
            }
            return f"{number} of {total} {noun} {words[verdict]}"
        passed, skipped = counts[Verdict.PASSED], counts[Verdict.SKIPPED]
        if counts[Verdict.MANUAL]:
            left = f", {skipped} skipped" if skipped else ""
            by_hand = counts[Verdict.MANUAL]
            return f"{passed} of {total} {noun} passed{left}, {by_hand} to be done by hand"
        if self.run.problems:
            return f"{passed} of {total} {noun} passed, but the plan has problems"
        if self.run.trouble:
            return f"{passed} of {total} {noun} passed, but there was trouble outside of them"
        if skipped:
            return f"{passed} of {total} {noun} passed, {skipped} skipped"
        return f"All {total} {noun} passed"

    @property
    def also(self) -> str:
        """What the headline leaves out: the other scenarios that did not pass."""
        return ", ".join(
            f"{number} {VERDICTS[verdict].label.lower()}" for verdict, number in self._bad[1:]
        )

    @property
    def _bad(self) -> list[tuple[Verdict, int]]:
        counts = self.run.counts
        return [(verdict, counts[verdict]) for verdict in _DID_NOT_PASS if counts[verdict]]

    @property
    def first(self) -> list[ScenarioRecord]:
        """The scenarios to look at first: those that say most about the image before others."""
        return sorted(self.run.bad, key=lambda each: _DID_NOT_PASS.index(each.verdict))

    def why(self, scenario: ScenarioRecord) -> str:
        """Return the first line of why a scenario did not pass; of a flaky one how often, too."""
        decisive = scenario.decisive
        reason = (decisive.reason if decisive else "") or "no reason was recorded"
        line = shown(reason).split("\n")[0]
        return f"{self.how_often(scenario)}: {line}" if scenario.is_flaky else line

    def how_often(self, scenario: ScenarioRecord) -> str:
        """Return how many of its attempts failed."""
        return attempts_failed(scenario.failures, len(scenario.attempts))

    def excuse(self, scenario: ScenarioRecord) -> str:
        """Return what bugs that are known have to do with how it ended; see `excuse_of`."""
        return excuse_of(scenario, self.run)

    def id(self, scenario: ScenarioRecord) -> str:
        """Return the id of a scenario in the page; never made of its name."""
        return self._ids[scenario.id]

    def thumb(self, step: StepRecord | AttemptRecord) -> Picture | None:
        """Return the last picture kept for a step."""
        return self._pictures.thumb(step.frames[-1].path) if step.frames else None

    def full(self, path: str | None) -> Picture | None:
        """Return a picture in full size, None when it is not there."""
        return self._pictures.full(path)

    def difference(self, look: LookView) -> Picture | None:
        """Return the picture of the difference between reference and candidate."""
        made = self._pictures.full(look.files.get("difference"))
        return made or self._pictures.difference(
            look.files.get("reference"), look.files.get("found") or look.files.get("candidate")
        )

    def first_use(self, picture: Picture, place: str) -> str:
        """Return "" for the first use of a picture (remembered as `place`), else that place.

        A picture shown often is then carried once and copied inside the browser.
        """
        first = self._shown.setdefault(picture.key, place)
        return "" if first == place else first

    def suspicion(self, attempt: AttemptRecord) -> str:
        """Return what seems to be behind an attempt that did not pass, "" for one that did."""
        return str(suspicion_of(attempt) or "")

    def looks(self, step: StepRecord) -> list[LookView]:
        """Return the searches of a step that say why it did not pass, else none."""
        if not step.is_bad:
            return []
        return [LookView(look) for look in step.looks if not look.found][-3:] or [
            LookView(look) for look in step.looks[-1:]
        ]

    def frame_of(self, attempt: AttemptRecord, step: StepRecord, looks: list[LookView]) -> str:
        """Return the path of the frame that shows a failure, "" when none was kept."""
        return _failure_frame(attempt, step, [look.record for look in looks])

    def log_tail(self, artifact: ArtifactRecord) -> str:
        """Return the end of a log, "" when it is empty or gone."""
        file = self._folder.file(artifact.path)
        if file is None:
            return ""
        tail = tail_of(file, max(LEAST_TAIL, min(LOG_TAIL, self._log_left)))
        self._log_left -= len(tail)
        return tail

    def href(self, artifact: ArtifactRecord) -> str:
        """Return the link to a kept file, "" when it is gone."""
        return quote(artifact.path) if self._folder.file(artifact.path) else ""

    def size(self, artifact: ArtifactRecord) -> str:
        """Return the size of a kept file in words."""
        file = self._folder.file(artifact.path)
        size = file.stat().st_size if file else 0
        return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} KB"

    def video(self, artifact: ArtifactRecord) -> str:
        """Return the source of a video: its data if it is short enough, else its link."""
        file = self._folder.file(artifact.path)
        if file is None:
            return ""
        size = file.stat().st_size
        if 0 < size <= VIDEO_INLINE and size <= self._video_left:
            self._video_left -= size
            mime = "video/mp4" if file.suffix == ".mp4" else "video/webm"
            return f"data:{mime};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"
        return quote(artifact.path)


def _failure_frame(attempt: AttemptRecord, step: StepRecord, looks: list[LookRecord]) -> str:
    for look in reversed(looks):
        if look.files.get("frame"):
            return look.files["frame"]
    frames: list[FrameRecord] = step.frames or attempt.frames
    last = attempt.last_frame
    return frames[-1].path if frames else last.path if last else ""


def _full_paths(run: Run) -> list[str]:
    paths: list[str] = []
    for scenario in run.scenarios:
        for attempt in scenario.attempts:
            for step in attempt.steps:
                if not step.is_bad:
                    continue
                paths.append(_failure_frame(attempt, step, step.looks))
                for look in step.looks:
                    roles = ("reference", "found", "candidate", "difference")
                    paths += [look.files[role] for role in roles if role in look.files]
    return [path for path in paths if path]


def _thumb_paths(run: Run) -> list[str]:
    return [
        step.frames[-1].path
        for scenario in run.scenarios
        for attempt in scenario.attempts
        for step in attempt.steps
        if step.frames
    ]
