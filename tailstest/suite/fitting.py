"""Leaves out scenarios that do not fit the family of images they would run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tailstest.core.errors import UsageError
from tailstest.machine.profile import Profile
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.plan import Plan

#: Set on a step function that chooses the image: its first argument is the name, and a step
#: without an argument means the image under test.
MARK = "chooses_image"
#: Set on a step function after which steps are about the machine that its first argument names.
_TURNS = "turns_to_machine"
#: What the machine is called that each scenario has from its beginning.
FIRST = "first"


def chooses_image(step: Callable[..., None]) -> Callable[..., None]:
    """Mark a step as one that chooses the image, so that it is known before anything starts."""
    setattr(step, MARK, True)
    return step


def turns_to_machine(step: Callable[..., None]) -> Callable[..., None]:
    """Mark a step after which steps are about another machine: its first argument is the name."""
    setattr(step, _TURNS, True)
    return step


def leave_out_what_does_not_fit(
    plan: Plan, profiles: Mapping[str, Profile], under_test: str | None
) -> None:
    """Move scenarios whose image's profile says that they do not apply to the excluded ones.

    This is decided by the text of the steps, before any machine: the report then lists them with
    the reason, and checkpoints of scenarios that do fit cannot hide it.

    Args:
        under_test: what `--image` said.

    Raises:
        UsageError: nothing is left to run; names the reasons.
    """
    fitting, excluded = [], []
    for scenario in plan.scenarios:
        for image in images_named_by(scenario, plan).values():
            name = (image or under_test or "").partition(":")[0]
            reason = profiles[name].reason_against(scenario.tags) if name in profiles else ""
            if reason:
                break
        if reason:
            excluded.append((scenario, f'does not apply to "{name}": {reason}'))
        else:
            fitting.append(scenario)
    if excluded and not fitting:
        reasons = dict.fromkeys(reason for _scenario, reason in excluded)
        raise UsageError(
            "nothing to run: no selected scenario fits its image:\n" + "\n".join(reasons),
            hint="[features] skip_tags in the profile of the image says so",
        )
    plan.scenarios[:] = fitting
    plan.excluded.extend(excluded)


def images_named_by(scenario: PlannedScenario, plan: Plan) -> dict[str, str | None]:
    """Return the names of the machines that steps are about, and their images.

    The image is what steps name last for a machine; None: the one under test. At least one.
    """
    named: dict[str, str | None] = {}
    for machine, step, function in steps_by_machine(scenario, plan):
        named.setdefault(machine, None)
        if getattr(function, MARK, False):
            match: Any = plan.registry.find_match(step)
            if match is not None:
                named[machine] = str(match.arguments[0].value) if match.arguments else None
    return named or {FIRST: None}


def steps_by_machine(scenario: PlannedScenario, plan: Plan) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of the machine that each step is about, the step and its function."""
    machine = FIRST
    for step in scenario.model.all_steps:
        function = getattr(plan.definition_of(step), "func", None)
        if getattr(function, _TURNS, False):
            match: Any = plan.registry.find_match(step)
            if match is not None and match.arguments:
                machine = str(match.arguments[0].value)
        yield machine, step, function
