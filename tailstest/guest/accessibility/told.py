"""Reading what our helper in the guest says: a guest that lies gives one clear error."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from tailstest.guest.accessibility.errors import TreeHelperFailed

_FAR = 2**31


class Told:
    """One value of JSON from the helper, not believed yet.

    Raises:
        TreeHelperFailed: every method, when the value is of another type or too large.
    """

    def __init__(self, value: object, what: str = "an answer") -> None:
        self._value = value
        self._what = what

    @classmethod
    def parse(cls, line: bytes) -> Told:
        """Read one line."""
        try:
            return cls(json.loads(line))
        except (ValueError, RecursionError):
            raise TreeHelperFailed(
                "the accessibility helper in the guest sent something that is not JSON"
            ) from None

    def field(self, name: str) -> Told:
        """Return a field of an object."""
        if not isinstance(self._value, dict) or name not in self._value:
            self._wrong(f"an object with {name!r}")
        return Told(self._value[name], name)

    def has(self, name: str) -> bool:
        """Whether it is an object with this field."""
        return isinstance(self._value, dict) and name in self._value

    def items(self, most: int) -> list[Told]:
        """Return the items of a list."""
        if not isinstance(self._value, list) or len(self._value) > most:
            self._wrong(f"a list of at most {most} items")
        return [Told(item, f"an item of {self._what}") for item in self._value]

    def row(self, length: int) -> list[Told]:
        """Return the items of a list of this length."""
        items = self.items(length)
        if len(items) != length:
            self._wrong(f"a list of {length} items")
        return items

    def text(self, longest: int) -> str:
        """Return a string."""
        if not isinstance(self._value, str) or len(self._value) > longest:
            self._wrong(f"text of at most {longest} characters")
        return self._value

    def texts(self, most: int, longest: int) -> list[str]:
        """Return a list of strings."""
        return [item.text(longest) for item in self.items(most)]

    def integer(self, low: int = -_FAR, high: int = _FAR) -> int:
        """Return a whole number."""
        value = self._value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._wrong(f"a whole number from {low} to {high}")
        return value

    def number(self) -> float:
        """Return a finite number."""
        value = self._value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong("a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self._wrong("a finite number")
        return number

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self._value, bool):
            self._wrong("true or false")
        return self._value

    @property
    def is_null(self) -> bool:
        """Whether it is null."""
        return self._value is None

    def _wrong(self, wanted: str) -> NoReturn:
        raise TreeHelperFailed(
            f"the accessibility helper in the guest did not send {wanted} as {self._what!r}"
        )
