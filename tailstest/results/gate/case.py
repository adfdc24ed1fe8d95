"""What a gate judges: runs of one image, with what the baseline said about the same scenarios."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import Connection

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.event_fields import file_of
from tailstest.results.gate.policy import Choice, Policy, plain_tags
from tailstest.results.known import KnownBug
from tailstest.results.standing import AttemptInfo, Judged, Standing, judge
from tailstest.results.store.attempt_reading import attempts_of_runs
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import (
    RunInfo,
    ScenarioInfo,
    find_run,
    newest_runs,
    scenarios_by_number,
)

MANUAL = "manual"
#: Runs that are looked through for the last release.
_SEARCHED = 10_000


@dataclass(frozen=True)
class Item:
    """A scenario under judgement.

    Attributes:
        before: what the baseline said; None when it did not have the scenario.
        excuses: what the policy says of it.
    """

    scenario: ScenarioInfo
    attempts: tuple[AttemptInfo, ...]
    judged: Judged
    before: Judged | None
    excuses: tuple[KnownBug, ...] = ()

    @property
    def standing(self) -> Standing:
        """What all attempts at it mean."""
        return self.judged.standing

    @property
    def tags(self) -> frozenset[str]:
        """Tags, of all attempts."""
        return frozenset(tag for each in self.attempts for tag in each.tags)

    @property
    def feature_file(self) -> str:
        """The file that it stands in."""
        return file_of(self.scenario.location)

    @property
    def passed_on(self) -> frozenset[str]:
        """Kinds of machines on which it passed."""
        if self.standing is not Standing.PASSED:
            return frozenset()
        passed = [each for each in self.attempts if each.verdict is Verdict.PASSED]
        return frozenset(machine for each in passed for machine in each.machines)

    def has_tag(self, tags: tuple[str, ...]) -> bool:
        """Tell whether it has one of some tags, written with or without the at sign."""
        return bool(self.tags & plain_tags(tags))


@dataclass(frozen=True)
class Case:
    """All that the rules look at.

    Attributes:
        dropped: scenarios that the baseline had and the runs do not, with their tags.
        chosen: index of a choice in the policy (by its identity) to the scenarios it names.
    """

    policy: Policy
    runs: tuple[RunInfo, ...]
    baseline: RunInfo | None
    items: tuple[Item, ...]
    dropped: tuple[tuple[ScenarioInfo, frozenset[str]], ...]
    today: datetime.date
    named: Mapping[str, Item]

    @property
    def baseline_name(self) -> str:
        """What to call the baseline; empty without one."""
        if self.baseline is None:
            return ""
        named = self.baseline.release
        return f"release {named}" if named else self.baseline.run_id

    def choose(self, choice: Choice) -> list[Item]:
        """Return the scenarios that a choice of the policy means."""
        wanted = {self.named[text].scenario.id for text in choice.scenarios}
        return [
            item
            for item in self.items
            if item.scenario.id in wanted
            or (choice.tags and item.has_tag(choice.tags))
            or any(fnmatchcase(item.feature_file, pattern) for pattern in choice.features)
        ]


def gather(store: Store, policy: Policy, names: tuple[str, ...], today: datetime.date) -> Case:
    """Read from the store what a policy has to be judged on.

    Args:
        names: of the runs; see `find_run`.

    Raises:
        UsageError: a run, the baseline or a scenario that the policy names does not exist.
    """
    with store.reading() as connection:
        found = {run.id: run for run in (find_run(connection, name) for name in names)}
        runs = sorted(found.values(), key=lambda run: newest_first_key(run))
        attempts = attempts_of_runs(connection, [run.id for run in runs])
        baseline = _baseline(connection, policy, runs)
        before = attempts_of_runs(connection, [baseline.id]) if baseline else {}
        known = scenarios_by_number(connection, list({**attempts, **before}))
    by_name = _by_name([known[number] for number in attempts])
    excuses: dict[int, list[KnownBug]] = {}
    for excuse in policy.excuse:
        number = _resolved(excuse.scenario, by_name, "excuse").id
        bug = KnownBug(excuse.bug, excuse.until, f"excuse of {excuse.bug}")
        excuses.setdefault(number, []).append(bug)
    items = {
        number: Item(
            scenario=known[number],
            attempts=tuple(done),
            judged=judge(done, today, excuses=excuses.get(number, ())),
            before=judge(before[number], today) if number in before else None,
            excuses=tuple(excuses.get(number, ())),
        )
        for number, done in attempts.items()
    }
    named = {
        text: items[_resolved(text, by_name, kind).id]
        for kind, choices in (("coverage", policy.coverage), ("requirement", policy.requirement))
        for choice in choices
        for text in choice.scenarios
    }
    dropped = tuple(
        (known[number], frozenset(tag for each in done for tag in each.tags))
        for number, done in before.items()
        if number not in attempts
    )
    ordered = sorted(items.values(), key=lambda item: (item.feature_file, item.scenario.id))
    return Case(policy, tuple(runs), baseline, tuple(ordered), dropped, today, named)


def newest_first_key(run: RunInfo) -> int:
    """Return what puts runs in the order in which the store got them."""
    return run.id


def _baseline(connection: Connection, policy: Policy, runs: list[RunInfo]) -> RunInfo | None:
    wanted = policy.baseline.run or policy.baseline.release
    if wanted:
        found = find_run(connection, wanted)
        if policy.baseline.release and found.release != policy.baseline.release:
            raise UsageError(
                f'no run is marked as release "{policy.baseline.release}"',
                hint=f"say which one was: tailstest store mark RUN --release {wanted}",
            )
        return found
    own = {run.id for run in runs}
    everything = newest_runs(connection, _SEARCHED)
    place = max(index for index, run in enumerate(everything) if run.id in own)
    return next((run for run in everything[place + 1 :] if run.release), None)


def _by_name(scenarios: list[ScenarioInfo]) -> dict[str, list[ScenarioInfo]]:
    found: dict[str, list[ScenarioInfo]] = {}
    for each in scenarios:
        for text in dict.fromkeys((each.key, each.name, each.location)):
            found.setdefault(text, []).append(each)
    return found


def _resolved(text: str, by_name: Mapping[str, list[ScenarioInfo]], where: str) -> ScenarioInfo:
    found = by_name.get(text, [])
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.key for each in found[:5])
        raise UsageError(
            f'the policy\'s {where} names the scenario "{text}", which could be any of: {ids}',
            hint="name it by its whole id",
        )
    near = difflib.get_close_matches(text, list(by_name), n=3, cutoff=0.5)
    raise UsageError(
        f'the policy\'s {where} names the scenario "{text}", which is in none of the runs',
        hint=f"similar: {', '.join(near)}" if near else "remove what is no longer there",
    )
