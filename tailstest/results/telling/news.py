"""What is new in a run: scenarios whose state is another one than before on its line of images.

A line of images is what people call "the same image, night after night": runs on images of one
name (or of names that match some patterns) from one branch; a run that knows no branch belongs to
any. The state of a scenario before is what
the newest earlier run of the line said that said anything about it, so that a night of
infrastructure trouble, or a run of a part, neither hides a failure nor tells it twice.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.event_fields import file_of
from tailstest.results.known import day_of, known_bugs
from tailstest.results.standing import BAD, AttemptInfo, Judged, Standing, judge
from tailstest.results.store.attempt_reading import attempts_at, attempts_of_runs
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import (
    RunInfo,
    ScenarioInfo,
    find_run,
    scenarios_by_number,
)
from tailstest.results.telling.line import branch_of, earlier_runs

#: A scenario that was flaky in one of so many earlier runs of its line is no news when it is again.
FLAKY_FOR = 10
#: Flaky scenarios whose whole history is looked at; more of them at once are a host in trouble.
MAX_FLAKY = 200
_TELLING = frozenset({Standing.PASSED, Standing.FLAKY, Standing.KNOWN, *BAD})
_PASSED = Judged(Standing.PASSED)
_MISSING = frozenset({Standing.INCOMPLETE, Standing.NOT_RUN})


class Change(StrEnum):
    """In which way the state of a scenario is another one."""

    FAILING = "failing"
    FLAKY = "flaky"
    INCOMPLETE = "incomplete"
    PASSING = "passing"


@dataclass(frozen=True)
class Turn:
    """A scenario whose state changed; `before` is None when nothing was known of it."""

    scenario: ScenarioInfo
    change: Change
    now: Judged
    before: Standing | None
    run: RunInfo

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "scenario": self.scenario.key,
            "name": self.scenario.name,
            "change": self.change.value,
            "now": self.now.standing.value,
            "before": self.before.value if self.before else None,
            "reason": self.now.reason,
        }


@dataclass(frozen=True)
class News:
    """All that is new in some runs.

    Attributes:
        previous: the newest earlier run of the line, None when there is none.
        counts: of all scenarios by what they stand for now.
        troubles: what is wrong with the runs themselves and was not wrong before, a sentence each.
    """

    runs: tuple[RunInfo, ...]
    previous: RunInfo | None
    turns: tuple[Turn, ...]
    counts: Mapping[Standing, int]
    troubles: tuple[str, ...]
    branch: str

    @property
    def changed(self) -> bool:
        """Whether anything is new."""
        return bool(self.turns or self.troubles)

    def of(self, change: Change) -> list[Turn]:
        """Return the scenarios that changed in one way."""
        return [turn for turn in self.turns if turn.change is change]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "runs": [run.to_json() for run in self.runs],
            "previous": self.previous.to_json() if self.previous else None,
            "branch": self.branch,
            "changed": self.changed,
            "turns": [turn.to_json() for turn in self.turns],
            "troubles": list(self.troubles),
            "counts": {standing.value: number for standing, number in self.counts.items()},
        }


def news_of(
    store: Store,
    names: Sequence[str],
    today: datetime.date,
    *,
    images: Sequence[str] = (),
    branches: Sequence[str] = (),
    against: str = "",
) -> News:
    """Return what is new in some runs that are one whole (shards, or kinds of machines).

    Args:
        names: of the runs; see `find_run`.
        today: decides which excuses have ended.
        images: patterns, as of a shell, of names of images that are one line; by default images
            of the same name are.
        branches: whose runs belong to the line, too, besides those of the runs' own branch.
        against: the run to compare with, instead of the earlier ones of the line.

    Raises:
        UsageError: a run is not in the store.
    """
    with store.reading() as connection:
        found = {run.id: run for run in (find_run(connection, name) for name in names)}
        runs = tuple(sorted(found.values(), key=lambda run: run.id))
        branch = branch_of(connection, runs[0].id)
        if against:
            earlier = [find_run(connection, against)]
            if earlier[0].id in found:
                raise UsageError(
                    f"{earlier[0].run_id} would be compared with itself",
                    hint="name an earlier run with --against",
                )
        else:
            earlier = list(earlier_runs(connection, runs, images, {branch, *branches}))
        attempts = attempts_of_runs(connection, list(found))
        now = {number: _judged(done, today) for number, done in attempts.items()}
        before, missing = _before(connection, earlier, now)
        wobbling = _flaky_before(connection, earlier, now)
        turned = {
            number: change
            for number, judged in now.items()
            if (change := _change(judged.standing, before.get(number), number in missing))
            and not (change is Change.FLAKY and number in wobbling)
        }
        named = scenarios_by_number(connection, list(turned))
    counted = Counter(judged.standing for judged in now.values())
    turns = [
        Turn(
            named[number],
            change,
            now[number],
            before.get(number),
            found[attempts[number][-1].run],
        )
        for number, change in turned.items()
    ]
    order = list(Change)
    turns.sort(key=lambda turn: (order.index(turn.change), _place(turn.scenario)))
    previous = earlier[0] if earlier else None
    return News(
        runs=runs,
        previous=previous,
        turns=tuple(turns),
        counts={each: counted[each] for each in Standing if counted[each]},
        troubles=_troubles(runs, previous),
        branch=branch,
    )


def _change(now: Standing, before: Standing | None, was_missing: bool) -> Change | None:
    if now in BAD:
        return None if before in BAD else Change.FAILING
    if now is Standing.FLAKY:
        return None if before is Standing.FLAKY else Change.FLAKY
    if now in _MISSING:
        return None if was_missing else Change.INCOMPLETE
    # A flaky scenario that passes has shown nothing new.
    return Change.PASSING if now is Standing.PASSED and before in BAD else None


def _judged(attempts: Sequence[AttemptInfo], day: datetime.date) -> Judged:
    only = attempts[0]
    if len(attempts) == 1 and only.verdict is Verdict.PASSED and not known_bugs(only.tags):
        return _PASSED  # the most by far, and the quickest
    return judge(attempts, day)


def _place(scenario: ScenarioInfo) -> tuple[str, int, str]:
    file = file_of(scenario.location)
    line = scenario.location[len(file) + 1 :]
    return file, int(line) if line.isdecimal() else 0, scenario.key


def _before(
    connection: Connection, earlier: Sequence[RunInfo], now: Mapping[int, Judged]
) -> tuple[dict[int, Standing], set[int]]:
    """Return what scenarios stood for before, and which had no result the last time."""
    told: dict[int, Standing] = {}
    seen: set[int] = set()
    missing: set[int] = set()
    wanted = {n for n, judged in now.items() if judged.standing in _TELLING | _MISSING}
    for run in earlier:
        open_ones = wanted - told.keys()
        if not open_ones:
            break
        attempts = attempts_of_runs(connection, [run.id])
        for number in open_ones & attempts.keys():
            standing = _judged(attempts[number], day_of(run.started)).standing
            if standing in _TELLING:
                told[number] = standing
            elif standing in _MISSING and number not in seen:
                missing.add(number)
            seen.add(number)
    return told, missing


def _flaky_before(
    connection: Connection, earlier: Sequence[RunInfo], now: Mapping[int, Judged]
) -> set[int]:
    """Return those flaky now that were flaky not long ago: it is no news that they still are."""
    near = [run.id for run in earlier[:FLAKY_FOR]]
    flaky = [number for number, each in now.items() if each.standing is Standing.FLAKY]
    found = set()
    for number in flaky[:MAX_FLAKY]:
        attempts = attempts_at(connection, number)
        if any(_is_flaky(attempts.get(run, ())) for run in near):
            found.add(number)
    return found


def _is_flaky(attempts: Sequence[AttemptInfo]) -> bool:
    # What a person or an excuse says does not matter for that, nor does the day.
    return bool(attempts) and judge(attempts, datetime.date.min).standing is Standing.FLAKY


def _troubles(runs: Sequence[RunInfo], previous: RunInfo | None) -> tuple[str, ...]:
    """Return what is wrong with runs as a whole and was right the last time."""
    found = []
    was_whole = previous is None or (previous.is_finished and not previous.interrupted)
    for run in runs:
        if was_whole and run.interrupted:
            found.append(f"run {run.run_id} was interrupted")
        elif was_whole and not run.is_finished:
            found.append(f"run {run.run_id} did not end")
        if run.problems and (previous is None or run.problems != previous.problems):
            found.append(
                f"run {run.run_id} has a problem outside of its scenarios: {run.problems[0]}"
            )
    return tuple(found)
