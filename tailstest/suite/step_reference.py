"""The list of all steps, made from their definitions and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tailstest.suite.step_loader import load_steps


@dataclass(frozen=True)
class StepDescription:
    """One step definition.

    Attributes:
        keyword: "Given", "When" or "Then".
        text: its pattern.
        parameters: names of its fields.
        summary: first line of its docstring.
        subject: of the file that it stands in.
        location: file and line.
    """

    keyword: str
    text: str
    parameters: tuple[str, ...]
    summary: str
    subject: str
    location: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def describe_steps(folders: Sequence[Path]) -> list[StepDescription]:
    """Load the step files of some folders and describe every definition, file by file.

    Raises:
        UsageError: a file cannot be loaded.
    """
    registry = load_steps(folders)
    found: list[tuple[str, int, StepDescription]] = []
    seen: set[int] = set()
    for kind, definitions in registry.steps.items():
        for definition in definitions:
            if id(definition) in seen:  # it is listed for "any keyword" too
                continue
            seen.add(id(definition))
            file, line = Path(definition.location.filename), definition.location.line
            heading = (definition.func.__globals__.get("__doc__") or "").strip()
            subject = heading.splitlines()[0] if heading else file.stem
            doc = inspect.getdoc(definition.func) or ""
            described = StepDescription(
                keyword="Step" if kind == "step" else kind.capitalize(),
                text=definition.pattern,
                parameters=tuple(inspect.signature(definition.func).parameters)[1:],
                summary=doc.splitlines()[0] if doc else "",
                subject=subject,
                location=f"{file.parent.name}/{file.name}:{line}",
            )
            found.append((str(file), line, described))
    return [described for _file, _line, described in sorted(found, key=lambda each: each[:2])]


def to_markdown(steps: Sequence[StepDescription]) -> str:
    """Return the reference for docs/steps.md."""
    lines = [
        "# Step reference",
        "",
        "Made by `tailstest steps --markdown` from the step definitions; do not edit by hand.",
        "",
        "Words in braces stand for what you write: `{text}` is any text between the quotes,",
        "`{seconds:g}` a number, `{count:d}` a whole number, `{firmware:Firmware}` BIOS or UEFI,",
        "`{medium:Medium}` DVD or USB stick, `{chipset:Chipset}` PC or Q35,",
        "`{direction:Direction}` up or down, `{keys:Keys}` names of keys. The keyword is the one",
        "that fits best; every step may be used after any keyword.",
    ]
    subject = ""
    for step in steps:
        if step.subject != subject:
            subject = step.subject
            lines += ["", f"## {subject.rstrip('.')}", "", "| step | what it does |", "|---|---|"]
        lines.append(f"| {step.keyword} `{step.text}` | {step.summary} |")
    return "\n".join(lines) + "\n"


def to_text(steps: Sequence[StepDescription]) -> str:
    """Return the reference for a terminal."""
    lines: list[str] = []
    subject = ""
    for step in steps:
        if step.subject != subject:
            subject = step.subject
            lines += ["", subject]
        lines += [f"  {step.keyword} {step.text}", f"      {step.summary}"]
    return "\n".join(lines).strip()
