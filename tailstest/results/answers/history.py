"""What became of one scenario, run after run."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from tailstest.results.answers.proportion import Proportion, proportion
from tailstest.results.standing import BAD, Judged, Standing, judge
from tailstest.results.store.attempt_reading import attempts_at
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import (
    RunInfo,
    ScenarioInfo,
    find_scenario,
    newest_runs,
)

_GOOD = (Standing.PASSED, Standing.FLAKY)


@dataclass(frozen=True)
class Entry:
    """A scenario in one run; `seconds` are those of all attempts."""

    run: RunInfo
    judged: Judged
    attempts: int
    seconds: float
    person: str = ""


@dataclass(frozen=True)
class History:
    """All that is known of a scenario.

    Attributes:
        entries: the newest first, as many as were asked for.
        runs: how many runs had the scenario.
        failing: rate of runs that failed among those that said something.
        last_good, first_bad: while it fails now: the run before it began to, and the first that
            failed since; None while it does not, or when there is no such run.
    """

    scenario: ScenarioInfo
    entries: tuple[Entry, ...]
    runs: int
    failing: Proportion
    last_good: RunInfo | None
    first_bad: RunInfo | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "scenario": self.scenario.key,
            "name": self.scenario.name,
            "location": self.scenario.location,
            "runs": self.runs,
            "failing": self.failing._asdict(),
            "last_good": self.last_good.run_id if self.last_good else None,
            "first_bad": self.first_bad.run_id if self.first_bad else None,
            "entries": [
                {
                    **entry.run.to_json(),
                    "verdict": entry.judged.standing.value,
                    "reason": entry.judged.reason,
                    "attempts": entry.attempts,
                    "seconds": round(entry.seconds, 3),
                    "by": entry.person,
                    "suspect": entry.judged.suspect.value if entry.judged.suspect else None,
                }
                for entry in self.entries
            ],
        }


def history_of(store: Store, text: str, *, limit: int, today: datetime.date) -> History:
    """Return the history of the scenario that is meant by `text`; see `find_scenario`.

    Raises:
        UsageError: none, or several, are meant.
    """
    with store.reading() as connection:
        scenario = find_scenario(connection, text)
        attempts = attempts_at(connection, scenario.id)
        order = [run for run in newest_runs(connection) if run.id in attempts]
    entries = [
        Entry(
            run=run,
            judged=judge(attempts[run.id], today),
            attempts=len(attempts[run.id]),
            seconds=sum(each.seconds for each in attempts[run.id]),
            person=attempts[run.id][-1].person,
        )
        for run in order
    ]
    spoken = [each for each in entries if each.judged.standing in {*BAD, *_GOOD, Standing.KNOWN}]
    failed = sum(each.judged.standing in {*BAD, Standing.KNOWN} for each in spoken)
    last_good, first_bad = _turn(spoken)
    return History(
        scenario=scenario,
        entries=tuple(entries[:limit]),
        runs=len(entries),
        failing=proportion(failed, len(spoken)),
        last_good=last_good,
        first_bad=first_bad,
    )


def _turn(spoken: list[Entry]) -> tuple[RunInfo | None, RunInfo | None]:
    """Return the last good run and the first bad one after it, if the newest one is bad."""
    first_bad = None
    for entry in spoken:
        if entry.judged.standing in _GOOD:
            return (entry.run if first_bad else None), first_bad
        first_bad = entry.run
    return None, first_bad
