"""What may be expected of a plan, from what the store has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from tailstest.core.verdict import Verdict
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import digest_of, in_batches, storable
from tailstest.results.store.reading import newest_runs
from tailstest.results.store.tables import CODES, TOOK_TIME, attempts, scenarios

#: Runs that a forecast is made of; what is older says little about today's image and host.
RUNS = 10
_PASSED = CODES[Verdict.PASSED]


@dataclass(frozen=True)
class Forecast:
    """How long a plan may take.

    Attributes:
        seconds: id of a scenario to the mean seconds of its newest attempts that passed.
        unknown: ids of scenarios that never passed, or only by what a person said.
    """

    seconds: dict[str, float]
    unknown: tuple[str, ...]

    @property
    def total(self) -> float:
        """Seconds of all scenarios that are known."""
        return sum(self.seconds.values())


def forecast(store: Store, ids: Sequence[str]) -> Forecast:
    """Return how long scenarios may take, from the newest runs, else from the last time."""
    digests = {digest_of(storable(each)): each for each in ids}
    with store.reading() as connection:
        numbers: dict[int, str] = {}
        for part in in_batches(list(digests)):
            wanted = select(scenarios.c.id, scenarios.c.digest)
            for number, digest in connection.execute(wanted.where(scenarios.c.digest.in_(part))):
                numbers[number] = digests[digest]
        means = _recent(connection)
        seconds = {key: means[number] for number, key in numbers.items() if number in means}
        for number, key in numbers.items():
            if key not in seconds:
                last = _last_time(connection, number)
                if last is not None:
                    seconds[key] = last
    return Forecast(seconds, tuple(each for each in ids if each not in seconds))


def _recent(connection: Connection) -> dict[int, float]:
    window = [run.id for run in newest_runs(connection, RUNS)]
    mean = func.avg(attempts.c.seconds)
    wanted = (
        select(attempts.c.scenario, mean)
        .where(attempts.c.run.in_(window), attempts.c.verdict == _PASSED, TOOK_TIME)
        .group_by(attempts.c.scenario)
    )
    return {number: float(seconds) for number, seconds in connection.execute(wanted)}


def _last_time(connection: Connection, scenario: int) -> float | None:
    wanted = (
        select(attempts.c.seconds)
        .where(attempts.c.scenario == scenario, attempts.c.verdict == _PASSED, TOOK_TIME)
        .order_by(attempts.c.run.desc())
        .limit(1)
    )
    return connection.execute(wanted).scalar()
