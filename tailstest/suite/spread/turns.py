"""In which order scenarios go to workers, and which ones wait for another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tailstest.suite.checkpoints.checkpoints import FORBID_TAG, Checkpoints
from tailstest.suite.checkpoints.keys import keys_of
from tailstest.suite.plan import Plan
from tailstest.suite.spread.durations import filled_in


@dataclass(frozen=True)
class Turn:
    """When a scenario may run.

    Attributes:
        scenario: its id.
        after: id of the scenario whose checkpoint it hopes for; None if it need not wait.
        weight: seconds from here to the end of the longest line of scenarios that wait for one
            another, this one included. The largest goes first.
    """

    scenario: str
    after: str | None
    weight: float


def turns_of(
    scenarios: Sequence[str],
    chains: Mapping[str, Sequence[str]],
    is_saved: Callable[[str], bool],
    seconds: Mapping[str, float],
) -> list[Turn]:
    """Return the turns of some scenarios, each behind the one that it waits for.

    Two scenarios with the same beginning would both go through it if they started together. So
    all but the first wait for the first of those that share most steps with them, unless a
    checkpoint of that beginning is there already. Longest line first is the rule of critical path
    scheduling (R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", 1969: at most 4/3 of
    the best possible time when nothing waits).

    Args:
        scenarios: ids in the order of the plan.
        chains: id to the keys of the leading steps; ids without checkpoints may be missing.
        is_saved: tells whether the checkpoint of a key is there.
        seconds: id to what it is expected to take; what is unknown counts as the mean.
    """
    first_with: dict[str, str] = {}
    after: dict[str, str | None] = {}
    for scenario in scenarios:
        chain = chains.get(scenario, ())
        shared = next((key for key in reversed(chain) if key in first_with), None)
        saved = next((key for key in reversed(chain) if is_saved(key)), None)
        is_better_saved = (
            shared is not None and saved is not None and chain.index(saved) >= chain.index(shared)
        )
        after[scenario] = None if shared is None or is_better_saved else first_with[shared]
        for key in chain:
            first_with.setdefault(key, scenario)
    own = filled_in(scenarios, seconds)
    weights = dict(own)
    for scenario in reversed(scenarios):
        leader = after[scenario]
        if leader is not None:
            weights[leader] = max(weights[leader], own[leader] + weights[scenario])
    return [Turn(each, after[each], weights[each]) for each in scenarios]


def turns_in(
    plan: Plan, checkpoints: Checkpoints | None, seconds: Mapping[str, float]
) -> list[Turn]:
    """Return the turns of all scenarios of a plan; see `turns_of`.

    Args:
        checkpoints: of this host; None where scenarios share no beginnings.
    """
    return turns_of(
        [scenario.id for scenario in plan.scenarios],
        checkpoints.chains if checkpoints is not None else {},
        checkpoints.is_saved if checkpoints is not None else lambda _key: False,
        expected(plan, seconds),
    )


def turns_elsewhere(plan: Plan, seconds: Mapping[str, float]) -> list[Turn]:
    """Return the turns of a plan for hosts of which nobody knows what checkpoints they have."""
    chains = {
        scenario.id: keys_of(scenario, plan, "")
        for scenario in plan.scenarios
        if FORBID_TAG not in scenario.tags and not scenario.is_manual
    }
    ids = [scenario.id for scenario in plan.scenarios]
    return turns_of(ids, chains, lambda _key: False, expected(plan, seconds))


def expected(plan: Plan, seconds: Mapping[str, float]) -> dict[str, float]:
    """Return what each scenario of a plan is expected to take, by its id.

    Of one that nobody has measured only its steps are known: each counts as a step of the others
    does, or as a second where none was measured. So the longest do not come last in a first run.

    Args:
        seconds: what some of them took before.
    """
    steps = {each.id: max(1, len(list(each.model.all_steps))) for each in plan.scenarios}
    return filled_in(list(steps), seconds, steps)
