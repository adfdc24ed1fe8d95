"""Makes a plan hold what a policy chooses."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.screen.library import ReferenceLibrary
from tailstest.suite.choosing.choice import Change, Chosen, ScenarioFacts, SuiteFacts, choose
from tailstest.suite.choosing.policy import ChoicePolicy
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.fitting import image_named_by
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
    root, above = plan.suite.root.resolve(), top.resolve()
    library = ReferenceLibrary.load(plan.suite.images_folders)
    by_word: dict[str, set[str]] = {}
    for reference in library.references:
        for word in (reference.name, *reference.tags):
            by_word.setdefault(word, set()).add(reference.name)
    definitions = [each for kind in plan.registry.steps.values() for each in kind]
    wanted = {path.resolve() for path in plan.selection.paths}
    return SuiteFacts(
        scenarios=tuple(_facts(each, plan, above, by_word, under_test) for each in plan.scenarios),
        others=tuple(_named(each) for each, _reason in plan.excluded),
        step_files=frozenset(_files(definitions, above)),
        root="" if root == above else _below(root, above),
        is_whole=bool({root, root / "features"} & wanted),
    )


def _named(scenario: PlannedScenario) -> ScenarioFacts:
    return ScenarioFacts(
        id=scenario.id,
        name=scenario.name,
        location=scenario.location,
        feature="",
        place=scenario.feature_file,
        tags=frozenset(scenario.tags),
    )


def _facts(
    scenario: PlannedScenario,
    plan: Plan,
    top: Path,
    by_word: dict[str, set[str]],
    under_test: str | None,
) -> ScenarioFacts:
    steps = list(scenario.model.all_steps)
    words = [word for step in steps for word in _words(step)]
    image = image_named_by(scenario, plan) or under_test or ""
    file = (plan.suite.root / scenario.feature_file).resolve()
    return ScenarioFacts(
        id=scenario.id,
        name=scenario.name,
        location=scenario.location,
        feature=_below(file, top),
        place=scenario.feature_file,
        tags=frozenset(scenario.tags),
        step_files=frozenset(_files((plan.definition_of(step) for step in steps), top)),
        references=frozenset(name for word in words for name in by_word.get(word, ())),
        profiles=frozenset({"" if "/" in image else image.partition(":")[0]}),
    )


def _words(step: Any) -> Iterable[str]:
    yield from _QUOTED.findall(step.name)
    if step.table is not None:
        for row in step.table:
            yield from (str(cell) for cell in row.cells)


def _files(definitions: Iterable[Any], top: Path) -> Iterable[str]:
    for definition in definitions:
        code = getattr(inspect.unwrap(definition.func), "__code__", None) if definition else None
        if code is not None:
            yield _below(Path(code.co_filename).resolve(), top)


def _below(path: Path, top: Path) -> str:
    """Return a path relative to the top; one elsewhere stays as it is and never changes."""
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else path.as_posix()
