"""Runs what failed again, four ways, no more often than needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tailstest.media.image_file import digest_of
from tailstest.results.answers.last_good import FailedRun, Failure, RunImage
from tailstest.results.environment_view import image_digest
from tailstest.results.run_record import Run
from tailstest.results.store.tables import PATCHED
from tailstest.results.suspect_rules import suspicion_of
from tailstest.results.wording import plural
from tailstest.suite.triage.checkouts import CHANGES, CannotCheckOut, Checkouts
from tailstest.suite.triage.deciding import Cell, Decision, Ways, cell_of, decide
from tailstest.suite.trials.outcome import Outcome, Trial, outcome_of
from tailstest.suite.trials.sub_run import SubRun, run_apart
from tailstest.suite.trials.wanted import places_of

WAYS = ("again", "old_suite", "old_image", "both")
_TITLES = {
    "again": "as it was",
    "old_suite": "with the last good suite",
    "old_image": "with the last good image",
    "both": "with the last good suite and image",
}


@dataclass(frozen=True)
class Place:
    """One way to run: a suite's folder, and an image (its name for a run, and its digest)."""

    suite: Path
    image: str
    digest: str


@dataclass
class Triaged:
    """A failure with all that came of it.

    Attributes:
        cells: way to what came of it.
        notes: what could not be done, or not as it should be.
        doubts: those of them that lower the certainty of an answer.
        runs: folders of the runs.
    """

    failure: Failure
    cells: dict[str, Cell] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)

    @property
    def decision(self) -> Decision:
        """The answer."""
        cells = {way: self.cells.get(way, Cell.MISSING) for way in WAYS}
        return decide(Ways(**cells, suspect=self.failure.suspect), self.doubts)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        failure, decision = self.failure, self.decision
        return {
            "scenario": failure.scenario.key,
            "name": failure.scenario.name,
            "location": failure.scenario.location,
            "verdict": failure.standing.value,
            "reason": failure.reason,
            "suspect": failure.suspect.value if failure.suspect else None,
            "last_good": failure.last_good.run_id if failure.last_good else None,
            "ways": {way: self.cells.get(way, Cell.MISSING).value for way in WAYS},
            "runs": self.runs,
            "answer": decision.kind.value,
            "certainty": decision.certainty.value,
            "why": decision.reason,
            "notes": self.notes,
        }


class Triage:
    """Tries the failures of a run.

    Args:
        failed: the run.
        checkouts: gives out versions of the suite.
        folder: for the runs.
        repeat: attempts at each scenario in each way.
        is_thorough: also ways that no longer decide.
        tell: called with a line before each run.
    """

    def __init__(
        self,
        failed: FailedRun,
        checkouts: Checkouts,
        folder: Path,
        *,
        repeat: int = 1,
        is_thorough: bool = False,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._failed = failed
        self._checkouts = checkouts
        self._folder = folder
        self._repeat = repeat
        self._is_thorough = is_thorough
        self._tell = tell
        self._done: dict[tuple[Place, str], tuple[list[Trial], str]] = {}
        self._digests: dict[str, str] = {}
        self._runs = 0

    def run(self) -> list[Triaged]:
        """Try, and return what came of each failure."""
        found = [Triaged(failure) for failure in self._failed.failures]
        self._try("again", found)
        for way in ("old_suite", "old_image", "both"):
            self._try(way, [each for each in found if self._is_wanted(each, way)])
        return found

    def _is_wanted(self, each: Triaged, way: str) -> bool:
        if self._is_thorough:
            return True
        return each.cells.get("again", Cell.MISSING) in (Cell.FAILED, Cell.MISSING)

    def _try(self, way: str, found: Sequence[Triaged]) -> None:
        places: dict[Place, list[Triaged]] = defaultdict(list)
        for each in found:
            place = self._place(way, each)
            if place is not None:
                places[place].append(each)
        for place, wanted in places.items():
            keys = [each.failure.scenario.key for each in wanted]
            self._run(way, place, keys)
            for each, key in zip(wanted, keys, strict=True):
                trials, folder = self._done[place, key]
                if folder:
                    each.runs[way] = folder
                    each.cells[way] = cell_of(trial.outcome for trial in trials)
                unclear = [trial for trial in trials if trial.outcome is Outcome.UNCLEAR]
                if unclear:
                    _note(each, f"{_TITLES[way]}: {unclear[0].reason}")

    def _place(self, way: str, each: Triaged) -> Place | None:
        """Return where a way is run; None, with a note, if it cannot be."""
        run, good = self._failed.run, each.failure.last_good
        if way != "again" and good is None:
            _note(each, "it passed in no earlier run of the store, so nothing can be compared")
            return None
        suite_of = good if good is not None and way in ("old_suite", "both") else run
        image_of = good if good is not None and way in ("old_image", "both") else run
        whose = "this run" if suite_of is run else f"the last good run {suite_of.run_id}"
        try:
            suite = self._checkouts.folder_of(suite_of.suite_commit)
        except CannotCheckOut as error:
            if suite_of is not run:
                _note(each, f"the suite of {whose} cannot be had: {error}")
                return None
            suite = self._checkouts.present
            _doubt(each, f"the suite of this run cannot be had ({error}): the present one is used")
        if suite_of.suite_commit.endswith(CHANGES):
            _doubt(each, f"the suite of {whose} had changes that no commit has")
        image = self._failed.images[image_of.id]
        if image.is_patched:
            _doubt(each, "guests of this run were changed with --late-patch, and are not now")
        trouble = self._trouble_with(image)
        if trouble:
            whose = "this run" if image_of is run else f"the last good run {image_of.run_id}"
            _note(each, f"the image of {whose} cannot be used: {trouble}")
            return None
        return Place(suite, _name_of(image), image.digest.removesuffix(PATCHED))

    def _trouble_with(self, image: RunImage) -> str:
        digest = image.digest.removesuffix(PATCHED)
        if not digest:
            return ""  # the scenarios name their images themselves
        file = Path(image.path)
        if not image.path or not file.is_file():
            return f"{image.path or 'its file'} is gone"
        try:
            if image.path not in self._digests:
                self._digests[image.path] = digest_of(file)
        except OSError as error:
            return f"{image.path} cannot be read: {error.strerror}"
        return "" if self._digests[image.path] == digest else f"{image.path} is another image now"

    def _run(self, way: str, place: Place, keys: Iterable[str]) -> None:
        """Run scenarios in one place, those that were not yet run there."""
        wanted = [key for key in keys if (place, key) not in self._done]
        there = places_of(place.suite, wanted) if wanted else {}
        for key in wanted:
            if key not in there:
                trial = Trial(Outcome.UNCLEAR, "that suite does not have the scenario")
                self._done[place, key] = ([trial], "")
        if not there:
            return
        self._tell(f"running {plural(len(there), 'scenario')} {_TITLES[way]}")
        self._runs += 1
        output = self._folder / f"run-{self._runs:02d}-{way}"
        order = SubRun(
            sorted(there.values()), place.image or None, output, Path.cwd(), self._repeat
        )
        ended = run_apart(order)
        for key in there:
            trials = _trials(ended.run, key, place, ended.said)
            self._done[place, key] = (trials, str(output))


def _trials(run: Run | None, key: str, place: Place, said: str) -> list[Trial]:
    if run is None:
        return [Trial(Outcome.UNCLEAR, said)]
    if place.digest and image_digest(run.environment) != place.digest:
        return [Trial(Outcome.UNCLEAR, "the image was made anew meanwhile and is another one")]
    scenario = run.scenario(key)
    attempts = scenario.attempts if scenario else []
    trials = []
    for attempt in attempts:
        suspected = suspicion_of(attempt)
        suspect = suspected.suspect if suspected else None
        trials.append(outcome_of([(attempt.verdict, suspect, attempt.reason)]))
    return trials or [Trial(Outcome.UNCLEAR, "it did not run")]


def _name_of(image: RunImage) -> str:
    """Return what a run is given for an image: a profile's name keeps what the profile says."""
    if not image.digest or image.name in ("", Path(image.path).name):
        return image.path
    return image.asked if image.asked.partition(":")[0] == image.name else image.name


def _note(each: Triaged, text: str) -> None:
    if text not in each.notes:
        each.notes.append(text)


def _doubt(each: Triaged, text: str) -> None:
    _note(each, text)
    if text not in each.doubts:
        each.doubts.append(text)
