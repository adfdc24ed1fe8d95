"""Which node of the tree is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tailstest.core.errors import UsageError
from tailstest.core.text import printable, shortened
from tailstest.guest.accessibility.roles import roles_of


@dataclass(frozen=True)
class Query:
    """A description of nodes; everything that is given must fit. Texts are compared exactly.

    Attributes:
        name: the accessible name, for a button or a label what stands on it.
        any_of_names: one of these is the name (translations).
        name_regex: Python's regular expression that is found somewhere in the name.
        role: "push button", or a plain word like "button", "entry", "window"; see `roles`.
        description: the accessible description.
        label: the text of the label that belongs to it; a colon at the end does not count.
        app: the name of the application, as `AccessibilityTree.applications` gives it.
        window: the title of the window that it is in, or a part of the title.
        showing_only: leave out what is not on the screen.
        index: which one, if several fit, in the order of the tree; the first is 0.
    """

    name: str | None = None
    role: str | None = None
    any_of_names: tuple[str, ...] = ()
    name_regex: str | None = None
    description: str | None = None
    label: str | None = None
    app: str | None = None
    window: str | None = None
    showing_only: bool = True
    index: int = 0

    def __post_init__(self) -> None:
        if self.role is not None:
            roles_of(self.role)
        if self.window is not None and not self.window:
            raise UsageError(
                "a window without a title could be any window",
                hint="is a cell of the examples empty? Write a part of the title",
            )
        if self.index < 0:
            raise UsageError(f"{self}: the index counts from 0 on")
        if self.name is not None and self.any_of_names:
            raise UsageError(f"{self}: give a name or several names, not both")
        try:
            re.compile(self.name_regex or "")
        except re.error as error:
            raise UsageError(
                f"{self}: {self.name_regex!r} is not a regular expression: {error}"
            ) from None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of which one must fit; empty if any will do."""
        return self.any_of_names if self.name is None else (self.name,)

    @property
    def kind(self) -> str:
        """What it is about, in words: the role, or "node"."""
        return self.role or "node"

    def __str__(self) -> str:
        words = [self.kind]
        if self.names:
            words.append(" or ".join(quoted(name) for name in self.names))
        if self.name_regex is not None:
            words.append(f"with a name like /{shortened(printable(self.name_regex), 200)}/")
        if self.label is not None:
            words.append(f"labelled {quoted(self.label)}")
        if self.description is not None:
            words.append(f"described as {quoted(self.description)}")
        if self.app is not None:
            words.append(f"of the application {quoted(self.app)}")
        if self.window is not None:
            words.append(f"in the window {quoted(self.window)}")
        if self.index:
            words.append(f"(number {self.index + 1})")
        return " ".join(words)

    def to_request(self) -> dict[str, object]:
        """Return it as our helper in the guest reads it."""
        return {
            "names": list(self.names),
            "name_regex": self.name_regex,
            "roles": list(roles_of(self.role)) if self.role else [],
            "description": self.description,
            "label": self.label,
            "app": self.app,
            "window": self.window,
            "window_roles": list(roles_of("window")),
            "showing_only": self.showing_only,
        }


def quoted(text: str, limit: int = 200) -> str:
    """Return text in quotes, on one line, short and safe to show."""
    return f"“{shortened(' '.join(printable(text[: 4 * limit]).split()), limit)}”"
