"""Reading text consoles exactly: each cell is compared with the letters of the card's own font.

Boot menus, firmware messages, memtest86+ and Linux' console before graphics show the very pixels
of a known font on a known grid. Nothing has to be guessed there: "0" is not "O", and a version
number is read right or not at all, in a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tailstest.core.geometry import Region
from tailstest.screen.frame import Pixels
from tailstest.screen.ocr.vga_font import HEIGHT, vga_font
from tailstest.screen.text_line import TextLine, Word

#: Width of a cell: VGA text modes add a ninth column, framebuffer consoles do not.
CELL_WIDTHS = (9, 8)
#: Share of all cells that show something which must be letters of the font, and how many at
#: least, before a picture is taken for a console.
MIN_KNOWN = 0.97
MIN_LETTERS = 6
#: Stands for a cell that shows something else than a letter of the font.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
#: Rows of a cell that a cursor may cover, from the top.
CURSOR_ROWS = slice(13, 16)


class ConsoleEngine:
    """Reads frames that show a text console, and nothing else."""

    def __init__(self, font: Mapping[bytes, str] | None = None) -> None:
        self.name = "console font"
        self._font = vga_font() if font is None else font
        self._without_cursor = _without_cursor(self._font)

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read a whole frame; an empty list if it is not a text console. See `Engine.read`."""
        for width in CELL_WIDTHS:
            if not self._font or pixels.shape[0] < HEIGHT or pixels.shape[1] % width:
                continue
            rows = self._signs(pixels, width)
            if rows is not None:
                lines = [_line(number, row, width) for number, row in enumerate(rows)]
                return [line for line in lines if line.words]
        return []

    def _signs(self, pixels: Pixels, width: int) -> list[str] | None:
        """Return the text of all rows, None if too little of it is text."""
        cells, uniform, two_colours = _cells(pixels, width)
        if two_colours.sum() < MIN_KNOWN * (~uniform).sum():
            return None  # a picture or smooth letters, which nobody needs to look up
        known: dict[bytes, str] = {}
        unknown = letters = 0
        rows: list[str] = []
        for row, flat in zip(cells, uniform, strict=True):
            signs = []
            for cell, is_flat in zip(row, flat, strict=True):
                sign = " "
                if not is_flat:
                    key = cell.tobytes()
                    if key not in known:
                        known[key] = self._sign(key)
                    sign = known[key]
                    letters += sign not in {" ", ""}
                    unknown += not sign
                signs.append(sign or UNKNOWN)
            rows.append("".join(signs))
        if letters < MIN_LETTERS or letters < MIN_KNOWN * (letters + unknown):
            return None
        return rows

    def _sign(self, glyph: bytes) -> str:
        """Return the sign of a glyph drawn light on dark or dark on light; "" if unknown."""
        inverse = bytes(255 - row for row in glyph)
        for rows in (glyph, inverse):
            if rows in self._font:
                return self._font[rows]
        for rows in (glyph, inverse):
            sign = self._without_cursor.get(rows[: CURSOR_ROWS.start])
            if sign:
                return sign
        return ""


def _cells(
    pixels: Pixels, width: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return for each cell its 16 bytes, whether it has one colour, and whether it has two."""
    height = pixels.shape[0] // HEIGHT
    columns = pixels.shape[1] // width
    whole = pixels[: height * HEIGHT].astype(np.int32)
    codes = whole[:, :, 0] | (whole[:, :, 1] << 8) | (whole[:, :, 2] << 16)
    cells = codes.reshape(height, HEIGHT, columns, width).transpose(0, 2, 1, 3)[..., :8]
    lowest = cells.min(axis=(2, 3), keepdims=True)
    highest = cells.max(axis=(2, 3), keepdims=True)
    is_high = cells == highest
    two_colours = (is_high | (cells == lowest)).all(axis=(2, 3))
    glyphs = np.packbits(is_high, axis=3)[..., 0]
    # A pattern that no font has marks cells of more than two colours.
    glyphs[~two_colours] = np.arange(HEIGHT, dtype=np.uint8) * 17 + 1
    uniform = (lowest == highest)[:, :, 0, 0]
    return glyphs, uniform, two_colours & ~uniform


def _without_cursor(font: Mapping[bytes, str]) -> dict[bytes, str]:
    """Return the signs by their upper rows, for cells with a cursor below; unsure ones are ""."""
    found: dict[bytes, str] = {}
    for glyph, sign in font.items():
        upper = glyph[: CURSOR_ROWS.start]
        found[upper] = sign if found.get(upper, sign) == sign else ""
    return found


def _line(number: int, text: str, width: int) -> TextLine:
    words = []
    start = 0
    for part in text.split(" "):
        if part:
            place = Region(start * width, number * HEIGHT, len(part) * width, HEIGHT)
            words.append(Word(part, place, 1.0))
        start += len(part) + 1
    return TextLine(tuple(words))
