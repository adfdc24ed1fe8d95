"""The policy of choosing: a TOML file that says what a change needs to have run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from tailstest.core.settings import Strict, read_toml, validated
from tailstest.results.gate.policy import Choice, Words


class Everything(Strict):
    """When all scenarios run.

    Attributes:
        tags: patterns of git tags.
        branches: patterns of branches.
        files: patterns of files whose change concerns all of them.
    """

    tags: Words = ("*",)
    branches: Words = ("main", "master")
    files: Words = ("environment.py", "*/environment.py", "*tailstest.toml", "*vm-templates/*")


class Topic(Strict):
    """What runs on other branches besides what the change concerns.

    Attributes:
        trusted: tags of the scenarios that are quick and never fail for nothing.
        base: branch that a change is compared with.
    """

    trusted: Words = ("trusted",)
    base: Annotated[str, Field(min_length=1)] = "main"


class Documentation(Strict):
    """Files that no machine shows: a change of these alone runs what `concern` says of them."""

    files: Words = ("*.md", "*.rst", "docs/*", "*/docs/*", "LICENSE*", "*/LICENSE*")


class Concern(Choice):
    """Scenarios that files concern.

    Attributes:
        files: patterns of files.
    """

    files: Annotated[Words, Field(min_length=1)]

    @property
    def words(self) -> str:
        """The scenarios, as they are written."""
        tags = [f"@{tag.removeprefix('@')}" for tag in self.tags]
        return ", ".join([*self.features, *tags, *self.scenarios])


class ChoicePolicy(Strict):
    """A whole policy; what is left out has the defaults above.

    Patterns are matched as a shell does, `*` also stands for `/`; files are relative to the top of
    the repository.
    """

    title: str = ""
    everything: Everything = Everything()
    topic: Topic = Topic()
    documentation: Documentation = Documentation()
    concern: tuple[Concern, ...] = ()

    @model_validator(mode="after")
    def _different(self) -> ChoicePolicy:
        seen = [(each.files, each.features, each.tags, each.scenarios) for each in self.concern]
        if len(set(seen)) < len(seen):
            raise ValueError("a concern is written twice")
        return self


def load_choice_policy(file: Path) -> ChoicePolicy:
    """Read a policy.

    Raises:
        UsageError: the file cannot be read, or a key is wrong; names both.
    """
    return validated(ChoicePolicy, read_toml(file), lambda _key: str(file))
