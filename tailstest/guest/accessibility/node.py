"""One node of the tree, as it was when somebody looked."""

from __future__ import annotations

from dataclasses import dataclass

from tailstest.core.geometry import Region
from tailstest.guest.accessibility.query import quoted
from tailstest.guest.accessibility.told import Told
from tailstest.guest.accessibility.tree_helper import MAX_ACTIONS, MAX_NAME, MAX_TEXT, STATES


@dataclass(frozen=True)
class Node:
    """What the guest told about a node; it may look different by now.

    Texts come from the guest: pass them through `core.text.printable` before showing them.

    Attributes:
        handle: which node it is, for as long as it exists.
        role: AT-SPI's name of its kind, "push button" for example.
        name: at most 1000 characters.
        text: its content, at most 10,000 characters; None when it has none (a button).
        states: names of the states that are set: "showing", "sensitive", "focused", ...
        place: where it is on the screen; None if it is not showing, or where programs do not know
            that (Wayland).
        actions: names for `AccessibilityTree.act`, not translated.
    """

    handle: str
    role: str
    name: str
    description: str
    text: str | None
    states: frozenset[str]
    place: Region | None
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.role} {quoted(self.name)}" if self.name else f"{self.role} without a name"

    @property
    def showing(self) -> bool:
        """Whether it is on the screen."""
        return "showing" in self.states

    @property
    def sensitive(self) -> bool:
        """Whether it takes clicks and keys (it is not greyed out)."""
        return "sensitive" in self.states

    @classmethod
    def read(cls, told: Told) -> Node:
        """Read a node.

        Raises:
            TreeHelperFailed: it is malformed.
        """
        place, text = told.field("place"), told.field("text")
        return cls(
            handle=told.field("handle").text(1000),
            role=told.field("role").text(100),
            name=told.field("name").text(MAX_NAME),
            description=told.field("description").text(MAX_NAME),
            text=None if text.is_null else text.text(MAX_TEXT),
            states=frozenset(told.field("states").texts(len(STATES), 100)),
            place=None if place.is_null else Region(*(part.integer() for part in place.row(4))),
            actions=tuple(told.field("actions").texts(MAX_ACTIONS, 100)),
        )
