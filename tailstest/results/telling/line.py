"""Which runs are one line: on images of the same name, from the same branch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from sqlalchemy import Connection, select

from tailstest.results.environment_view import find_fact
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.reading import RunInfo, newest_runs
from tailstest.results.store.tables import runs as runs_table

#: Runs that are looked through for earlier ones of the line, and how many of the line are read.
SEARCHED = 1_000
READ_BACK = 30
#: Name of the fact that says from which branch a run came.
BRANCH = "branch"


def earlier_runs(
    connection: Connection, runs: Sequence[RunInfo], images: Sequence[str], branches: set[str]
) -> Iterator[RunInfo]:
    """Yield earlier runs of the line of some runs, the newest first.

    Args:
        images: patterns of names of images that are one line; by default the same name is.
        branches: whose runs belong to it; a run that knows no branch does, too.
    """
    own = {run.id for run in runs}
    name = runs[0].image
    newest = newest_runs(connection, SEARCHED)
    places = [place for place, run in enumerate(newest) if run.id in own]
    candidates = [
        run
        for run in newest[max(places, default=len(newest)) + 1 :]
        if (_matches(run.image, images) if images else run.image == name)
    ]
    known = _branches(connection, [run.id for run in candidates])
    same = [run for run in candidates if "" in branches or known.get(run.id, "") in {"", *branches}]
    yield from same[:READ_BACK]


def _matches(image: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(image, pattern) for pattern in patterns)


def branch_of(connection: Connection, number: int) -> str:
    """Return the branch that a run (by its number) came from, "" when unknown."""
    return _branches(connection, [number]).get(number, "")


def _branches(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    found = {}
    for part in in_batches(numbers):
        wanted = select(runs_table.c.id, runs_table.c.environment).where(runs_table.c.id.in_(part))
        for number, text in connection.execute(wanted):
            try:
                environment = json.loads(text)
            except ValueError:  # too long to be kept whole
                environment = {}
            found[number] = find_fact(environment, BRANCH) if isinstance(environment, dict) else ""
    return found
