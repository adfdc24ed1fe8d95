"""Failures that are known: tied to a bug, until a day."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

#: `@known:BUG:2026-12-31` at a scenario, or the property "known" of a reference image with the
#: value "BUG:2026-12-31".
KNOWN = "known"


@dataclass(frozen=True)
class KnownBug:
    """A bug that makes a scenario fail.

    Attributes:
        bug: its number or address in a tracker.
        until: last day on which that excuses the failure; None when the tag names none.
        tag: as it is written.
    """

    bug: str
    until: datetime.date | None
    tag: str

    def objection(self, today: datetime.date) -> str:
        """Return why it does not excuse a failure today; "" if it does."""
        if not self.bug or self.until is None:
            return f"@{self.tag} excuses nothing: write @{KNOWN}:BUG:YEAR-MONTH-DAY"
        if today > self.until:
            return f"{self.bug} was to excuse it until {self.until} only"
        return ""


def day_of(seconds: float) -> datetime.date:
    """Return the day of a moment, by which excuses are judged; the first of all if it is none.

    Args:
        seconds: since the epoch, as a file says; any number.
    """
    try:
        return datetime.date.fromtimestamp(seconds)
    except (OverflowError, ValueError, OSError):
        return datetime.date.min


def known_bugs(tags: Iterable[str]) -> list[KnownBug]:
    """Return the bugs that tags (without their at sign) speak of."""
    return [_read(tag) for tag in tags if tag == KNOWN or tag.startswith(f"{KNOWN}:")]


def _read(tag: str) -> KnownBug:
    bug, _, day = tag.removeprefix(KNOWN).removeprefix(":").rpartition(":")
    try:
        return KnownBug(bug, datetime.date.fromisoformat(day), tag)
    except ValueError:
        return KnownBug(bug or day, None, tag)
