"""What people say about runs: a release, or one that must not go."""

from __future__ import annotations

from sqlalchemy import select, update

from tailstest.core.errors import UsageError
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import storable
from tailstest.results.store.reading import RunInfo
from tailstest.results.store.tables import runs


def mark_release(store: Store, run: RunInfo, release: str) -> None:
    """Say that a run was the last word on a release; "" takes it back.

    Raises:
        UsageError: another run has that name already.
    """
    name = storable(release.strip(), 190)[:200]
    with store.writing() as connection:
        taken = connection.execute(
            select(runs.c.run_id).where(runs.c.release == name, runs.c.id != run.id)
        ).scalar()
        if name and taken is not None:
            raise UsageError(
                f'the run {taken} is marked as release "{name}" already',
                hint=f'take that back first: tailstest store mark {taken} --release ""',
            )
        connection.execute(update(runs).where(runs.c.id == run.id).values(release=name))


def mark_kept(store: Store, run: RunInfo, is_kept: bool) -> None:
    """Say whether a run must stay, whatever its age."""
    with store.writing() as connection:
        connection.execute(update(runs).where(runs.c.id == run.id).values(is_kept=is_kept))
