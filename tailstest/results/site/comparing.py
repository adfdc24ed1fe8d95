"""Makes the comparisons of failed with passed attempts, out of the store and of run folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import Connection

from tailstest.core.verdict import Verdict
from tailstest.results.run_record import AttemptRecord
from tailstest.results.site.evidence import attempts_in
from tailstest.results.site.files import Files
from tailstest.results.site.folders import Link
from tailstest.results.site.lines import Line
from tailstest.results.site.sides import (
    Pair,
    Side,
    SideBySide,
    StepSide,
    log_pairs,
    recorded_steps,
    side_by_side,
)
from tailstest.results.site.stored_steps import Key, stored_steps
from tailstest.results.site.window import SiteRun, Window
from tailstest.results.standing import AttemptInfo
from tailstest.results.suspect import Suspicion
from tailstest.results.suspect_rules import suspicion_of

Recorded = Mapping[tuple[int, str, int], AttemptRecord]


class Comparing:
    """Compares attempts at scenarios.

    Args:
        start: the folder of the pages that link to files, when the site is in its place.
    """

    def __init__(self, connection: Connection, window: Window, files: Files, start: Path) -> None:
        self._connection = connection
        self._window = window
        self._files = files
        self._start = start
        self._with_files = False

    def compare(
        self, lines: Iterable[tuple[Line, Pair]], *, with_files: bool
    ) -> dict[int, SideBySide]:
        """Return comparisons by the number of the scenario.

        Args:
            with_files: look into run folders, each of which is read once.
        """
        pairs, self._with_files = list(lines), with_files
        kept = stored_steps(
            self._connection,
            [self._key(line, one) for line, pair in pairs for one in (pair.passed, pair.failed)],
        )
        recorded = self._recorded(pairs) if with_files else {}
        return {line.scenario.id: self._one(line, pair, kept, recorded) for line, pair in pairs}

    def has_folder(self, pair: Pair) -> bool:
        """Tell whether the folder of one of the two runs was given."""
        runs = self._window.runs
        return any(runs[place].folder is not None for place, _ in (pair.passed, pair.failed))

    def _key(self, line: Line, one: tuple[int, int]) -> Key:
        return (self._window.runs[one[0]].info.id, line.scenario.id, one[1])

    def _recorded(self, pairs: list[tuple[Line, Pair]]) -> Recorded:
        wanted: dict[int, set[str]] = defaultdict(set)
        for line, pair in pairs:
            for place, _number in (pair.passed, pair.failed):
                wanted[place].add(line.scenario.key)
        found = {}
        for place, keys in wanted.items():
            folder = self._window.runs[place].folder
            if folder is not None:
                for key, attempts in attempts_in(folder, keys).items():
                    for number, attempt in enumerate(attempts, 1):
                        found[place, key, number] = attempt
        return found

    def _one(
        self,
        line: Line,
        pair: Pair,
        kept: Mapping[Key, list[StepSide]],
        recorded: Recorded,
    ) -> SideBySide:
        records = {
            "passed": recorded.get((pair.passed[0], line.scenario.key, pair.passed[1])),
            "failed": recorded.get((pair.failed[0], line.scenario.key, pair.failed[1])),
        }
        runs = {
            "passed": self._window.runs[pair.passed[0]],
            "failed": self._window.runs[pair.failed[0]],
        }
        folders = {which: run.folder for which, run in runs.items()}
        sides = {
            which: self._side(line, runs[which], one, kept, records[which])
            for which, one in (("passed", pair.passed), ("failed", pair.failed))
        }
        logs = log_pairs(records["passed"], records["failed"], folders, self._start)
        return side_by_side(sides["passed"], sides["failed"], logs, is_after=pair.is_after)

    def _side(
        self,
        line: Line,
        run: SiteRun,
        one: tuple[int, int],
        kept: Mapping[Key, list[StepSide]],
        record: AttemptRecord | None,
    ) -> Side:
        place, number = one
        cell = next(cell for cell in line.cells if cell.run == place)
        told = next((each for each in cell.attempts if each.number == number), None)
        stored = kept.get(self._key(line, one), [])
        links = self._files.of(place, line.scenario.id, number)
        return Side(
            run=run,
            number=number,
            verdict=told.verdict if told else Verdict.PASSED,
            seconds=told.seconds if told else cell.seconds,
            steps=self._steps(run, stored, record),
            video=next((link.href for link in links if link.kind == "video"), ""),
            captures=tuple(link for link in links if link.kind == "capture"),
            missing=_missing(run, record, links, self._with_files),
            suspicion=_suspicion(told, record),
        )

    def _steps(
        self, run: SiteRun, stored: list[StepSide], record: AttemptRecord | None
    ) -> list[StepSide]:
        """Return what the folder has, with the scores that only the store has."""
        if record is None or run.folder is None or not record.steps:
            return stored
        steps = recorded_steps(record, run.folder, self._start)
        scores = {step.text: step.score for step in stored}
        return [step._replace(score=scores.get(step.text)) for step in steps]


def _suspicion(told: AttemptInfo | None, record: AttemptRecord | None) -> Suspicion | None:
    """Return what the evidence in a folder gives, unless the store was told something else."""
    found = suspicion_of(record) if record is not None else None
    return found if found and told and found.suspect is told.suspect else None


def _missing(
    run: SiteRun, record: AttemptRecord | None, links: list[Link], with_files: bool
) -> str:
    """Return why there are no pictures and logs of an attempt, "" if there may be."""
    if run.folder is None:
        return "the folder of its run was not given, or is gone"
    if not with_files:
        return "there are many newer failures; the report of its run has them"
    if record is None:
        return "the folder of its run has no such attempt"
    if not links and not any(step.frames for step in record.steps):
        return "nothing was kept of it, or it was tidied away"
    return ""
