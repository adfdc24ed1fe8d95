"""A badge: a small picture for a page, which a screen reader reads, too."""

from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET

from tailstest.core.text import printable
from tailstest.results.forges.forge import State
from tailstest.results.shown import one_line

SVG = "http://www.w3.org/2000/svg"
#: Colours that white text can be read on (contrast 4.5 or more, WCAG 2.1, 1.4.3), and a sign for
#: those who see no colours.
_LOOKS = {
    State.SUCCESS: ("#1a7f37", "✓"),
    State.FAILURE: ("#b42318", "✗"),
    State.ERROR: ("#8a5a00", "?"),
    State.PENDING: ("#57606a", "…"),
}
_HEIGHT = 20
_SIZE = 11
#: Pixels of a character at that size, roughly; `textLength` makes it exact in every font.
_WIDTH = 6.6
MAX_TEXT = 60


def badge_svg(label: str, text: str, state: State) -> str:
    """Return a badge as SVG, without anything from outside.

    Args:
        label: left half, what it is about.
        text: right half, how it is.
    """
    colour, sign = _LOOKS[state]
    left = one_line(printable(label), MAX_TEXT) or "tailstest"
    right = f"{sign} {one_line(printable(text), MAX_TEXT)}"
    widths = [round(_columns(each) * _WIDTH) + 12 for each in (left, right)]
    total = sum(widths)
    spoken = f"{left}: {one_line(text, MAX_TEXT)}"
    root = ET.Element(
        "svg",
        {
            "xmlns": SVG,
            "width": str(total),
            "height": str(_HEIGHT),
            "viewBox": f"0 0 {total} {_HEIGHT}",
            "role": "img",
            "aria-label": spoken,
        },
    )
    ET.SubElement(root, "title").text = spoken
    start = 0
    for words, width, fill in ((left, widths[0], "#24292f"), (right, widths[1], colour)):
        ET.SubElement(
            root,
            "rect",
            {"x": str(start), "width": str(width), "height": str(_HEIGHT), "fill": fill},
        )
        drawn = ET.SubElement(
            root,
            "text",
            {
                "x": str(start + 6),
                "y": "14",
                "fill": "#fff",
                "font-family": "Verdana,DejaVu Sans,sans-serif",
                "font-size": str(_SIZE),
                "textLength": str(width - 12),
                "lengthAdjust": "spacingAndGlyphs",
                "aria-hidden": "true",
            },
        )
        drawn.text = words
        start += width
    return ET.tostring(root, encoding="unicode") + "\n"


def _columns(text: str) -> int:
    """Return how wide a text is, in Latin letters: those of East Asia are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
