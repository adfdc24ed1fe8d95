"""Which scenarios cannot be trusted: they passed and failed on the same image and machine."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, select

from tailstest.core.verdict import Verdict
from tailstest.results.answers.proportion import Proportion, proportion
from tailstest.results.standing import may_be_alike
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.reading import (
    RunInfo,
    ScenarioInfo,
    newest_runs,
    scenarios_by_number,
)
from tailstest.results.store.tables import (
    CODES,
    SUSPECT_OF,
    attempt_machines,
    attempts,
    causes,
    manual_results,
)
from tailstest.results.suspect import Suspect

_PASSED = CODES[Verdict.PASSED]
_WRONG = (CODES[Verdict.FAILED], CODES[Verdict.ERRORED])


@dataclass(frozen=True)
class Flake:
    """A scenario that passed and failed on the same image, on the same kind of machine.

    Attributes:
        failed: attempts on images and kinds of machines on which it also passed.
        passed: all attempts that did.
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
class _Failures:
    """Failed attempts at one scenario that are alike: on one image, on one kind of machine."""

    failed: int = 0
    cost: float = 0.0
    last_cause: str = ""
    last_suspect: int | None = None
    last_place: int = 0


#: Failures by scenario, then by what their runs share (`RunInfo.comparable`), then by the kinds of
#: machines.
_ByScenario = dict[int, dict[int, dict[frozenset[str], _Failures]]]


def flaky_scenarios(store: Store, *, last: int) -> tuple[list[Flake], int]:
    """Return the flaky scenarios of the newest runs, the least trustworthy first.

    Attempts are held against each other that were on the same image and the same kind of machine;
    without an image's digest, or with changed guests, within one run only. Where a scenario only
    failed, that says nothing of flakes and is left out. Of what a person said of a run the last
    word counts, instead of what the machine did.

    Args:
        last: how many runs to look at.

    Returns:
        The flakes, and how many runs were looked at.
    """
    with store.reading() as connection:
        window = newest_runs(connection, last)
        mixed = _mixed(connection, window, _failures(connection, window))
        passed = _passes(connection, window, list(mixed))
        named = scenarios_by_number(connection, list(mixed))
    flakes = [_flake(named[each], mixed[each], passed[each], window) for each in mixed]
    return sorted(flakes, key=lambda flake: (-flake.rate.low, -flake.cost)), len(window)


def _failures(connection: Connection, window: list[RunInfo]) -> _ByScenario:
    """Return the failures with the cause of the newest ones."""
    found: _ByScenario = defaultdict(lambda: defaultdict(lambda: defaultdict(_Failures)))
    places = {run.id: place for place, run in enumerate(window)}
    for part in in_batches(list(places)):
        rows = connection.execute(
            select(
                attempts.c.scenario,
                attempts.c.run,
                _kind(),
                attempts.c.seconds,
                causes.c.text,
                attempts.c.suspect,
            )
            .select_from(attempts.outerjoin(causes, causes.c.id == attempts.c.cause))
            .where(attempts.c.run.in_(part), attempts.c.verdict.in_(_WRONG), _counts())
        )
        for scenario, run, kind, seconds, cause, suspect in rows:
            place = places[run]
            each = found[scenario][window[place].comparable][_machines(kind)]
            if not each.failed or place <= each.last_place:
                each.last_place, each.last_cause, each.last_suspect = place, cause or "", suspect
            each.failed += 1
            each.cost += seconds
    return found


def _mixed(
    connection: Connection, window: list[RunInfo], failures: _ByScenario
) -> dict[int, list[_Failures]]:
    """Return the failures, by scenario, beside which there is a pass that is alike.

    One query for each image: it touches only what failed on that image.
    """
    runs_of: dict[int, list[int]] = defaultdict(list)
    for run in window:
        runs_of[run.comparable].append(run.id)
    failed_on: dict[int, list[int]] = defaultdict(list)
    for scenario, of_scenario in failures.items():
        for image in of_scenario:
            failed_on[image].append(scenario)
    passed: dict[tuple[int, int], set[frozenset[str]]] = defaultdict(set)
    for image, suspects in failed_on.items():
        for runs_there in in_batches(runs_of[image]):
            for part in in_batches(suspects):
                rows = connection.execute(_passed(part, runs_there, _kind()).distinct())
                for scenario, kind in rows:
                    passed[scenario, image].add(_machines(kind))
    found: dict[int, list[_Failures]] = defaultdict(list)
    for scenario, of_scenario in failures.items():
        for image, of_image in of_scenario.items():
            found[scenario] += [
                each
                for kind, each in of_image.items()
                if any(may_be_alike(kind, other) for other in passed[scenario, image])
            ]
    return {scenario: each for scenario, each in found.items() if each}


def _passes(connection: Connection, window: list[RunInfo], flaky: list[int]) -> Counter[int]:
    """Return how often scenarios passed."""
    found: Counter[int] = Counter()
    for runs_there in in_batches([run.id for run in window]):
        for part in in_batches(flaky):
            wanted = _passed(part, runs_there, func.count()).group_by(attempts.c.scenario)
            for scenario, count in connection.execute(wanted):
                found[scenario] += count
    return found


def _passed(
    part: Sequence[int], runs_there: Sequence[int], what: ColumnElement[Any]
) -> Select[Any]:
    """Return the query for something about the attempts that passed, after their scenario."""
    return select(attempts.c.scenario, what).where(
        attempts.c.scenario.in_(part),
        attempts.c.run.in_(runs_there),
        attempts.c.verdict == _PASSED,
        _counts(),
    )


def _kind() -> ColumnElement[str | None]:
    """Return the kinds of machines of an attempt, one a line; NULL if it had none."""
    own = _same(attempt_machines) & (attempt_machines.c.number == attempts.c.number)
    # In one order, so that the database can tell whether two attempts are alike.
    machines = select(attempt_machines.c.machine).where(own).order_by(attempt_machines.c.machine)
    each = machines.correlate(attempts).subquery()
    return select(func.aggregate_strings(each.c.machine, "\n")).scalar_subquery()


def _machines(kind: str | None) -> frozenset[str]:
    return frozenset((kind or "").splitlines())


def _counts() -> ColumnElement[bool]:
    """Return the condition that no word of a person takes the place of an attempt."""
    last = select(func.max(manual_results.c.number)).where(_same(manual_results))
    said = last.correlate(attempts).scalar_subquery()
    return func.coalesce(said, attempts.c.number) == attempts.c.number


def _same(table: Table) -> ColumnElement[bool]:
    return and_(table.c.run == attempts.c.run, table.c.scenario == attempts.c.scenario)


def _flake(
    scenario: ScenarioInfo, mixed: list[_Failures], passed: int, window: list[RunInfo]
) -> Flake:
    failed = sum(each.failed for each in mixed)
    newest = min(mixed, key=lambda each: each.last_place)
    return Flake(
        scenario=scenario,
        failed=failed,
        passed=passed,
        rate=proportion(failed, failed + passed),
        cost=sum(each.cost for each in mixed),
        last_cause=newest.last_cause,
        last_run=window[newest.last_place].run_id,
        last_suspect=None if newest.last_suspect is None else SUSPECT_OF.get(newest.last_suspect),
    )
