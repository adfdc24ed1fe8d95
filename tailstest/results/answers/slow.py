"""What takes the time: scenarios and steps, and whether they became slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from tailstest.core.verdict import Verdict
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.reading import newest_runs
from tailstest.results.store.tables import (
    CODES,
    TOOK_TIME,
    attempts,
    scenarios,
    step_texts,
    steps,
)

_PASSED = CODES[Verdict.PASSED]


@dataclass(frozen=True)
class Slow:
    """A scenario or a step in the newest runs; only what passed is counted.

    Attributes:
        title: name or text.
        key: id of a scenario; "" for a step.
        times: how often it was done.
        mean, longest, total: seconds.
        before: mean seconds in as many runs before; None when it was not done there.
    """

    title: str
    key: str
    times: int
    mean: float
    longest: float
    total: float
    before: float | None

    @property
    def change(self) -> float | None:
        """Change of the mean against before, 0.5 for half as long again."""
        return self.mean / self.before - 1 if self.before else None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, seconds where nothing else is said."""
        return {
            "title": self.title,
            "scenario": self.key,
            "times": self.times,
            "mean": round(self.mean, 3),
            "longest": round(self.longest, 3),
            "total": round(self.total, 3),
            "mean_before": None if self.before is None else round(self.before, 3),
        }


@dataclass
class _Sum:
    times: int = 0
    seconds: float = 0.0
    longest: float = 0.0


def slow_ones(store: Store, *, last: int, count: int, of_steps: bool) -> tuple[list[Slow], int]:
    """Return what took most time in the newest runs.

    Args:
        last: how many runs to look at; as many before are what it is compared with.
        count: how many to return.
        of_steps: steps (by their text, over all scenarios) rather than scenarios.

    Returns:
        The slowest, the one with the largest sum first, and how many runs were looked at.
    """
    with store.reading() as connection:
        window = [run.id for run in newest_runs(connection, last)]
        earlier = [run.id for run in newest_runs(connection, last, last)]
        table, column = (steps, steps.c.text) if of_steps else (attempts, attempts.c.scenario)
        now = _sums(connection, table, column, window)
        before = _sums(connection, table, column, earlier)
        top = sorted(now, key=lambda number: -now[number].seconds)[:count]
        titles = _titles(connection, top, of_steps)
    found = []
    for number in top:
        own, old = now[number], before.get(number)
        title, key = titles[number]
        found.append(
            Slow(
                title=title,
                key=key,
                times=own.times,
                mean=own.seconds / own.times,
                longest=own.longest,
                total=own.seconds,
                before=old.seconds / old.times if old else None,
            )
        )
    return found, len(window)


def _sums(connection: Connection, table: Any, column: Any, window: list[int]) -> dict[int, _Sum]:
    found: dict[int, _Sum] = {}
    but = [TOOK_TIME] if table is attempts else []
    for part in in_batches(window):
        rows = connection.execute(
            select(column, func.count(), func.sum(table.c.seconds), func.max(table.c.seconds))
            .where(table.c.run.in_(part), table.c.verdict == _PASSED, *but)
            .group_by(column)
        )
        for number, times, seconds, longest in rows:
            each = found.setdefault(number, _Sum())
            each.times += int(times)
            each.seconds += float(seconds)
            each.longest = max(each.longest, float(longest))
    return found


def _titles(
    connection: Connection, numbers: list[int], of_steps: bool
) -> dict[int, tuple[str, str]]:
    if of_steps:
        wanted = select(step_texts).where(step_texts.c.id.in_(numbers))
        return {row.id: (row.text, "") for row in connection.execute(wanted)}
    named = select(scenarios).where(scenarios.c.id.in_(numbers))
    return {row.id: (row.name or row.key, row.key) for row in connection.execute(named)}
