"""Results of scenarios that a person did."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, func, insert, select

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import KeptTexts, storable
from tailstest.results.store.tables import CODES, attempts, manual_results

#: What a person may say.
BY_HAND = (Verdict.PASSED, Verdict.FAILED, Verdict.INCOMPLETE)


def record_by_hand(
    store: Store, run: int, scenario: int, verdict: Verdict, *, person: str, note: str
) -> int:
    """Write what came of a scenario of a run that a person did; the attempts before stay.

    Args:
        run, scenario: their numbers in the store.
        person: who did it.
        note: what was seen; needed where it did not pass.

    Returns:
        The number of this attempt.

    Raises:
        UsageError: the run does not have the scenario, or a name or reason is missing.
    """
    if verdict not in BY_HAND:
        raise UsageError(f'a person says "passed", "failed" or "incomplete", not "{verdict}"')
    if not person.strip():
        raise UsageError("a result by hand needs the name of the person", hint="say --by NAME")
    if verdict is not Verdict.PASSED and not note.strip():
        raise UsageError(
            "what did not pass needs to be described", hint='say --note "what was seen"'
        )
    texts = KeptTexts()
    with store.writing() as connection:
        own = (attempts.c.run == run, attempts.c.scenario == scenario)
        last = connection.execute(select(func.max(attempts.c.number)).where(*own)).scalar()
        if last is None:
            raise UsageError("this scenario is no part of that run")
        tags = connection.execute(
            select(attempts.c.tags).where(*own, attempts.c.number == last)
        ).scalar_one()
        cause = None
        if verdict is not Verdict.PASSED:
            cause = texts.causes(connection, [note])[note]
        where = {"run": run, "scenario": scenario, "number": last + 1}
        row = {**where, "verdict": CODES[verdict], "seconds": 0.0, "cause": cause, "tags": tags}
        connection.execute(insert(attempts).values(row))
        told = {"person": storable(person, 300), "note": storable(note), "time": time.time()}
        connection.execute(insert(manual_results).values({**where, **told}))
    return int(last) + 1


def done_by_hand(connection: Connection, run: int) -> list[dict[str, Any]]:
    """Return what persons said about a run, to be written again with `write_again`."""
    joined = manual_results.join(
        attempts,
        (attempts.c.run == manual_results.c.run)
        & (attempts.c.scenario == manual_results.c.scenario)
        & (attempts.c.number == manual_results.c.number),
    )
    others = [column for column in attempts.c if column.name not in manual_results.c]
    wanted = (
        select(manual_results, *others)
        .select_from(joined)
        .where(manual_results.c.run == run)
        .order_by(manual_results.c.scenario, manual_results.c.number)
    )
    return [dict(row._mapping) for row in connection.execute(wanted)]


def write_again(connection: Connection, run: int, said: list[dict[str, Any]]) -> None:
    """Write what persons said behind the attempts that the run has now."""
    for each in said:
        own = (attempts.c.run == run, attempts.c.scenario == each["scenario"])
        last = connection.execute(select(func.max(attempts.c.number)).where(*own)).scalar() or 0
        row = {**each, "run": run, "number": last + 1}
        for table in (attempts, manual_results):
            fields = {column.name: row[column.name] for column in table.c}
            connection.execute(insert(table).values(fields))
