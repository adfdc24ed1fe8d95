"""Some runs in numbers and one word."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tailstest.results.forges.forge import State
from tailstest.results.standing import Standing, judge
from tailstest.results.store.attempt_reading import attempts_of_runs
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import RunInfo, find_run

_WRONG = (Standing.FAILED, Standing.ERRORED, Standing.FLAKY)
_OPEN = (Standing.INCOMPLETE, Standing.NOT_RUN)


@dataclass(frozen=True)
class Summary:
    """What runs that are one whole came to.

    Attributes:
        counts: of scenarios by what they stand for; those that none stands for are left out.
        seconds: that all attempts took.
    """

    runs: tuple[RunInfo, ...]
    counts: Mapping[Standing, int]
    seconds: float

    @property
    def state(self) -> State:
        """What that means: what is flaky has not passed, and nothing passed is no success."""
        if any(self.counts.get(each) for each in _WRONG) or any(run.problems for run in self.runs):
            return State.FAILURE
        is_whole = all(run.is_finished and not run.interrupted for run in self.runs)
        if any(self.counts.get(each) for each in _OPEN) or not is_whole:
            return State.ERROR
        return State.SUCCESS if self.counts.get(Standing.PASSED) else State.ERROR

    @property
    def words(self) -> str:
        """The counts in words, what matters most first."""
        order = (*_WRONG, *_OPEN, Standing.KNOWN, Standing.MANUAL, Standing.PASSED)
        shown = [f"{self.counts[each]} {each.value}" for each in order if self.counts.get(each)]
        return ", ".join(shown) or "no scenario"


def summary_of(store: Store, names: Sequence[str], today: datetime.date) -> Summary:
    """Return what runs came to.

    Args:
        names: of the runs; see `find_run`.
        today: decides which excuses have ended.

    Raises:
        UsageError: a run is not in the store.
    """
    with store.reading() as connection:
        found = {run.id: run for run in (find_run(connection, name) for name in names)}
        attempts = attempts_of_runs(connection, list(found))
    counted = Counter(judge(done, today).standing for done in attempts.values())
    seconds = sum(each.seconds for done in attempts.values() for each in done)
    return Summary(
        tuple(found.values()),
        {each: counted[each] for each in Standing if counted[each]},
        seconds,
    )
