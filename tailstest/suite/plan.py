"""What a run will do: known before any machine starts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from behave.step_registry import StepRegistry

from tailstest.core.errors import UsageError
from tailstest.core.events import PlanMade
from tailstest.results.merging import OTHER_SHARD
from tailstest.suite.feature_reader import (
    FeatureSet,
    PlannedScenario,
    feature_files,
    read_features,
)
from tailstest.suite.selection import NOT_CHOSEN, Selection
from tailstest.suite.step_loader import load_steps
from tailstest.suite.suite_folder import SuiteFolder


@dataclass(frozen=True)
class UndefinedStep:
    """A step that no definition fits.

    Attributes:
        location: file and line.
        text: keyword and text; "" stands for a scenario without any step.
        similar: texts of definitions that come close.
        empty: which columns of an outline's row are empty, which may be the reason.
    """

    location: str
    text: str
    similar: tuple[str, ...]
    empty: str = ""

    def __str__(self) -> str:
        if not self.text:
            return f"{self.location}: the scenario has no steps, so it would check nothing"
        near = f"; similar: {' | '.join(self.similar)}" if self.similar else ""
        return f'{self.location}: no step is defined for "{self.text}"{self.empty}{near}'


@dataclass
class Plan:
    """Selected scenarios, excluded ones with reasons, and everything that is wrong.

    Attributes:
        undefined: scenario id to its undefined steps; these scenarios are errors and do not run.
        registry: the step definitions.
        chosen: why these and no others, where a policy chose them.
        notes: what somebody should look at, about that choice.
    """

    suite: SuiteFolder
    selection: Selection
    registry: StepRegistry
    scenarios: list[PlannedScenario] = field(default_factory=list)
    excluded: list[tuple[PlannedScenario, str]] = field(default_factory=list)
    broken_files: list[str] = field(default_factory=list)
    undefined: dict[str, list[UndefinedStep]] = field(default_factory=dict)
    chosen: str = ""
    notes: list[str] = field(default_factory=list)

    _definitions: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    def definition_of(self, step: Any) -> Any:
        """Return the definition that a step has, None without one.

        The same words are looked up once: trying every pattern on every step of ten thousand
        scenarios took most of the time of planning them.
        """
        words = (step.step_type, step.name)
        if words not in self._definitions:
            self._definitions[words] = self.registry.find_step_definition(step)
        return self._definitions[words]

    @property
    def problems(self) -> list[str]:
        """Everything wrong, each beginning with file and line."""
        steps = {str(step): None for found in self.undefined.values() for step in found}
        return [*self.broken_files, *steps]

    @property
    def asked(self) -> str:
        """The selection in words, and what a policy made of it."""
        return f"{self.selection}; {self.chosen}" if self.chosen else str(self.selection)

    def event(self) -> PlanMade:
        """Return the plan as an event."""
        return PlanMade(
            scenarios=[_as_json(scenario) for scenario in self.scenarios],
            excluded=[
                {**_as_json(each), "reason": reason, "by": self._who_left_out(each, reason)}
                for each, reason in self.excluded
            ],
            problems=self.problems,
            selection=self.asked,
        )

    def _who_left_out(self, scenario: PlannedScenario, reason: str) -> str:
        """Return "choice" if this run was not asked for the scenario, "suite" if it cannot be."""
        is_elsewhere = reason.startswith((OTHER_SHARD, NOT_CHOSEN))
        if is_elsewhere or self.selection.choice_against(scenario, self.suite.root):
            return "choice"
        return "suite"

    def to_text(self) -> str:
        """Return the plan for `--dry-run`: each scenario, each step and its definition."""
        lines = []
        for scenario in self.scenarios:
            lines.append(f"{scenario.location}  {scenario.name}")
            if scenario.is_manual:
                lines.append("    to be done by a person")
                continue
            for step in scenario.model.all_steps:
                match = self.definition_of(step)
                place = f"{match.location}" if match else "UNDEFINED"
                lines.append(f"    {step.keyword} {step.name}  # {place}")
        lines += [f"problem: {problem}" for problem in self.problems]
        count, left = len(self.scenarios), len(self.excluded)
        lines.append(f"\n{count} scenarios would run, {left} are excluded ({self.asked})")
        return "\n".join(lines)


def make_plan(paths: Sequence[str], *, tags: str = "", name: str = "") -> Plan:
    """Read features and steps, select, and find undefined steps.

    Args:
        paths: files, folders, or file:line.
        tags: tag expression.
        name: part of the names wanted, literally.

    Raises:
        UsageError: a path, the tag expression or a step file is wrong, or nothing was selected.
    """
    selection = Selection.of(paths, tags, name)
    suite = SuiteFolder.of(selection.paths)
    files = feature_files(selection.paths)
    read = read_features(files, suite.root)
    plan = Plan(suite, selection, load_steps(suite.step_folders), broken_files=read.problems)
    _select(plan, read)
    texts = [definition.pattern for kind in plan.registry.steps.values() for definition in kind]
    for scenario in plan.scenarios:
        if scenario.is_manual:
            continue  # written for a person, in whatever words
        undefined = [
            _undefined(step, scenario, texts)
            for step in scenario.model.all_steps
            if plan.definition_of(step) is None
        ]
        if not list(scenario.model.all_steps):
            undefined.append(UndefinedStep(scenario.location, "", ()))
        if undefined:
            plan.undefined[scenario.id] = undefined
    return plan


def _select(plan: Plan, read: FeatureSet) -> None:
    for scenario in read.scenarios:
        reason = plan.selection.reason_against(scenario, plan.suite.root)
        if reason:
            plan.excluded.append((scenario, reason))
        else:
            plan.scenarios.append(scenario)
    if not plan.scenarios:
        if not read.scenarios and read.problems:
            raise UsageError("nothing can be run:\n" + "\n".join(read.problems))
        raise plan.selection.nothing(read.scenarios)


def _undefined(step: Any, scenario: PlannedScenario, texts: list[str]) -> UndefinedStep:
    similar = difflib.get_close_matches(step.name, texts, n=2, cutoff=0.5)
    row = getattr(scenario.model, "_row", None)
    pairs = zip(row.headings, row.cells, strict=False) if row else ()
    columns = ", ".join(f"<{heading}>" for heading, cell in pairs if not cell)
    return UndefinedStep(
        f"{scenario.feature_file}:{step.line}",
        f"{step.keyword} {step.name}",
        tuple(similar),
        f" ({columns} is empty in the row at line {scenario.line})" if columns else "",
    )


def _as_json(scenario: PlannedScenario) -> dict[str, str]:
    return {
        "id": scenario.id,
        "name": scenario.name,
        "feature": scenario.feature_name,
        "location": scenario.location,
        "tags": " ".join(scenario.tags),
    }
