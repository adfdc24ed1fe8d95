"""What a run becomes in the store, besides its attempts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from tailstest.core.verdict import Verdict
from tailstest.results.environment_view import CHANGED, find_fact, image_digest, image_name
from tailstest.results.run_record import Run
from tailstest.results.store.attempt_rows import AttemptRows
from tailstest.results.store.kept_texts import KeptTexts, storable
from tailstest.results.store.tables import OF_RUN, PATCHED, artifacts, runs

#: Characters of the environment and of the list of problems of one run.
MAX_ENVIRONMENT = 60_000
MAX_PROBLEMS = 60_000
#: Shortest distance between two runs in the order of runs.
_NEXT = 0.001


def begin_run(
    connection: Connection,
    texts: KeptTexts,
    run: Run,
    folder: Path | None,
    *,
    source: str,
    is_live: bool,
) -> int:
    """Write what is known when a run begins, and return its number.

    Args:
        folder: where its files are; None when it has none here.
        is_live: it happens now, so it comes after all others, whatever the clock says.
    """
    digest = image_digest(run.environment)
    if digest and CHANGED in run.environment:
        digest += PATCHED
    name = image_name(run.environment)
    started = run.started or time.time()
    newest = connection.execute(select(func.max(runs.c.position))).scalar()
    position = started if newest is None or not is_live else max(started, newest + _NEXT)
    values = {
        "run_id": storable(run.run_id, 190)[:200],
        "source": source,
        "started": started,
        "ended": run.ended or started,
        "position": position,
        "is_finished": False,
        "interrupted": False,
        "exit_status": None,
        "command": storable(" ".join(run.command)),
        "selection": storable(run.selection),
        "problems": "",
        "hostname": storable(find_fact(run.environment, "hostname"), 300),
        "environment": storable(
            json.dumps(run.environment, ensure_ascii=False, default=str), MAX_ENVIRONMENT
        ),
        "suite_commit": storable(find_fact(run.environment, "suite_commit"), 90)[:100],
        "product_commit": storable(find_fact(run.environment, "product_commit"), 90)[:100],
        "image_id": texts.image(connection, digest, name) if digest else None,
        "folder": storable(folder.absolute()) if folder is not None else "",
        "release": "",
        "is_kept": False,
        "has_files": folder is not None,
    }
    done = connection.execute(insert(runs).values(values))
    (number,) = done.inserted_primary_key or (0,)
    return int(number)


def plan_run(connection: Connection, texts: KeptTexts, number: int, run: Run) -> dict[str, int]:
    """Write which scenarios are planned, and those that the suite leaves out, with the reason.

    What the run did not ask for (other tags, another name) is no part of it.

    Returns:
        The numbers of the planned scenarios.
    """
    planned = [
        {"key": each.id, "name": each.name, "feature": each.feature, "location": each.location}
        for each in run.scenarios
    ]
    left_out = {
        each["id"]: each for each in run.excluded if each.get("by") == "suite" and each.get("id")
    }
    numbers = texts.scenarios(
        connection,
        [
            *planned,
            *(
                {"key": key, **{field: each.get(field, "") for field in _NAMES}}
                for key, each in left_out.items()
            ),
        ],
    )
    rows = AttemptRows(number)
    for scenario in run.scenarios:
        if not scenario.attempts:
            rows.add_planned(numbers[scenario.id], scenario.tags)
    for key, each in left_out.items():
        if run.scenario(key) is None:
            tags = each.get("tags", "").split()
            rows.add_planned(numbers[key], tags, Verdict.SKIPPED, each.get("reason", ""))
    rows.write(connection, texts)
    connection.execute(
        update(runs)
        .where(runs.c.id == number)
        .values(
            selection=storable(run.selection),
            problems=storable("\n".join(run.problems), MAX_PROBLEMS),
        )
    )
    return numbers


def end_run(connection: Connection, number: int, run: Run) -> None:
    """Write how a run ended, and the files that belong to no scenario."""
    connection.execute(
        update(runs)
        .where(runs.c.id == number)
        .values(
            ended=max(run.ended, run.started),
            is_finished=run.is_finished,
            interrupted=run.interrupted,
            exit_status=run.exit_status,
            problems=storable("\n".join(run.outside), MAX_PROBLEMS),
        )
    )
    rows: list[dict[str, Any]] = [
        {
            "run": number,
            "scenario": None,
            "number": None,
            "kind": storable(each.kind, 40)[:40],
            "path": storable(each.path),
            "title": storable(each.title),
        }
        for each in run.artifacts
    ]
    if rows:
        connection.execute(insert(artifacts), rows)


def forget_run(connection: Connection, number: int) -> None:
    """Remove a run with everything that belongs to it."""
    for table in OF_RUN:
        connection.execute(delete(table).where(table.c.run == number))
    connection.execute(delete(runs).where(runs.c.id == number))


_NAMES = ("name", "feature", "location")
