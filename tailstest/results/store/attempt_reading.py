"""Reading attempts out of the store, of whole runs or at one scenario."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from tailstest.results.standing import AttemptInfo
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.tables import (
    SUSPECT_OF,
    VERDICT_OF,
    attempt_machines,
    attempts,
    causes,
    manual_results,
    tag_sets,
)


def attempts_of_runs(
    connection: Connection, wanted: Sequence[int], *, with_machines: bool = True
) -> dict[int, list[AttemptInfo]]:
    """Return the attempts of runs by scenario, those of one scenario in their order.

    Args:
        wanted: numbers of runs, in the order in which their attempts are to come.
    """
    tags = _texts(connection, tag_sets)
    found: dict[int, list[AttemptInfo]] = defaultdict(list)
    for run in wanted:
        machines = _grouped(connection, attempt_machines.c.machine, run) if with_machines else {}
        people = _grouped(connection, manual_results.c.person, run)
        rows = connection.execute(
            select(
                attempts.c.scenario,
                attempts.c.number,
                attempts.c.verdict,
                attempts.c.seconds,
                causes.c.text,
                attempts.c.tags,
                attempts.c.suspect,
            )
            .select_from(attempts.outerjoin(causes, causes.c.id == attempts.c.cause))
            .where(attempts.c.run == run)
            .order_by(attempts.c.scenario, attempts.c.number)
        )
        for scenario, number, verdict, seconds, cause, tag_set, suspect in rows:
            where = (scenario, number)
            found[scenario].append(
                AttemptInfo(
                    run=run,
                    number=number,
                    verdict=VERDICT_OF[verdict],
                    seconds=seconds,
                    cause=cause or "",
                    tags=tags.get(tag_set, ()),
                    machines=tuple(sorted(machines[where])) if where in machines else (),
                    person=people[where][0] if where in people else "",
                    suspect=SUSPECT_OF.get(suspect),
                )
            )
    return dict(found)


def attempts_at(connection: Connection, scenario: int) -> dict[int, list[AttemptInfo]]:
    """Return all attempts at a scenario by the number of their run.

    Their machines are there for runs with several attempts at it; for others they decide nothing.
    """
    people = {
        (row.run, row.number): row.person
        for row in connection.execute(
            select(manual_results).where(manual_results.c.scenario == scenario)
        )
    }
    rows = connection.execute(
        select(attempts, causes.c.text, tag_sets.c.text.label("tag_text"))
        .select_from(
            attempts.outerjoin(causes, causes.c.id == attempts.c.cause).join(
                tag_sets, tag_sets.c.id == attempts.c.tags
            )
        )
        .where(attempts.c.scenario == scenario)
        .order_by(attempts.c.run, attempts.c.number)
    )
    rows_of: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        rows_of[row.run].append(row)
    machines = _machines_at(connection, scenario, [n for n, each in rows_of.items() if each[1:]])
    return {
        run: [
            AttemptInfo(
                run=run,
                number=row.number,
                verdict=VERDICT_OF[row.verdict],
                seconds=row.seconds,
                cause=row.text or "",
                tags=tuple(row.tag_text.split()),
                machines=tuple(sorted(machines.get((run, row.number), ()))),
                person=people.get((run, row.number), ""),
                suspect=SUSPECT_OF.get(row.suspect),
            )
            for row in each
        ]
        for run, each in rows_of.items()
    }


def _machines_at(
    connection: Connection, scenario: int, wanted: Sequence[int]
) -> dict[tuple[int, int], list[str]]:
    """Return the kinds of machines of attempts at a scenario, by run and number."""
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    table = attempt_machines.c
    for part in in_batches(wanted):
        rows = select(table.run, table.number, table.machine)
        for run, number, machine in connection.execute(
            rows.where(table.run.in_(part), table.scenario == scenario)
        ):
            found[run, number].append(machine)
    return found


def _texts(connection: Connection, table: Any) -> dict[int, tuple[str, ...]]:
    return {row.id: tuple(row.text.split()) for row in connection.execute(select(table))}


def _grouped(connection: Connection, column: Any, run: int) -> dict[tuple[int, int], list[str]]:
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    table = column.table
    wanted = select(table.c.scenario, table.c.number, column).where(table.c.run == run)
    for scenario, number, text in connection.execute(wanted):
        found[scenario, number].append(text)
    return found
