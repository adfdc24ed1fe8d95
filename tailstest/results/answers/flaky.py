"""Which scenarios cannot be trusted: they passed and failed on the same image."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, select

from tailstest.core.verdict import Verdict
from tailstest.results.answers.proportion import Proportion, proportion
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.reading import ScenarioInfo, newest_runs, scenarios_by_number
from tailstest.results.store.tables import CODES, attempts, causes, runs

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
    """

    scenario: ScenarioInfo
    failed: int
    passed: int
    rate: Proportion
    cost: float
    last_cause: str
    last_run: str

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
        }


@dataclass
class _Count:
    passed: int = 0
    failed: int = 0
    cost: float = 0.0


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
        suspects = _failed_once(connection, window)
        groups = _by_image(connection, window, suspects)
        mixed = {
            scenario: [image for image, each in by_image.items() if each.failed and each.passed]
            for scenario, by_image in groups.items()
        }
        flaky = [scenario for scenario, on in mixed.items() if on]
        named = scenarios_by_number(connection, flaky)
        flakes = [
            _flake(connection, named[each], groups[each], mixed[each], window) for each in flaky
        ]
    return sorted(flakes, key=lambda flake: (-flake.rate.low, -flake.cost)), len(window)


def _failed_once(connection: Connection, window: list[int]) -> list[int]:
    found: set[int] = set()
    for part in in_batches(window):
        wanted = (
            select(attempts.c.scenario)
            .distinct()
            .where(attempts.c.run.in_(part), attempts.c.verdict.in_(_WRONG))
        )
        found.update(connection.execute(wanted).scalars())
    return sorted(found)


def _group_of_run() -> Any:
    """Return what makes attempts comparable: their image, or else their run."""
    return func.coalesce(runs.c.image_id, -runs.c.id)


def _by_image(
    connection: Connection, window: list[int], suspects: list[int]
) -> dict[int, dict[int, _Count]]:
    groups: dict[int, dict[int, _Count]] = defaultdict(lambda: defaultdict(_Count))
    image = _group_of_run()
    failed = attempts.c.verdict.in_(_WRONG)
    for run_part in in_batches(window):
        for part in in_batches(suspects):
            rows = connection.execute(
                select(
                    attempts.c.scenario,
                    image,
                    func.sum(case((attempts.c.verdict == _PASSED, 1), else_=0)),
                    func.sum(case((failed, 1), else_=0)),
                    func.sum(case((failed, attempts.c.seconds), else_=0.0)),
                )
                .select_from(attempts.join(runs, runs.c.id == attempts.c.run))
                .where(attempts.c.scenario.in_(part), attempts.c.run.in_(run_part))
                .group_by(attempts.c.scenario, image)
            )
            for scenario, group, passed, wrong, cost in rows:
                count = groups[scenario][group]
                count.passed += int(passed)
                count.failed += int(wrong)
                count.cost += float(cost)
    return groups


def _flake(
    connection: Connection,
    scenario: ScenarioInfo,
    by_image: dict[int, _Count],
    mixed: list[int],
    window: list[int],
) -> Flake:
    counted = [each for each in by_image.values() if each.passed]
    failed, passed = sum(each.failed for each in counted), sum(each.passed for each in counted)
    last = connection.execute(
        select(causes.c.text, runs.c.run_id)
        .select_from(
            attempts.join(runs, runs.c.id == attempts.c.run).outerjoin(
                causes, causes.c.id == attempts.c.cause
            )
        )
        .where(
            attempts.c.scenario == scenario.id,
            attempts.c.verdict.in_(_WRONG),
            runs.c.id.in_(window),
            _group_of_run().in_(mixed),
        )
        .order_by(runs.c.position.desc(), attempts.c.number.desc())
        .limit(1)
    ).one()
    return Flake(
        scenario=scenario,
        failed=failed,
        passed=passed,
        rate=proportion(failed, failed + passed),
        cost=sum(by_image[image].cost for image in mixed),
        last_cause=last.text or "",
        last_run=last.run_id,
    )
