"""A plan, listed for people and machines: in which order, how long, and why."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from tailstest.results.answers.forecast import Forecast
from tailstest.results.console import safe
from tailstest.results.wording import duration, plural
from tailstest.suite.checkpoints.keys import keys_of, leading_steps
from tailstest.suite.choosing.choice import Chosen
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.plan import Plan

_ASKED = "it was asked for"


def show_planned(
    console: Console,
    plan: Plan,
    chosen: Chosen | None,
    before: Forecast,
    *,
    with_reasons: bool,
) -> None:
    """Print each scenario in one line, what is left out with its reason, and the sum."""
    beginnings = _beginnings(plan)
    wide = max((len(each.location) for each in plan.scenarios), default=0)
    for number, each in enumerate(plan.scenarios, 1):
        line = Text(f"{number:>4}. ", "dim")
        line.append(_length(each, before).rjust(10) + "  ", "dim")
        line.append(f"{safe(each.location, 200)}".ljust(wide) + f"  {safe(each.name, 200)}")
        if each.id in beginnings:
            line.append(f"  (begins as {beginnings[each.id]})", "dim")
        if each.automation_needs:
            line.append(f"\n        to automate it: {safe(each.automation_needs, 500)}", "cyan")
        if with_reasons:
            line.append(f"\n        because {_reason(each, chosen)}", "green")
        console.print(line, soft_wrap=True)
    if with_reasons:
        for each, reason in plan.excluded:
            line = Text("  no  ", "dim").append(" " * 12)
            line.append(f"{safe(each.location, 200)}".ljust(wide) + f"  {safe(each.name, 200)}")
            console.print(line.append(f"\n        {safe(reason, 300)}", "yellow"), soft_wrap=True)
    for problem in plan.problems:
        console.print(Text(f"problem: {safe(problem, 2000)}", "bold magenta"), soft_wrap=True)
    console.print()
    for note in plan.notes:
        console.print(Text(f"note: {safe(note, 500)}", "yellow"), soft_wrap=True)
    if chosen is not None:
        console.print(Text(f"chosen: {safe(chosen.headline, 500)}", "bold"), soft_wrap=True)
    console.print(_sum(plan, before), soft_wrap=True)


def planned_json(plan: Plan, chosen: Chosen | None, before: Forecast) -> dict[str, Any]:
    """Return the plan as JSON values."""
    return {
        "selection": plan.asked,
        "chosen": chosen.headline if chosen else None,
        "notes": list(plan.notes),
        "problems": plan.problems,
        "scenarios": [
            {
                "scenario": each.id,
                "name": each.name,
                "location": each.location,
                "tags": each.tags,
                "manual": each.is_manual,
                "automation_needs": each.automation_needs,
                "seconds_before": before.seconds.get(each.id),
                "why": _reason(each, chosen),
            }
            for each in plan.scenarios
        ],
        "left_out": [
            {"scenario": each.id, "name": each.name, "location": each.location, "why": reason}
            for each, reason in plan.excluded
        ],
    }


def _reason(scenario: PlannedScenario, chosen: Chosen | None) -> str:
    return chosen.reasons.get(scenario.id, _ASKED) if chosen is not None else _ASKED


def _length(scenario: PlannedScenario, before: Forecast) -> str:
    if scenario.is_manual:
        return "by hand"
    seconds = before.seconds.get(scenario.id)
    return "new" if seconds is None else duration(seconds)


def _beginnings(plan: Plan) -> dict[str, str]:
    """Return for each scenario the number of the one whose checkpoint it may go on from."""
    first: dict[str, int] = {}
    found: dict[str, str] = {}
    for number, each in enumerate(plan.scenarios, 1):
        if each.is_manual:
            continue
        chain = keys_of(each, plan, "")
        shared = [key for key in chain if key in first]
        if shared:
            steps = len(leading_steps(each.model))
            length = "" if len(shared) == steps else f", {plural(len(shared), 'step')}"
            found[each.id] = f"{first[shared[-1]]}.{length}"
        for key in chain:
            first.setdefault(key, number)
    return found


def _sum(plan: Plan, before: Forecast) -> str:
    manual = sum(each.is_manual for each in plan.scenarios)
    parts = [plural(len(plan.scenarios), "scenario") + " would run"]
    if manual:
        parts.append(f"{manual} of them to be done by hand")
    if before.seconds:
        parts.append(f"{len(before.seconds)} took {duration(before.total)} before")
    if plan.excluded:
        parts.append(f"{len(plan.excluded)} left out")
    return ", ".join(parts) + f" ({safe(plan.selection, 300)})"
