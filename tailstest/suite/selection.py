"""Which scenarios to run: by line, by tag expression, by part of a name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from behave.tag_expression.builder import TagExpressionProtocol, make_tag_expression

from tailstest.core.errors import UsageError
from tailstest.suite.feature_reader import PlannedScenario

#: A path with a line behind it.
_WITH_LINE = re.compile(r"^(?P<file>.+\.feature):(?P<line>\d+)$")
#: Tag that takes a scenario out of every run that does not ask for it.
SKIP = "skip"
#: How the reason begins for which a policy leaves a scenario out.
NOT_CHOSEN = "not chosen"
#: Forms of behave's old tag syntax; mixing both made behave guess.
_OLD_SYNTAX = re.compile(r"(^|\s)[-~]@?\w|,")


@dataclass(frozen=True)
class Selection:
    """A selection as the user gave it.

    Attributes:
        paths: files and folders.
        lines: file to the lines that were asked for; files without lines are wanted whole.
        tags: tag expression; empty for all.
        name: part of the name, literally; empty for all.
    """

    paths: tuple[Path, ...]
    lines: Mapping[Path, tuple[int, ...]] = field(default_factory=dict)
    tags: str = ""
    name: str = ""
    expression: Any = None

    @classmethod
    def of(cls, paths: Sequence[str], tags: str = "", name: str = "") -> Selection:
        """Read what a command line says.

        Raises:
            UsageError: the tag expression is in the old syntax, or wrong.
        """
        plain: list[Path] = []
        lines: dict[Path, tuple[int, ...]] = {}
        for path in paths:
            found = _WITH_LINE.match(path)
            file = Path(found["file"]) if found else Path(path)
            plain.append(file)
            if found:
                key = file.resolve()
                lines[key] = (*lines.get(key, ()), int(found["line"]))
        return cls(tuple(plain), lines, tags, name, _expression(tags))

    def __str__(self) -> str:
        parts = [", ".join(str(path) for path in self.paths)]
        if self.tags:
            parts.append(f"tags: {self.tags}")
        if self.name:
            parts.append(f'name contains "{self.name}"')
        return "; ".join(parts)

    def reason_against(self, scenario: PlannedScenario, suite: Path) -> str:
        """Return why a scenario is not selected; "" if it is."""
        reason = self.choice_against(scenario, suite)
        if not reason and SKIP in scenario.tags and not re.search(rf"\b{SKIP}\b", self.tags):
            return f"tagged @{SKIP}"
        return reason

    def choice_against(self, scenario: PlannedScenario, suite: Path) -> str:
        """Return why the user did not ask for a scenario; "" if it was asked for."""
        lines = None
        if self.lines:  # asking the file system ten thousand times takes seconds
            lines = self.lines.get((suite / scenario.feature_file).resolve())
        if lines is not None and not any(_covers(scenario, line) for line in lines):
            return f"not at line {', '.join(map(str, lines))}"
        if self.name and self.name not in scenario.name:
            return f'the name does not contain "{self.name}"'
        if self.expression is not None and not self.expression.check(scenario.tags):
            return f"excluded by the tags: {self.tags}"
        return ""

    def nothing(self, scenarios: Sequence[PlannedScenario]) -> UsageError:
        """Return the error for a selection that matches none of some scenarios."""
        names = [scenario.name for scenario in scenarios]
        near = difflib.get_close_matches(self.name, names, n=3, cutoff=0.4) if self.name else []
        tags = sorted({tag for scenario in scenarios for tag in scenario.tags})
        hints = [f"similar names: {', '.join(near)}"] if near else []
        if self.tags:
            hints.append(f"tags that exist here: {', '.join(tags) or 'none'}")
        if self.lines:
            places = ", ".join(scenario.location for scenario in scenarios[:5])
            hints.append(f"scenarios begin at: {places}")
        if SKIP in tags:
            hints.append(f'to run what is tagged @{SKIP}: --tags "@{SKIP}"')
        return UsageError(
            f"nothing to run: of {len(scenarios)} scenarios none was selected by {self}",
            hint="; ".join(hints) or "give a folder with .feature files",
        )


def _covers(scenario: PlannedScenario, line: int) -> bool:
    """Tell whether a line means this scenario: its own line, its steps, or its outline."""
    if scenario.outline_lines is not None:
        first, last = scenario.outline_lines
        return line == scenario.line or first <= line <= last
    steps = [step.line for step in scenario.model.steps]
    return scenario.line <= line <= max(steps, default=scenario.line)


def _expression(tags: str) -> Any:
    if not tags.strip():
        return None
    if _OLD_SYNTAX.search(tags):
        raise UsageError(
            f'the tag expression "{tags}" is in the old syntax (-tag, ~tag or commas)',
            hint='use: "@a and not @b", "@a or @b", "@slow*"',
        )
    try:
        return make_tag_expression(tags, TagExpressionProtocol.V2)
    except Exception as error:
        raise UsageError(
            f'the tag expression "{tags}" is wrong: {str(error).splitlines()[0]}',
            hint='use: "@a and not @b", "@a or @b", "(@a or @b) and not @c*"',
        ) from error
