"""A font of a text console and the grids on which it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Grid(NamedTuple):
    """Where the cells of a console lie, in pixels and cells."""

    x: int
    y: int
    columns: int
    rows: int
    cell_width: int


@dataclass(frozen=True)
class ConsoleFont:
    """Letters of a fixed size, 8 pixels wide.

    Attributes:
        name: for reports.
        height: rows of a letter.
        glyphs: its rows, one byte each (the leftmost pixel is the highest bit), to its sign.
            Blanks and the parts of boxes have the sign " ".
        cursor_row: rows from here on may be covered by a cursor.
        grids: returns the grids that fit on a screen of some width and height, in pixels.
    """

    name: str
    height: int
    glyphs: Mapping[bytes, str]
    cursor_row: int
    grids: Callable[[int, int], Iterable[Grid]]

    def upper_parts(self) -> dict[bytes, str]:
        """Return the signs by the rows above the cursor; those of doubtful ones are ""."""
        found: dict[bytes, str] = {}
        for glyph, sign in self.glyphs.items():
            upper = glyph[: self.cursor_row]
            found[upper] = sign if found.get(upper, sign) == sign else ""
        return found
