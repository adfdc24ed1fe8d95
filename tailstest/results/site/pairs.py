"""Asking the store for many attempts by run and scenario at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import CTE, Integer, column, values

from tailstest.results.store.kept_texts import in_batches


def wanted_pairs(pairs: Iterable[tuple[int, int]]) -> Iterator[CTE]:
    """Yield pairs of run and scenario as tables to join with, a few hundred in each.

    `(run, scenario) IN (...)` would do as well, but makes SQLite read the whole other table
    instead of finding each pair in its primary key.
    """
    for part in in_batches(sorted(set(pairs))):
        table = values(column("run", Integer), column("scenario", Integer), name="pairs")
        yield table.data(list(part)).cte("wanted")
