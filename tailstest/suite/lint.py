"""Finding mistakes in features, steps and references without a machine."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.core.errors import UsageError
from tailstest.screen.library import ReferenceLibrary
from tailstest.screen.lint import lint_library
from tailstest.suite.plan import Plan, make_plan

#: Lines that a step definition may have; more means that the library lacks a method.
MOST_LINES = 5

#: Parameter whose value is the name or tag of a reference image.
REFERENCE_PARAMETER = "reference"

#: Calls that only answer: a step that drops the answer checks nothing.
ANSWERS = re.compile(r"^(look|look_text|is_\w+|has_\w+|contains|exists|read|check_match|compare)$")

#: Names of methods that raise when what they wait for or check is not so.
RAISES = re.compile(
    r"^(wait\w*|check\w*|assert\w*|see\w*|expect\w*|require\w*|click\w*|press_\w+|scroll_\w+|fail)$"
)

#: A placeholder of an outline's step.
PLACEHOLDER = re.compile(r"<([^<>\n]+)>")


@dataclass(frozen=True)
class Finding:
    """One thing that lint found: where, how bad ("error", "warning"), and what."""

    location: str
    level: str
    text: str

    def __str__(self) -> str:
        return f"{self.location}: {self.level}: {self.text}"


def lint(paths: Sequence[str]) -> list[Finding]:
    """Check features, the steps of their suite and its reference images.

    Raises:
        UsageError: nothing can be read at all, for example because a step file is broken.
    """
    plan = make_plan(paths)
    library = ReferenceLibrary.load(plan.suite.images_folders)
    root = plan.suite.root
    findings = [_from_problem(text) for text in plan.problems]
    for problem in lint_library(library):
        findings.append(Finding(_short(problem.file, root), problem.level, problem.text))
    findings += _references_used(plan, library)
    findings += _placeholders_left(plan)
    seen: set[int] = set()
    for kind, definitions in plan.registry.steps.items():
        for definition in definitions:
            if id(definition) not in seen:
                seen.add(id(definition))
                findings += lint_step(definition, kind, root)
    return findings


def lint_step(definition: Any, kind: str, root: Path) -> list[Finding]:
    """Check one step definition: docstring, length, and whether a Then can fail."""
    function = definition.func
    where = f"{_short(Path(definition.location.filename), root)}:{definition.location.line}"
    findings = []
    if not inspect.getdoc(function):
        findings.append(
            Finding(where, "error", f'the step "{definition.pattern}" needs a docstring')
        )
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return findings
    tree = ast.parse(source).body[0]
    assert isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef))
    body = _without_docstring(tree.body)
    lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
    if lines > MOST_LINES:
        text = f"has {lines} lines; more than {MOST_LINES} belong into a method of the library"
        findings.append(Finding(where, "warning", f'the step "{definition.pattern}" {text}'))
    if kind == "then":
        reason = reason_it_cannot_fail(body)
        if reason:
            text = f'the step "{definition.pattern}" cannot fail: {reason}'
            findings.append(Finding(where, "error", text))
    return findings


def reason_it_cannot_fail(body: Sequence[ast.stmt]) -> str:
    """Return why a Then step can never fail, or "".

    A step can fail when it asserts, raises, or calls a method that raises on a false outcome
    (`wait_...`, `check_...`, `see_...`). A comparison, or a call that only answers, whose result
    is dropped is named, because that is how such steps come about.
    """
    dropped = [_dropped(node) for statement in body for node in ast.walk(statement)]
    dropped = [text for text in dropped if text]
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Assert, ast.Raise)):
                return ""
            if isinstance(node, ast.Call) and RAISES.match(_called(node)):
                return ""
    if dropped:
        return f"the result of `{dropped[0]}` is dropped; put `assert` before it"
    return "nothing it calls raises when the outcome is wrong"


def _dropped(node: ast.AST) -> str:
    if not isinstance(node, ast.Expr):
        return ""
    value = node.value
    if isinstance(value, (ast.Compare, ast.BoolOp)):
        return ast.unparse(value)
    if isinstance(value, ast.Call) and ANSWERS.match(_called(value)):
        return ast.unparse(value)
    return ""


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _without_docstring(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return list(body[1:] if is_doc else body)


def _references_used(plan: Plan, library: ReferenceLibrary) -> list[Finding]:
    """Check names of references in steps, and find references that no feature uses."""
    findings = []
    used: set[str] = set()
    for scenario in plan.scenarios:
        for step in scenario.model.all_steps:
            where = f"{scenario.feature_file}:{step.line}"
            for name in _names(plan, step):
                try:
                    used |= {reference.name for reference in library.wanted(name)}
                except UsageError as error:
                    findings.append(Finding(where, "error", error.message))
    own = {folder.resolve() for folder in plan.suite.own_images}
    for reference in library.references:
        file = reference.picture_file
        is_own = any(file.resolve().is_relative_to(folder) for folder in own)
        if is_own and reference.name not in used:
            text = "no feature uses this reference image"
            findings.append(Finding(_short(file, plan.suite.root), "warning", text))
    return list(dict.fromkeys(findings))


def _placeholders_left(plan: Plan) -> list[Finding]:
    """Find `<names>` in the steps of outlines that no column of the Examples has."""
    findings = []
    for scenario in plan.scenarios:
        row = getattr(scenario.model, "_row", None)
        if scenario.outline_lines is None or row is None:
            continue
        cells = " ".join(row.cells)
        for step in scenario.model.all_steps:
            table = [cell for line in step.table or () for cell in line.cells]
            for name in PLACEHOLDER.findall(" ".join([step.name, step.text or "", *table])):
                if f"<{name}>" not in cells:
                    near = difflib.get_close_matches(name, row.headings, n=1)
                    meant = f"; did you mean <{near[0]}>?" if near else ""
                    where = f"{scenario.feature_file}:{step.line}"
                    text = f"<{name}> stays as it is: no column of the Examples has that name"
                    findings.append(Finding(where, "warning", text + meant))
    return list(dict.fromkeys(findings))


def _names(plan: Plan, step: Any) -> list[str]:
    match = plan.registry.find_match(step)
    if match is None:
        return []
    names = [str(arg.value) for arg in match.arguments if arg.name == REFERENCE_PARAMETER]
    if "picture" in step.name and step.table is not None:
        names += [row[0] for row in step.table]
    return names


def _from_problem(text: str) -> Finding:
    file, line, rest = text.split(":", 2)
    return Finding(f"{file}:{line}", "error", rest.strip())


def _short(file: Path, root: Path) -> str:
    for folder in (root, Path.cwd()):
        try:
            return file.resolve().relative_to(folder.resolve()).as_posix()
        except ValueError:
            continue
    return str(file)
