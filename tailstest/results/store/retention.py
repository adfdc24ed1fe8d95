"""Tidying the store: by age, by count, and by what must not go."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, select, update

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.event_fields import text_of
from tailstest.results.event_log import read_events
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.run_rows import forget_run
from tailstest.results.store.tables import CODES, attempts, runs, steps

DAY = 86_400.0
#: A run without an end may be going on; after this time it was killed.
MAY_BE_ALIVE = 2 * DAY
#: Newest runs that are searched for scenarios that fail now.
_FAILING_IN = 50
_PASSED = CODES[Verdict.PASSED]
_WRONG = (CODES[Verdict.FAILED], CODES[Verdict.ERRORED])


@dataclass(frozen=True)
class Limits:
    """How much is kept; what is beyond one of the limits goes. None is no limit.

    Attributes:
        runs, days: of results.
        file_runs, file_days: of the files of runs (frames, videos, logs) in their folders.
        step_runs: of single steps, which take the most room in the store.
    """

    runs: int | None = None
    days: float | None = None
    file_runs: int | None = None
    file_days: float | None = None
    step_runs: int | None = None


@dataclass
class Pruned:
    """What was removed, or would be.

    Attributes:
        runs, files_of, steps_of: ids of runs: removed whole, without their files now, without
            their steps now.
        kept: ids of runs that a limit meant, with the reason why they stay.
        bytes: of files removed.
        problems: files that could not be removed, and why.
    """

    runs: list[str] = field(default_factory=list)
    files_of: list[str] = field(default_factory=list)
    steps_of: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


def prune(store: Store, limits: Limits, *, is_trial: bool = False) -> Pruned:
    """Remove what is beyond the limits.

    Releases, runs marked to be kept, the newest run, runs that may be going on, and for every
    scenario that fails now the last good and the first bad run stay, with their files. Ages are
    counted back from now, or from the newest run when that is older, so that a store that nobody
    wrote to for a year, or a clock that was put wrong, does not empty it.

    Args:
        is_trial: only tell.

    Raises:
        InfrastructureError: the store fails; files may be gone already, results are as before.
    """
    found = Pruned()
    with store.reading() as connection:
        rows = connection.execute(
            select(runs).order_by(runs.c.position.desc(), runs.c.id.desc())
        ).all()
        protected = _protected(connection, [row.id for row in rows])
    if not rows:
        return found
    now = min(time.time(), rows[0].position)
    without_rows, without_files, without_steps = [], [], []
    for place, row in enumerate(rows):
        age = (now - row.position) / DAY
        reason = _reason_to_stay(row, place, now, protected)
        is_over = _is_beyond(place, age, limits.runs, limits.days)
        is_full = row.has_files and _is_beyond(place, age, limits.file_runs, limits.file_days)
        if reason and (is_over or is_full):
            found.kept[row.run_id] = reason
            continue
        if is_over:
            without_rows.append(row)
        if row.has_files and (is_over or is_full):
            without_files.append(row)
        elif not is_over and _is_beyond(place, age, limits.step_runs, None):
            without_steps.append(row)
    found.runs = [row.run_id for row in without_rows]
    found.files_of = [row.run_id for row in without_files]
    found.steps_of = [row.run_id for row in without_steps]
    for row in without_files:
        _remove_files(row.run_id, row.folder, row.hostname, found, is_trial)
    if not is_trial:
        _write(store, found, without_rows, without_files, without_steps)
    return found


def compact(store: Store) -> None:
    """Give room in a SQLite file that is no longer used back to the disk.

    Raises:
        InfrastructureError: the store is in use, or there is no room for a copy of it.
    """
    if store.is_file:
        with store.told(), store.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _is_beyond(place: int, age: float, count: int | None, days: float | None) -> bool:
    return (count is not None and place >= count) or (days is not None and age > days)


def _write(
    store: Store,
    found: Pruned,
    without_rows: Sequence[Row[Any]],
    without_files: Sequence[Row[Any]],
    without_steps: Sequence[Row[Any]],
) -> None:
    """Remove rows, and correct `found` by what others wrote since they were chosen."""
    with store.writing() as connection:
        marks = _marks_now(connection, [*without_rows, *without_files, *without_steps])
        going = [row for row in without_rows if marks.get(row.id) == ""]
        found.runs = [row.run_id for row in going]
        found.kept |= {row.run_id: marks[row.id] for row in without_rows if marks.get(row.id)}
        for row in going:
            forget_run(connection, row.id)
        for part in in_batches([row.id for row in without_files if row.id in marks]):
            connection.execute(update(runs).where(runs.c.id.in_(part)).values(has_files=False))
        for row in without_steps:
            if row.id in marks:
                connection.execute(delete(steps).where(steps.c.run == row.id))


def _marks_now(connection: Connection, chosen: Sequence[Row[Any]]) -> dict[int, str]:
    """Return what people have said by now of runs that are still there, by their numbers.

    Others write while files are removed: a run may be gone, its number may be that of a new one.
    From here to the end of the transaction nobody changes them.
    """
    found = {}
    was = {row.id: row.run_id for row in chosen}
    for part in in_batches(sorted(was)):
        wanted = select(runs).where(runs.c.id.in_(part)).order_by(runs.c.id).with_for_update()
        for row in connection.execute(wanted):
            if row.run_id == was[row.id]:
                found[row.id] = _mark_of(row)
    return found


def _mark_of(row: Row[Any]) -> str:
    """Return what a person said of a run that keeps it, "" for nothing."""
    if row.release:
        return f"release {row.release}"
    return "marked to be kept" if row.is_kept else ""


def _reason_to_stay(row: Row[Any], place: int, now: float, protected: dict[int, str]) -> str:
    mark = _mark_of(row)
    if mark:
        return mark
    if place == 0:
        return "the newest run"
    if not row.is_finished and now - row.position < MAY_BE_ALIVE:
        return "it may be going on"
    return protected.get(row.id, "")


def _protected(connection: Connection, newest_first: list[int]) -> dict[int, str]:
    """Return the last good and first bad run of every scenario that fails now."""
    order = {number: place for place, number in enumerate(newest_first)}
    suspects: set[int] = set()
    for part in in_batches(newest_first[:_FAILING_IN]):
        wanted = (
            select(attempts.c.scenario)
            .distinct()
            .where(attempts.c.run.in_(part), attempts.c.verdict.in_(_WRONG))
        )
        suspects.update(connection.execute(wanted).scalars())
    found: dict[int, str] = {}
    for scenario in suspects:
        rows = connection.execute(
            select(attempts.c.run, func.max(case((attempts.c.verdict == _PASSED, 1), else_=0)))
            .where(attempts.c.scenario == scenario, attempts.c.verdict.in_((_PASSED, *_WRONG)))
            .group_by(attempts.c.run)
        )
        first_bad: int | None = None
        for run, has_passed in sorted(rows, key=lambda row: order[row[0]]):
            if has_passed:
                if first_bad is not None:
                    found.setdefault(run, "the last good run of a scenario that fails")
                break
            first_bad = run
        if first_bad is not None:
            found.setdefault(first_bad, "the first bad run of a scenario that fails")
    return found


def _remove_files(run_id: str, folder: str, hostname: str, found: Pruned, is_trial: bool) -> None:
    """Remove what a run kept in the folders inside of its own; its events and reports stay."""
    if hostname and hostname != socket.gethostname():
        found.problems.append(f"{run_id}: its files are on the host {hostname}")
        return
    if not Path(folder).exists():
        return
    try:
        place = RunFolder.open(Path(folder))
        told = next(iter(read_events(place.events_file).events), {})
        if text_of(told, "run_id") != run_id:
            raise UsageError(f"{folder} is the folder of another run")
        for top in sorted(place.path.iterdir()):
            if top.is_dir() and not top.is_symlink():
                found.bytes += _emptied(top, is_trial)
    except UsageError as error:
        found.problems.append(f"{run_id}: {error.message}")
    except OSError as error:
        found.problems.append(f"{run_id}: {error.filename}: {error.strerror}")


def _emptied(folder: Path, is_trial: bool) -> int:
    """Remove a folder and all in it, never following links; return the bytes of its files."""
    removed = 0
    for place, folders, files in os.walk(folder, topdown=False, followlinks=False):
        for name in files:
            removed += (Path(place) / name).lstat().st_size
            if not is_trial:
                (Path(place) / name).unlink()
        for name in [] if is_trial else folders:
            below = Path(place) / name
            below.unlink() if below.is_symlink() else below.rmdir()
    if not is_trial:
        folder.rmdir()
    return removed
