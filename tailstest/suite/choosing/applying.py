"""Makes a plan hold what a policy chooses."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tailstest.screen.library import ReferenceLibrary
from tailstest.suite.choosing.choice import Change, Chosen, ScenarioFacts, SuiteFacts, choose
from tailstest.suite.choosing.policy import ChoicePolicy
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.fitting import images_named_by
from tailstest.suite.plan import Plan
from tailstest.suite.selection import NOT_CHOSEN

_QUOTED = re.compile(r'"([^"]*)"')


@dataclass(frozen=True)
class Choosing:
    """What the choice is made from; each process of a run has the same.

    Attributes:
        top: folder that changed files are relative to.
        settled: what was chosen already, for processes that see the suite in another place.
    """

    policy: ChoicePolicy
    change: Change
    top: Path
    settled: Chosen | None = None


def keep_chosen(plan: Plan, choosing: Choosing | None, under_test: str | None) -> Chosen | None:
    """Leave out of a plan what is not chosen; each scenario has its reason.

    Args:
        choosing: None leaves all of it.
        under_test: what `--image` said.

    Raises:
        UsageError: the policy does not fit the suite.
    """
    if choosing is None:
        return None
    chosen = choosing.settled
    if chosen is None:
        facts = suite_facts(plan, choosing.top, under_test)
        chosen = choose(choosing.change, choosing.policy, facts)
    plan.excluded.extend(
        (each, f"{NOT_CHOSEN}: {chosen.against.get(each.id, 'by the policy')}")
        for each in plan.scenarios
        if each.id not in chosen.reasons
    )
    plan.scenarios[:] = [each for each in plan.scenarios if each.id in chosen.reasons]
    plan.chosen = chosen.headline
    plan.notes += chosen.notes
    return chosen


def suite_facts(plan: Plan, top: Path, under_test: str | None) -> SuiteFacts:
    """Return what the scenarios of a plan are made of."""
    return _Reader(plan, top.resolve(), under_test).facts()


class _Reader:
    """Reads what scenarios are made of; where a file lies is asked once, not per step."""

    def __init__(self, plan: Plan, top: Path, under_test: str | None) -> None:
        self._plan = plan
        self._top = top
        self._under_test = under_test
        self._root = plan.suite.root.resolve()
        self._known: dict[str, str] = {}
        self._references: dict[str, set[str]] = {}
        for reference in ReferenceLibrary.load(plan.suite.images_folders).references:
            for word in (reference.name, *reference.tags):
                self._references.setdefault(word, set()).add(reference.name)

    def facts(self) -> SuiteFacts:
        """Return all of it."""
        plan = self._plan
        definitions = [each for kind in plan.registry.steps.values() for each in kind]
        wanted = {path.resolve() for path in plan.selection.paths}
        return SuiteFacts(
            scenarios=tuple(self._scenario(each) for each in plan.scenarios),
            others=tuple(_named(each) for each, _reason in plan.excluded),
            step_files=frozenset(self._files(definitions)),
            root="" if self._root == self._top else self._below(str(self._root)),
            is_whole=bool({self._root, self._root / "features"} & wanted),
        )

    def _scenario(self, scenario: PlannedScenario) -> ScenarioFacts:
        steps = list(scenario.model.all_steps)
        words = [word for step in steps for word in _words(step)]
        images = [
            image or self._under_test or ""
            for image in images_named_by(scenario, self._plan).values()
        ]
        definitions = (self._plan.definition_of(step) for step in steps)
        return replace(
            _named(scenario),
            feature=self._below(str(self._root / scenario.feature_file)),
            step_files=frozenset(self._files(definitions)),
            references=frozenset(name for word in words for name in self._references.get(word, ())),
            profiles=frozenset("" if "/" in image else image.partition(":")[0] for image in images),
        )

    def _files(self, definitions: Iterable[Any]) -> Iterable[str]:
        for definition in definitions:
            if definition is not None:
                code = getattr(inspect.unwrap(definition.func), "__code__", None)
                if code is not None:
                    yield self._below(code.co_filename)

    def _below(self, file: str) -> str:
        """Return a path relative to the top; one elsewhere stays as it is and never changes."""
        if file not in self._known:
            path = Path(file).resolve()
            is_below = path.is_relative_to(self._top)
            self._known[file] = (path.relative_to(self._top) if is_below else path).as_posix()
        return self._known[file]


def _named(scenario: PlannedScenario) -> ScenarioFacts:
    return ScenarioFacts(
        id=scenario.id,
        name=scenario.name,
        location=scenario.location,
        feature="",
        place=scenario.feature_file,
        tags=frozenset(scenario.tags),
    )


def _words(step: Any) -> Iterable[str]:
    yield from _QUOTED.findall(step.name)
    if step.table is not None:
        for row in step.table:
            yield from (str(cell) for cell in row.cells)
