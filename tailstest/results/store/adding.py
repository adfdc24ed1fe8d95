"""Whole runs into the store: one that was recorded in its folder, or read from another tool."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from tailstest.results.run_record import Run
from tailstest.results.store.attempt_rows import AttemptRows
from tailstest.results.store.by_hand import done_by_hand, write_again
from tailstest.results.store.contents_file import contents_for, store_contents
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import KeptTexts, storable
from tailstest.results.store.run_rows import begin_run, end_run, forget_run, plan_run
from tailstest.results.store.tables import runs


def add_run(
    store: Store, run: Run, folder: Path | None = None, *, source: str = "tailstest"
) -> bool:
    """Write a run, all of it or nothing; one that is there already is written anew.

    What was said about it (release, kept, results by hand) stays.

    Args:
        folder: where its files are, among them what its image is made of; None when it has none.

    Returns:
        Whether the store had it before.

    Raises:
        InfrastructureError: the store fails; it is as it was.
    """
    contents = contents_for(folder, run.environment) if folder is not None else None
    texts = KeptTexts()
    with store.writing() as connection:
        known = connection.execute(
            select(runs).where(runs.c.run_id == storable(run.run_id, 190)[:200])
        ).first()
        by_hand = []
        if known is not None:
            by_hand = done_by_hand(connection, known.id)
            forget_run(connection, known.id)
        number = begin_run(connection, texts, run, folder, source=source, is_live=False)
        numbers = plan_run(connection, texts, number, run)
        rows = AttemptRows(number)
        for scenario in run.scenarios:
            for attempt in scenario.attempts:
                rows.add(numbers[scenario.id], scenario, attempt)
        rows.write(connection, texts)
        end_run(connection, number, run)
        if known is not None:
            connection.execute(
                update(runs)
                .where(runs.c.id == number)
                .values(release=known.release, is_kept=known.is_kept, position=known.position)
            )
            write_again(connection, number, by_hand)
        if contents is not None:
            store_contents(connection, number, contents)
    return known is not None
