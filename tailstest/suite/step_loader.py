"""Loading step definitions into behave, each mistake told with file and line."""

from __future__ import annotations

import string
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import parse
from behave import matchers
from behave.runner_util import load_step_modules
from behave.step_registry import AmbiguousStep, StepRegistry, registry

from tailstest.core.errors import UsageError
from tailstest.suite.parameter_types import PARAMETER_TYPES

#: Name under which the matcher below is known to behave.
MATCHER = "tailstest"

#: What an empty text leaves behind in a step.
EMPTY_TEXT = ('""', "''", "  ")


def _any_text(text: str) -> str:
    return text


_any_text.pattern = r".*?"  # type: ignore[attr-defined]  # the library's own convention


class StepMatcher(matchers.ParseMatcher):  # type: ignore[misc]
    """behave's usual matcher, in which a text may also be empty.

    An empty cell of an Examples table makes `I type "<word>"` end in two quotes; that is a text
    too, and the step decides what it means. A text without quotes may be empty between two blanks,
    but not at the end of a step: there it is more likely to have been forgotten.
    """

    NAME = MATCHER
    parser: Any
    TYPE_REGISTRY = matchers.TypeRegistry()

    def __init__(
        self, func: Any, pattern: str, step_type: str | None = None, custom_types: Any = None
    ) -> None:
        super().__init__(func, pattern, step_type, custom_types)
        types = {**self.TYPE_REGISTRY, "AnyText": _any_text}
        lenient = _untyped_as(pattern, "AnyText")
        self._lenient = parse.Parser(lenient, extra_types=types, case_sensitive=True)

    def check_match(self, step_text: str) -> Any:
        """Return the arguments if the step's text fits, else None."""
        found = super().check_match(step_text)
        if found is not None or not any(mark in step_text for mark in EMPTY_TEXT):
            return found
        strict: Any = self.parser
        self.parser = self._lenient
        try:
            return super().check_match(step_text)
        finally:
            self.parser = strict


def _untyped_as(pattern: str, kind: str) -> str:
    """Return a pattern in which fields without a type have the type `kind`."""
    parts = []
    for literal, name, form, _conversion in string.Formatter().parse(pattern):
        parts.append(literal.replace("{", "{{").replace("}", "}}"))
        if name is not None:
            parts.append(f"{{{name}:{form or kind}}}")
    return "".join(parts)


def load_steps(folders: Sequence[Path]) -> StepRegistry:
    """Load all step files of some folders, in order, replacing what was loaded before.

    Raises:
        UsageError: a file cannot be imported, or two steps have the same text; file and line.
    """
    registry.clear()
    _use_own_matcher()
    try:
        load_step_modules([str(folder) for folder in folders])
    except AmbiguousStep as error:
        where = _place(error, folders)
        both = " ".join(str(error).split())
        raise UsageError(f"{where}: two steps have the same text: {both}") from error
    except SyntaxError as error:
        raise UsageError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        where = _place(error, folders)
        raise UsageError(f"{where}: {type(error).__name__}: {error}") from error
    # Gherkin's keywords do not tell steps apart (https://cucumber.io/docs/gherkin/reference/#steps):
    # what somebody sees may be a condition here and an outcome there.
    _refuse_two_meanings()
    registry.steps["step"] += [
        definition for kind in ("given", "when", "then") for definition in registry.steps[kind]
    ]
    return registry


def _refuse_two_meanings() -> None:
    """See that no step of one keyword has the text of a step of another.

    behave compares only steps of the same keyword.
    """
    everything = [(kind, each) for kind, steps in registry.steps.items() for each in steps]
    for number, (kind, later) in enumerate(everything):
        for other_kind, earlier in everything[:number]:
            if kind == other_kind or earlier.func is later.func:
                continue
            if earlier.match(later.pattern) or later.match(earlier.pattern):
                here, there = (
                    f"{Path(each.location.filename).resolve()}:{each.location.line}"
                    for each in (later, earlier)
                )
                raise UsageError(
                    f'{here}: two steps have the same text: "{later.pattern}" and'
                    f' "{earlier.pattern}" at {there}',
                    hint="the keyword does not tell steps apart (docs/gherkin.md); reword one",
                )


def _use_own_matcher() -> None:
    factory = matchers.get_step_matcher_factory()
    factory.register_step_matcher_class(MATCHER, StepMatcher, override=True)
    StepMatcher.TYPE_REGISTRY.update(PARAMETER_TYPES)
    factory.use_default_step_matcher(MATCHER)


def _place(error: BaseException, folders: Sequence[Path]) -> str:
    """Return file:line of the innermost frame that belongs to a step file."""
    known = [folder.resolve() for folder in folders]
    place = str(folders[-1]) if folders else "steps"
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename).resolve()  # behave compiles with relative names
        if any(file.is_relative_to(folder) for folder in known):
            place = f"{file}:{frame.lineno}"
    return place
