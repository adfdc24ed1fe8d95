"""How a run ended, whoever ran it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tailstest.core.events import Events, RunFinished
from tailstest.core.verdict import Verdict, exit_status
from tailstest.suite.plan import Plan

_GOOD = frozenset({Verdict.PASSED, Verdict.SKIPPED, Verdict.MANUAL})


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        verdicts: scenario id, broken file or place of trouble outside of scenarios, to verdict.
        interrupted: whether somebody ended it.
        trouble: those of `verdicts` that belong to no scenario and no broken file.
    """

    verdicts: Mapping[str, Verdict]
    interrupted: bool = False
    trouble: Mapping[str, Verdict] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, verdicts: Mapping[str, Verdict], *, interrupted: bool) -> RunResult:
        """Return the result of a plan; what has no verdict was not run."""
        planned = dict.fromkeys((scenario.id for scenario in plan.scenarios), Verdict.NOT_RUN)
        broken = dict.fromkeys(plan.broken_files, Verdict.ERRORED)
        trouble = {
            place: verdict
            for place, verdict in verdicts.items()
            if place not in planned and place not in broken
        }
        return cls({**planned, **broken, **verdicts}, interrupted, trouble)

    @property
    def exit_status(self) -> int:
        """A function of the verdicts alone; see `core.verdict.exit_status`."""
        return exit_status(self.verdicts.values())

    def tell(self, events: Events) -> None:
        """Publish the end of the run."""
        counts = Counter(verdict.value for verdict in self.verdicts.values())
        events.publish(
            RunFinished(
                counts=dict(counts),
                exit_status=self.exit_status,
                interrupted=self.interrupted,
                trouble={place: verdict.value for place, verdict in self.trouble.items()},
            )
        )


def is_bad(verdict: Verdict) -> bool:
    """Tell whether a scenario with this verdict ends a run that stops at the first such one."""
    return verdict not in _GOOD
