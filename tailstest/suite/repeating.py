"""Whether a scenario is run once more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tailstest.core.verdict import Verdict

#: Tag of scenarios that are never retried: what they show once is meant.
NO_RETRY_TAG = "no-retry"
#: Attempts of `--until-failure` when nobody says how many.
PATIENCE = 1000
#: For which causes something is retried, by name. A mistake in the test does not go away by itself.
RETRIED = {
    "any": frozenset({Verdict.FAILED, Verdict.INCOMPLETE}),
    "product": frozenset({Verdict.FAILED}),
    "infrastructure": frozenset({Verdict.INCOMPLETE}),
}
_NEVER_AGAIN = {Verdict.SKIPPED, Verdict.MANUAL, Verdict.NOT_RUN}


@dataclass(frozen=True)
class Repeating:
    """What the user wants to see of each scenario.

    Attributes:
        times: attempts at each scenario, however they end.
        retries: further attempts while none of these passes.
        retried: verdicts after which there may be a further attempt.
        until_failure: end at the first attempt that does not pass; `times` is the most.
    """

    times: int = 1
    retries: int = 0
    until_failure: bool = False
    retried: frozenset[Verdict] = RETRIED["any"]

    @property
    def proves(self) -> bool:
        """Whether it is to be seen how reliable scenarios are."""
        return self.times > 1 or self.until_failure

    def goes_on(self, verdicts: Sequence[Verdict], tags: Iterable[str]) -> bool:
        """Tell whether a scenario is run again.

        Args:
            verdicts: of all attempts so far, at least one.
            tags: of the scenario.
        """
        last, done = verdicts[-1], len(verdicts)
        if last in _NEVER_AGAIN:
            return False
        if self.until_failure:
            return last is Verdict.PASSED and done < (self.times if self.times > 1 else PATIENCE)
        if done < self.times:
            return True
        may_retry = last in self.retried and NO_RETRY_TAG not in tags
        return may_retry and done < self.times + self.retries


#: As it is without any wish.
ONCE = Repeating()
