"""Where keys and pointer events go: what a machine must be able to do for this room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class KeyStroke(NamedTuple):
    """One key going down or up.

    Attributes:
        code: Linux input event code (linux/input-event-codes.h), for example 30 for KEY_A.
        down: True for a press, False for a release.
    """

    code: int
    down: bool


class Chord(NamedTuple):
    """One key struck while modifiers are held.

    Attributes:
        modifiers: codes of the modifier keys, in the order in which they go down.
        code: code of the key itself.
    """

    modifiers: tuple[int, ...]
    code: int

    @property
    def keys(self) -> tuple[int, ...]:
        """All keys, in the order in which they go down."""
        return (*self.modifiers, self.code)


class KeySink(Protocol):
    """Takes key strokes for a machine."""

    def send_keys(self, strokes: Sequence[KeyStroke]) -> None:
        """Deliver the strokes at once, in order; InfrastructureError if that is not possible."""


class PointerSink(Protocol):
    """Takes pointer events for a machine."""

    def move_to(self, x: int, y: int) -> None:
        """Put the pointer on this pixel of the screen."""

    def set_button(self, button: str, down: bool) -> None:
        """Press or release the button "left", "middle" or "right"."""

    def scroll(self, steps: int) -> None:
        """Turn the wheel by this many steps, downwards when positive."""
