"""A failed attempt beside one that passed, aligned by step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from tailstest.core.verdict import WRONG, Verdict
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import ArtifactRecord, AttemptRecord, StepRecord
from tailstest.results.site.folders import Link, link_to
from tailstest.results.site.lines import Cell, Line
from tailstest.results.site.window import SiteRun
from tailstest.results.suspect import Suspicion
from tailstest.results.text_tail import tail_of

#: Steps, logs and bytes of one log that a page shows of each attempt.
MAX_STEPS = 200
MAX_LOGS = 6
LOG_BYTES = 6_000
#: Width in pixels of a picture beside a step.
PICTURE_WIDTH = 320
#: Beginning of the title of a log that lists who a machine talked to (`machine.network_card`).
TALK = "Who "


class Pair(NamedTuple):
    """Two attempts to compare: (place of the run, number of the attempt)."""

    failed: tuple[int, int]
    passed: tuple[int, int]
    is_after: bool


class StepSide(NamedTuple):
    """A step of one of the two attempts; `key` is its text without its keyword."""

    text: str
    key: str
    verdict: Verdict
    seconds: float
    score: float | None = None
    error: str = ""
    picture: Link | None = None
    size: tuple[int, int] = (0, 0)


class LogPair(NamedTuple):
    """Ends of logs of the same kind; a text or link is "" where there is none."""

    title: str
    is_talk: bool
    passed: str
    failed: str
    passed_href: str
    failed_href: str


@dataclass(frozen=True)
class Side:
    """One of the two attempts.

    Attributes:
        missing: why it has no pictures and logs.
        suspicion: behind one that failed, with the reason that only its evidence gives; else None.
    """

    run: SiteRun
    number: int
    verdict: Verdict
    seconds: float
    steps: list[StepSide]
    video: str = ""
    captures: tuple[Link, ...] = ()
    missing: str = ""
    suspicion: Suspicion | None = None


@dataclass(frozen=True)
class SideBySide:
    """The comparison; rows have the step of the passed and of the failed attempt.

    Attributes:
        is_after: the pass came after the failure, because there is none before.
        turned: place in `rows` of the step at which the failed attempt ended, None if unknown.
    """

    passed: Side
    failed: Side
    rows: list[tuple[StepSide | None, StepSide | None]]
    logs: list[LogPair]
    is_after: bool
    turned: int | None

    @property
    def same_image(self) -> bool:
        """Tell whether both were on the same image, as far as that is known."""
        a, b = self.passed.run.info, self.failed.run.info
        return a.image_id is not None and a.comparable == b.comparable


def pair_of(line: Line) -> Pair | None:
    """Return the newest failure and the pass before it, or else after; None without either."""
    tried = [_attempts(cell) for cell in line.cells]
    order = [one for of_run in tried for one in reversed(of_run)]  # the newest first
    failed = next((n for n, (_, _, verdict) in enumerate(order) if verdict in WRONG), None)
    if failed is None:
        return None
    passed = [n for n, (_, _, verdict) in enumerate(order) if verdict is Verdict.PASSED]
    before = [n for n in passed if n > failed]
    if not passed:
        return None
    chosen = before[0] if before else passed[-1]
    return Pair(order[failed][:2], order[chosen][:2], not before)


def align(
    passed: Sequence[StepSide], failed: Sequence[StepSide]
) -> list[tuple[StepSide | None, StepSide | None]]:
    """Return steps of both that belong together; None where one of them has no such step."""
    known = {step.key for step in passed}, {step.key for step in failed}
    matcher = SequenceMatcher(
        None,
        [_key(step, known[1]) for step in passed],
        [_key(step, known[0]) for step in failed],
        autojunk=False,
    )
    rows: list[tuple[StepSide | None, StepSide | None]] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "replace":
            rows += [(step, None) for step in passed[a:b]] + [(None, step) for step in failed[c:d]]
        else:
            rows += zip_longest(passed[a:b], failed[c:d])
    return rows


def side_by_side(passed: Side, failed: Side, logs: list[LogPair], *, is_after: bool) -> SideBySide:
    """Return two attempts next to each other."""
    rows = align(passed.steps[:MAX_STEPS], failed.steps[:MAX_STEPS])
    turned = next((n for n, (_, step) in enumerate(rows) if step and step.verdict in WRONG), None)
    return SideBySide(passed, failed, rows, logs, is_after, turned)


def recorded_steps(attempt: AttemptRecord, folder: RunFolder, start: Path) -> list[StepSide]:
    """Return the steps as the run's folder has them, with pictures."""
    return [_recorded(step, folder, start) for step in attempt.steps[:MAX_STEPS]]


def log_pairs(
    passed: AttemptRecord | None,
    failed: AttemptRecord | None,
    folders: Mapping[str, RunFolder | None],
    start: Path,
) -> list[LogPair]:
    """Return the logs of both attempts, those of one kind next to each other.

    Args:
        folders: of "passed" and "failed".
    """
    sides = [_logs(passed), _logs(failed)]
    keys = list(dict.fromkeys([*sides[1], *sides[0]]))
    keys.sort(key=lambda key: (not key[1].startswith(TALK), key[0] != "log"))
    found = []
    for key in keys[:MAX_LOGS]:
        a, b = sides[0].get(key), sides[1].get(key)
        texts, links = [], []
        for record, folder in ((a, folders["passed"]), (b, folders["failed"])):
            file = folder.file(record.path) if folder and record else None
            texts.append(tail_of(file, LOG_BYTES) if file else "")
            links.append(link_to(folder, record.path, start) if folder and record else "")
        either = b or a
        title = either.title if either else ""
        found.append(LogPair(title, title.startswith(TALK), *texts, *links))
    return found


def _key(step: StepSide, others: set[str]) -> str:
    """Return what a step says; one that was announced and not run may begin with its keyword."""
    bare = step.key.partition(" ")[2]
    return bare if step.key not in others and bare in others else step.key


def _attempts(cell: Cell) -> list[tuple[int, int, Verdict]]:
    if not cell.attempts:
        return [(cell.run, 1, Verdict.PASSED)]
    return [(cell.run, each.number, each.verdict) for each in cell.attempts]


def _recorded(step: StepRecord, folder: RunFolder, start: Path) -> StepSide:
    picture, size = None, (0, 0)
    if step.frames:
        frame = step.frames[-1]
        href = link_to(folder, frame.path, start)
        if href:
            picture = Link("picture", href, "frame")
            width = max(1, min(frame.width, 10_000))
            height = max(1, min(frame.height, 10_000))
            size = (PICTURE_WIDTH, max(1, PICTURE_WIDTH * height // width))
    return StepSide(
        step.title,
        step.text,
        step.verdict,
        step.seconds,
        error=step.error,
        picture=picture,
        size=size,
    )


def _logs(attempt: AttemptRecord | None) -> dict[tuple[str, str, int], ArtifactRecord]:
    """Return logs by kind, title without numbers of machines, and place among equal ones."""
    found: dict[tuple[str, str, int], ArtifactRecord] = {}
    counted: dict[tuple[str, str], int] = {}
    for each in attempt.artifacts if attempt else []:
        if each.kind not in ("log", "serial"):
            continue
        key = (each.kind, re.sub(r"\d+", "", each.title))
        counted[key] = counted.get(key, 0) + 1
        found[*key, counted[key]] = each
    return found
