"""The policy of a gate: a TOML file that says what an image must have shown."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from tailstest.core.settings import Strict, read_toml, validated

Words = tuple[Annotated[str, Field(min_length=1)], ...]


class Baseline(Strict):
    """What the runs are compared with.

    Attributes:
        release: a release that a run was marked as; by default the newest one before the runs.
        run: a run, instead.
        required: whether it blocks when there is none.
    """

    release: str = ""
    run: str = ""
    required: bool = True

    @model_validator(mode="after")
    def _one(self) -> Baseline:
        if self.release and self.run:
            raise ValueError("give release or run, not both")
        return self


class Planned(Strict):
    """Which scenarios of the baseline the runs may lack.

    Attributes:
        complete: whether it blocks when they lack one; not where runs are parts of the suite on
            purpose.
        removed: patterns of ids of scenarios that the suite no longer has, for a good reason.
    """

    complete: bool = True
    removed: Words = ()


class Failures(Strict):
    """Which failures block.

    Attributes:
        blocking_tags: scenarios with one of them must have passed, whatever the baseline did.
        harmless_tags: a new failure of scenarios with one of them does not block.
    """

    blocking_tags: Words = ("release_blocking",)
    harmless_tags: Words = ("not_release_blocker",)


class Manual(Strict):
    """What persons have to do: whether a scenario that nobody did blocks."""

    must_be_done: bool = True


class Flakes(Strict):
    """How many scenarios may pass and fail on the same image."""

    budget: Annotated[int, Field(ge=0)] = 0


class Excuse(Strict):
    """A failure, or a missing result, that does not block until a day.

    Attributes:
        scenario: its id, its name, or FILE:LINE.
        bug: number or address in a tracker.
        until: last day.
    """

    scenario: Annotated[str, Field(min_length=1)]
    bug: Annotated[str, Field(min_length=1)]
    until: datetime.date


class Choice(Strict):
    """Some scenarios.

    Attributes:
        features: patterns of feature files ("features/boot/*.feature").
        tags: a scenario with one of them is meant.
        scenarios: ids, names, or FILE:LINE.
    """

    features: Words = ()
    tags: Words = ()
    scenarios: Words = ()

    @model_validator(mode="after")
    def _some(self) -> Choice:
        if not (self.features or self.tags or self.scenarios):
            raise ValueError("give features, tags or scenarios")
        return self


class Coverage(Choice):
    """Features that must have passed on each of some machines, named as in "uefi usb"."""

    machines: Annotated[Words, Field(min_length=1)]


class Requirement(Choice):
    """Something the image must do, and the scenarios that show it."""

    id: Annotated[str, Field(min_length=1)]
    text: str = ""


class Policy(Strict):
    """A whole policy; what is left out has the defaults above."""

    title: str = ""
    baseline: Baseline = Baseline()
    planned: Planned = Planned()
    failures: Failures = Failures()
    manual: Manual = Manual()
    flakes: Flakes = Flakes()
    excuse: tuple[Excuse, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    requirement: tuple[Requirement, ...] = ()

    @model_validator(mode="after")
    def _different(self) -> Policy:
        names = [each.id for each in self.requirement]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"requirements of the same id: {', '.join(twice)}")
        return self


def plain_tags(tags: Words) -> frozenset[str]:
    """Return tags as scenarios have them; a policy may write them with the at sign."""
    return frozenset(tag.removeprefix("@") for tag in tags)


def load_policy(file: Path) -> Policy:
    """Read a policy.

    Raises:
        UsageError: the file cannot be read, or a key is wrong; names both.
    """
    return validated(Policy, read_toml(file), lambda _key: str(file))
