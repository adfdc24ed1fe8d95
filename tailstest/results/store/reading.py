"""Reading runs and scenarios out of the store; `attempt_reading` reads attempts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from tailstest.core.errors import UsageError
from tailstest.core.text import printable
from tailstest.results.run_folder import recorded_id
from tailstest.results.store.kept_texts import digest_of, in_batches, storable
from tailstest.results.store.tables import PATCHED, images, runs, scenarios

LATEST = re.compile(r"^latest(?:~(\d{1,6}))?$")


@dataclass(frozen=True)
class RunInfo:
    """A run as the store has it; times in seconds since the epoch."""

    id: int
    run_id: str
    source: str
    started: float
    ended: float
    is_finished: bool
    interrupted: bool
    exit_status: int | None
    hostname: str
    suite_commit: str
    product_commit: str
    image_id: int | None
    image: str
    image_digest: str
    folder: str
    release: str
    is_kept: bool
    problems: tuple[str, ...]

    @cached_property
    def comparable(self) -> int:
        """A number that runs share whose attempts may be held against each other: on one image.

        A run without an image has one of its own, and so has one whose guests were changed: the
        store does not know whether the same was put into them in two runs.
        """
        if self.image_id is None or self.image_digest.endswith(PATCHED):
            return -self.id
        return self.image_id

    def to_json(self) -> dict[str, Any]:
        """Return what machines may want to know."""
        return {
            "run": self.run_id,
            "started": self.started,
            "image": self.image,
            "image_sha256": self.image_digest,
            "release": self.release,
            "host": self.hostname,
            "suite_commit": self.suite_commit,
            "product_commit": self.product_commit,
            "finished": self.is_finished,
            "exit_status": self.exit_status,
        }


@dataclass(frozen=True)
class ScenarioInfo:
    """A scenario: its number, its key (id), and what it was called when planned last."""

    id: int
    key: str
    name: str
    feature: str
    location: str

    @property
    def title(self) -> str:
        """Name, or the key of one without a name."""
        return self.name or self.key


def newest_runs(connection: Connection, count: int | None = None, offset: int = 0) -> list[RunInfo]:
    """Return runs, the newest first; the order is that of `runs.position`."""
    wanted = _runs().order_by(runs.c.position.desc(), runs.c.id.desc()).offset(offset)
    return [_run(row) for row in connection.execute(wanted.limit(count) if count else wanted)]


def find_run(connection: Connection, name: str) -> RunInfo:
    """Return a run.

    Args:
        name: "latest", "latest~1" (the one before), an id or its beginning, a release, or the
            folder of the run.

    Raises:
        UsageError: no run, or several, are meant.
    """
    text = name.rstrip("/")
    latest = LATEST.match(text)
    if latest:
        found = newest_runs(connection, 1, int(latest[1] or 0))
        if found:
            return found[0]
        raise UsageError(f"the store has no run {text}: it has fewer runs")
    path = Path(text)
    for candidate in dict.fromkeys((text, recorded_id(path), path.name, path.resolve().name)):
        matching = [
            _run(row)
            for row in connection.execute(_runs().where(runs.c.run_id == storable(candidate, 190)))
        ]
        if matching:
            return matching[0]
    released = _runs().where(runs.c.release == text).order_by(runs.c.position.desc())
    row = connection.execute(released).first()
    if row is not None:
        return _run(row)
    beginning = _runs().where(runs.c.run_id.startswith(text, autoescape=True)).limit(6)
    matching = [_run(row) for row in connection.execute(beginning)] if text else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(run.run_id for run in matching)
        raise UsageError(f'"{printable(text)}" could be any of these runs: {names}')
    recent = ", ".join(run.run_id for run in newest_runs(connection, 5)) or "none"
    raise UsageError(
        f'the store has no run or release "{printable(text)}"; the newest runs are: {recent}',
        hint="`tailstest store info --runs` lists them; add one with: tailstest store add RUN",
    )


def find_scenario(connection: Connection, text: str) -> ScenarioInfo:
    """Return a scenario by its id, its name, FILE:LINE, or a part of its name or id.

    Raises:
        UsageError: none, or several, are meant; names them or near ones.
    """
    key = storable(text)
    exact = select(scenarios).where(scenarios.c.digest == digest_of(key))
    row = connection.execute(exact).first()
    if row is not None:
        return _scenario(row)
    known = [_scenario(row) for row in connection.execute(select(scenarios))]
    small = key.casefold()
    for found in (
        [one for one in known if key in (one.name, one.location)],
        [one for one in known if small in (one.name.casefold(), one.location.casefold())],
        [one for one in known if small in f"{one.name}\n{one.key}".casefold()],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            listed = "\n".join(f"  {one.key}" for one in found[:8])
            more = f"\n  ... and {len(found) - 8} more" if len(found) > 8 else ""
            raise UsageError(
                f'"{key}" could be any of {len(found)} scenarios:\n{listed}{more}',
                hint="give more of the name, or the whole id",
            )
    near = difflib.get_close_matches(key, [one.name for one in known], n=3, cutoff=0.5)
    raise UsageError(
        f'the store knows no scenario "{key}"',
        hint=f"similar: {', '.join(near)}" if near else "give a part of its name",
    )


def scenarios_by_number(connection: Connection, numbers: Sequence[int]) -> dict[int, ScenarioInfo]:
    """Return scenarios by their number."""
    found = {}
    for part in in_batches(numbers):
        for row in connection.execute(select(scenarios).where(scenarios.c.id.in_(part))):
            found[row.id] = _scenario(row)
    return found


def _runs() -> Select[Any]:
    return select(runs, images.c.name.label("image"), images.c.digest.label("digest")).select_from(
        runs.outerjoin(images, images.c.id == runs.c.image_id)
    )


def _run(row: Row[Any]) -> RunInfo:
    return RunInfo(
        id=row.id,
        run_id=row.run_id,
        source=row.source,
        started=row.started,
        ended=row.ended,
        is_finished=row.is_finished,
        interrupted=row.interrupted,
        exit_status=row.exit_status,
        hostname=row.hostname,
        suite_commit=row.suite_commit,
        product_commit=row.product_commit,
        image_id=row.image_id,
        image=row.image or "",
        image_digest=row.digest or "",
        folder=row.folder,
        release=row.release,
        is_kept=row.is_kept,
        problems=tuple(row.problems.splitlines()),
    )


def _scenario(row: Row[Any]) -> ScenarioInfo:
    return ScenarioInfo(row.id, row.key, row.name, row.feature, row.location)
