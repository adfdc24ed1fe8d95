"""The result of one search of one frame for a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tailstest.core.geometry import Region
from tailstest.core.text import printable, shortened
from tailstest.screen.text_line import TextLine, as_rows

#: Lines and letters of what was read that are kept for a report and printed in an error.
MAX_LINES = 200
MAX_PRINTED_LINES = 60
MAX_PRINTED = 4000
MAX_LINE = 200


@dataclass(frozen=True)
class TextLook:
    """What was read where a text was looked for.

    Attributes:
        text: the text that was looked for.
        found: whether it is there.
        place: the smallest rectangle around its words, in screen pixels, or of the most similar
            ones if it was not found; None when nothing similar was read.
        score: share of the text that was read right, 0 to 1.
        threshold: what the score was compared with.
        read: the words at `place`, as they were read.
        objection: why they do not count although they are similar; "" otherwise.
        lines: all that was read, in screen pixels.
        engine: which OCR engine decided.
        milliseconds: how long reading and comparing took; a reading from before costs nothing.
        searched: the part of the screen that was read.
    """

    text: str
    found: bool
    place: Region | None
    score: float
    threshold: float
    read: str
    objection: str
    lines: tuple[TextLine, ...]
    engine: str
    milliseconds: float
    searched: Region

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values; at most 200 lines of what was read."""
        return {
            "text": self.text[:MAX_PRINTED],
            "found": self.found,
            "place": list(self.place) if self.place else None,
            "score": round(self.score, 4),
            "threshold": round(self.threshold, 4),
            "read": self.read[:MAX_LINE],
            "objection": self.objection,
            "engine": self.engine,
            "milliseconds": round(self.milliseconds, 1),
            "searched": list(self.searched),
            "explanation": self.explain(),
            "lines": [
                {**line.to_json(), "text": line.text[:MAX_LINE]} for line in self.lines[:MAX_LINES]
            ],
        }

    def explain(self) -> str:
        """Say in one or two sentences whether the text is there, or what is instead."""
        wanted = _one_line(self.text)
        if self.place is None:
            what = "nothing similar was read" if self.lines else "no text at all was read"
            return f"“{wanted}” is not on the screen: {what}."
        x, y = self.place.centre
        similar = f"“{_one_line(self.read)}” at {x},{y}"
        if self.found:
            return f"“{wanted}” was read as {similar}."
        why = self.objection or f"similarity {self.score:.2f}, {self.threshold:.2f} needed"
        return f"“{wanted}” is not on the screen; the most similar text is {similar} ({why})."

    def transcript(self) -> str:
        """Return everything that was read, a row a line, each with place and confidence."""
        rows = as_rows(self.lines)
        shown = [_row(row) for row in rows[:MAX_PRINTED_LINES]]
        if len(rows) > MAX_PRINTED_LINES:
            shown.append(f"  [... {len(rows) - MAX_PRINTED_LINES} lines left out ...]")
        return shortened("\n".join(shown), MAX_PRINTED) if shown else "  (nothing)"


def _row(row: TextLine) -> str:
    place = row.place
    where = f"{place.x},{place.y} {place.width}x{place.height}"
    return f"  {_one_line(row.text)}   [at {where}, {row.confidence:.0%} sure]"


def _one_line(text: str) -> str:
    """Make text from a guest safe for one line of a terminal."""
    visible = printable(text).replace("\n", "\\n").replace("\t", "\\t")
    return visible if len(visible) <= MAX_LINE else visible[: MAX_LINE - 1] + "…"
