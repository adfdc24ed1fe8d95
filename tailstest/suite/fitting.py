"""Leaves out scenarios that do not fit the family of images they would run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tailstest.core.errors import UsageError
from tailstest.machine.profile import Profile
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.plan import Plan

#: Set on a step function that chooses the image: its first argument is the name, and a step
#: without an argument means the image under test.
MARK = "chooses_image"


def chooses_image(step: Callable[..., None]) -> Callable[..., None]:
    """Mark a step as one that chooses the image, so that it is known before anything starts."""
    setattr(step, MARK, True)
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
        name = (image_named_by(scenario, plan) or under_test or "").partition(":")[0]
        reason = profiles[name].reason_against(scenario.tags) if name in profiles else ""
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


def image_named_by(scenario: PlannedScenario, plan: Plan) -> str | None:
    """Return the image that the steps name last; None means the one under test."""
    named: str | None = None
    for step in scenario.model.all_steps:
        if not getattr(getattr(plan.definition_of(step), "func", None), MARK, False):
            continue
        match: Any = plan.registry.find_match(step)
        if match is not None:
            named = str(match.arguments[0].value) if match.arguments else None
    return named
