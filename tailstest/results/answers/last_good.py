"""What failed in a run, and when each of that passed last."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from tailstest.results.standing import BAD, AttemptInfo, Standing, judge
from tailstest.results.store.attempt_reading import attempts_at, attempts_of_runs
from tailstest.results.store.reading import (
    RunInfo,
    ScenarioInfo,
    find_run,
    newest_runs,
    scenarios_by_number,
)
from tailstest.results.store.tables import PATCHED, runs
from tailstest.results.suspect import Suspect

_TRIAGED = (*BAD, Standing.INCOMPLETE)
_IMAGE_OPTION = re.compile(r"--image[= ](\S+)")


@dataclass(frozen=True)
class RunImage:
    """The image of a run: its file, its name (of a profile, or of the file), its digest.

    Attributes:
        asked: what `--image` was given.
    """

    path: str = ""
    name: str = ""
    digest: str = ""
    asked: str = ""

    @property
    def is_patched(self) -> bool:
        """Whether guests were changed after they started."""
        return self.digest.endswith(PATCHED)


@dataclass(frozen=True)
class Failure:
    """A scenario that failed in a run.

    Attributes:
        last_good: the newest run before it in which it passed; None without one.
    """

    scenario: ScenarioInfo
    standing: Standing
    reason: str
    suspect: Suspect | None
    last_good: RunInfo | None


@dataclass(frozen=True)
class FailedRun:
    """A run with its failures, and the images of all runs that matter, by their numbers."""

    run: RunInfo
    failures: tuple[Failure, ...]
    images: dict[int, RunImage]


def failed_run(connection: Connection, name: str, today: datetime.date) -> FailedRun:
    """Return what failed in a run; see `find_run` for how it is named.

    What is known to fail, by tag or reference, is left out, and so is what a person did.

    Raises:
        UsageError: there is no such run.
    """
    run = find_run(connection, name)
    order = newest_runs(connection)
    older = order[next(place for place, each in enumerate(order) if each.id == run.id) + 1 :]
    attempts = attempts_of_runs(connection, [run.id])
    failed = {
        number: told
        for number, told in attempts.items()
        if judge(told, today).standing in _TRIAGED and not any(each.person for each in told)
    }
    named = scenarios_by_number(connection, list(failed))
    failures = []
    for number, told in failed.items():
        judged = judge(told, today)
        before = attempts_at(connection, number)
        good = next((each for each in older if _passed(before.get(each.id, []), each, today)), None)
        failures.append(
            Failure(named[number], judged.standing, judged.reason, judged.suspect, good)
        )
    failures.sort(key=lambda each: (each.scenario.location, each.scenario.id))
    wanted = {run.id, *(each.last_good.id for each in failures if each.last_good)}
    images = {number: _image(connection, number) for number in sorted(wanted)}
    return FailedRun(run, tuple(failures), images)


def _passed(told: list[AttemptInfo], run: RunInfo, today: datetime.date) -> bool:
    if not told or run.image_digest.endswith(PATCHED) or any(each.person for each in told):
        return False
    return judge(told, today).standing is Standing.PASSED


def _image(connection: Connection, run: int) -> RunImage:
    wanted = select(runs.c.environment, runs.c.command).where(runs.c.id == run)
    row = connection.execute(wanted).one()
    try:
        environment: Any = json.loads(row.environment)
    except ValueError:
        environment = {}  # cut off, because it was too long
    image = environment.get("image") if isinstance(environment, dict) else None
    if not isinstance(image, dict):
        return RunImage()
    asked = _IMAGE_OPTION.search(row.command)
    is_changed = any("late-patch" in str(key) for key in environment)
    return RunImage(
        path=str(image.get("path") or ""),
        name=str(image.get("name") or ""),
        digest=str(image.get("sha256") or "") + (PATCHED if is_changed else ""),
        asked=asked[1] if asked else "",
    )
