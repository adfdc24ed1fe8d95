"""Which scenarios cannot be trusted: they passed and failed on the same image."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from tailstest.core.verdict import Verdict
from tailstest.results.answers.proportion import Proportion, proportion
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.reading import ScenarioInfo, newest_runs, scenarios_by_number
from tailstest.results.store.tables import CODES, SUSPECT_OF, attempts, causes, runs
from tailstest.results.suspect import Suspect

_PASSED = CODES[Verdict.PASSED]
_WRONG = (CODES[Verdict.FAILED], CODES[Verdict.ERRORED])


@dataclass(frozen=True)
class Flake:
    """A scenario that passed and failed on the same image.

    Attributes:
        failed, passed: attempts on images on which it did both, or only passed.
        rate: of failed ones among them.
        cost: seconds of the attempts that failed for nothing.
        last_cause: why the newest of them failed.
        last_run: id of that run.
        last_suspect: whose trouble that seems to have been; None when nobody said.
    """

    scenario: ScenarioInfo
    failed: int
    passed: int
    rate: Proportion
    cost: float
    last_cause: str
    last_run: str
    last_suspect: Suspect | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "scenario": self.scenario.key,
            "name": self.scenario.name,
            "failed": self.failed,
            "passed": self.passed,
            "rate": self.rate._asdict(),
            "cost_seconds": round(self.cost, 3),
            "last_cause": self.last_cause,
            "last_run": self.last_run,
            "last_suspect": self.last_suspect.value if self.last_suspect else None,
        }


@dataclass
class _Count:
    """Attempts at one scenario on one image."""

    passed: int = 0
    failed: int = 0
    cost: float = 0.0
    last_cause: str = ""
    last_run: str = ""
    last_suspect: int | None = None
    last_position: float = 0.0


def flaky_scenarios(store: Store, *, last: int) -> tuple[list[Flake], int]:
    """Return the flaky scenarios of the newest runs, the least trustworthy first.

    Without an image's digest only attempts within one run count as being on the same image. An
    image on which a scenario only failed says nothing of flakes, and is left out.

    Args:
        last: how many runs to look at.

    Returns:
        The flakes, and how many runs were looked at.
    """
    with store.reading() as connection:
        window = [run.id for run in newest_runs(connection, last)]
        counts = _failures(connection, window)
        _add_passes(connection, window, counts)
        flaky = [
            number
            for number, images in counts.items()
            if any(each.failed and each.passed for each in images.values())
        ]
        named = scenarios_by_number(connection, flaky)
    flakes = [_flake(named[number], list(counts[number].values())) for number in flaky]
    return sorted(flakes, key=lambda flake: (-flake.rate.low, -flake.cost)), len(window)


def _image_or_run() -> Any:
    """Return what makes attempts comparable: their image, or else their run."""
    return func.coalesce(runs.c.image_id, -runs.c.id)


def _failures(connection: Connection, window: list[int]) -> dict[int, dict[int, _Count]]:
    """Return the failures by scenario and image, the cause of the newest with them."""
    found: dict[int, dict[int, _Count]] = defaultdict(lambda: defaultdict(_Count))
    for part in in_batches(window):
        rows = connection.execute(
            select(
                attempts.c.scenario,
                _image_or_run(),
                attempts.c.seconds,
                causes.c.text,
                attempts.c.suspect,
                runs.c.run_id,
                runs.c.position,
            )
            .select_from(
                attempts.join(runs, runs.c.id == attempts.c.run).outerjoin(
                    causes, causes.c.id == attempts.c.cause
                )
            )
            .where(attempts.c.run.in_(part), attempts.c.verdict.in_(_WRONG))
        )
        for scenario, image, seconds, cause, suspect, run_id, position in rows:
            count = found[scenario][image]
            count.failed += 1
            count.cost += seconds
            if position >= count.last_position:
                count.last_position, count.last_run = position, run_id
                count.last_cause, count.last_suspect = cause or "", suspect
    return found


def _add_passes(
    connection: Connection, window: list[int], counts: dict[int, dict[int, _Count]]
) -> None:
    suspects = sorted(counts)
    image = _image_or_run()
    for run_part in in_batches(window):
        for part in in_batches(suspects):
            rows = connection.execute(
                select(attempts.c.scenario, image, func.count())
                .select_from(attempts.join(runs, runs.c.id == attempts.c.run))
                .where(
                    attempts.c.scenario.in_(part),
                    attempts.c.run.in_(run_part),
                    attempts.c.verdict == _PASSED,
                )
                .group_by(attempts.c.scenario, image)
            )
            for scenario, group, passed in rows:
                counts[scenario][group].passed += int(passed)


def _flake(scenario: ScenarioInfo, images: list[_Count]) -> Flake:
    counted = [each for each in images if each.passed]
    mixed = [each for each in counted if each.failed]
    failed, passed = sum(each.failed for each in mixed), sum(each.passed for each in counted)
    newest = max(mixed, key=lambda each: each.last_position)
    return Flake(
        scenario=scenario,
        failed=failed,
        passed=passed,
        rate=proportion(failed, failed + passed),
        cost=sum(each.cost for each in mixed),
        last_cause=newest.last_cause,
        last_run=newest.last_run,
        last_suspect=None if newest.last_suspect is None else SUSPECT_OF.get(newest.last_suspect),
    )
