"""Text as it was read from the screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tailstest.core.geometry import Region


@dataclass(frozen=True)
class Word:
    """A word: what was read, where (screen pixels), how sure the engine is (0 to 1)."""

    text: str
    place: Region
    confidence: float


@dataclass(frozen=True)
class TextLine:
    """Words that an engine read as one line, from left to right."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words with one space between them."""
        return " ".join(word.text for word in self.words)

    @property
    def place(self) -> Region:
        """The smallest rectangle around all words."""
        return union(word.place for word in self.words)

    @property
    def confidence(self) -> float:
        """The mean of the words, weighted by their length."""
        letters = sum(len(word.text) for word in self.words)
        if not letters:
            return 0.0
        return sum(word.confidence * len(word.text) for word in self.words) / letters

    def moved(self, dx: int, dy: int) -> TextLine:
        """Return the line shifted by (dx, dy) pixels."""
        return TextLine(
            tuple(Word(w.text, w.place.moved(dx, dy), w.confidence) for w in self.words)
        )

    def to_json(self) -> dict[str, Any]:
        """Return text, place and confidence as JSON."""
        return {
            "text": self.text,
            "place": list(self.place),
            "confidence": round(self.confidence, 3),
        }


def union(places: Iterable[Region]) -> Region:
    """Return the smallest rectangle around all `places`; it is empty if there are none."""
    found = list(places)
    if not found:
        return Region(0, 0, 0, 0)
    left, top = min(p.x for p in found), min(p.y for p in found)
    right, bottom = max(p.right for p in found), max(p.bottom for p in found)
    return Region(left, top, right - left, bottom - top)


def as_rows(lines: Sequence[TextLine], *, limit: int = 4000) -> list[TextLine]:
    """Gather the words of all lines into rows, as the eye sees them, from top to bottom.

    Engines cut a row into pieces wherever there is a gap. Words belong to one row when the middle
    of each lies within the height of the other. Words after the first `limit` are dropped.
    """
    all_words = [word for line in lines for word in line.words][:limit]
    words = sorted(all_words, key=lambda word: word.place.centre.y)
    rows: list[list[Word]] = []
    for word in words:
        for row in reversed(rows[-4:]):
            if _beside(row[-1].place, word.place):
                row.append(word)
                break
        else:
            rows.append([word])
    return [TextLine(tuple(sorted(row, key=lambda w: w.place.x))) for row in rows]


def _beside(one: Region, other: Region) -> bool:
    return one.y <= other.centre.y < one.bottom and other.y <= one.centre.y < other.bottom
