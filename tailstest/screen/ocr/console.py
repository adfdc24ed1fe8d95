"""Reading text consoles exactly: each cell is compared with the letters of the card's own font.

Boot menus, firmware messages, memtest86+ and Linux' console before graphics show the very pixels
of a known font on a known grid. Nothing has to be guessed there: "0" is not "O", and a version
number is read right or not at all, in a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tailstest.core.geometry import Region
from tailstest.screen.frame import Pixels
from tailstest.screen.ocr.console_font import ConsoleFont, Grid
from tailstest.screen.ocr.uefi_font import uefi_font
from tailstest.screen.ocr.vga_font import vga_font
from tailstest.screen.text_line import TextLine, Word

#: Share of all cells that show something which must be letters of the font, and how many at
#: least, before a picture is taken for a console.
MIN_KNOWN = 0.97
MIN_LETTERS = 6
#: Stands for a cell that shows something else than a letter of the font.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class ConsoleEngine:
    """Reads frames that show a text console, and nothing else."""

    def __init__(self, fonts: Sequence[ConsoleFont] | None = None) -> None:
        self.name = "console font"
        chosen = (vga_font(), uefi_font()) if fonts is None else fonts
        self._fonts = [(font, font.upper_parts()) for font in chosen if font.glyphs]

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read a whole frame; an empty list if it is not a text console. See `Engine.read`."""
        height, width = pixels.shape[:2]
        for font, upper_parts in self._fonts:
            for grid in font.grids(width, height):
                rows = _signs(pixels, font, grid, upper_parts)
                if rows is not None:
                    lines = [_line(number, row, font, grid) for number, row in enumerate(rows)]
                    return [line for line in lines if line.words]
        return []


def _signs(
    pixels: Pixels, font: ConsoleFont, grid: Grid, upper_parts: dict[bytes, str]
) -> list[str] | None:
    """Return the text of all rows, None if too little of it is text or the grid misses some."""
    if not _is_empty_outside(pixels, font.height, grid):
        return None
    cells, uniform, two_colours = _cells(pixels, font.height, grid)
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
                    known[key] = _sign(key, font, upper_parts)
                sign = known[key]
                letters += sign not in {" ", ""}
                unknown += not sign
            signs.append(sign or UNKNOWN)
        rows.append("".join(signs))
    if letters < MIN_LETTERS or letters < MIN_KNOWN * (letters + unknown):
        return None
    return rows


def _is_empty_outside(pixels: Pixels, size: int, grid: Grid) -> bool:
    """Tell whether all that lies outside of the grid has one colour."""
    bottom, right = grid.y + grid.rows * size, grid.x + grid.columns * grid.cell_width
    parts = (
        pixels[: grid.y],
        pixels[bottom:],
        pixels[grid.y : bottom, : grid.x],
        pixels[grid.y : bottom, right:],
    )
    colours = [part.reshape(-1, 3) for part in parts if part.size]
    return all((colour == colours[0][0]).all() for colour in colours)


def _sign(glyph: bytes, font: ConsoleFont, upper_parts: dict[bytes, str]) -> str:
    """Return the sign of a glyph drawn light on dark or dark on light; "" if unknown."""
    inverse = bytes(255 - row for row in glyph)
    for rows in (glyph, inverse):
        if rows in font.glyphs:
            return font.glyphs[rows]
    for rows in (glyph, inverse):
        sign = upper_parts.get(rows[: font.cursor_row])
        if sign:
            return sign
    return ""


def _cells(
    pixels: Pixels, size: int, grid: Grid
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return for each cell its bytes (one a row), whether it has one colour, and whether two."""
    _x, _y, columns, rows, width = grid
    whole = pixels[grid.y : grid.y + rows * size, grid.x : grid.x + columns * width].astype(
        np.int32
    )
    codes = whole[:, :, 0] | (whole[:, :, 1] << 8) | (whole[:, :, 2] << 16)
    cells = codes.reshape(rows, size, columns, width).transpose(0, 2, 1, 3)[..., :8]
    lowest = cells.min(axis=(2, 3), keepdims=True)
    highest = cells.max(axis=(2, 3), keepdims=True)
    is_high = cells == highest
    two_colours = (is_high | (cells == lowest)).all(axis=(2, 3))
    glyphs = np.packbits(is_high, axis=3)[..., 0]
    # A pattern that no font has marks cells of more than two colours.
    glyphs[~two_colours] = np.arange(size, dtype=np.uint8) * 13 + 1
    uniform = (lowest == highest)[:, :, 0, 0]
    return glyphs, uniform, two_colours & ~uniform


def _line(number: int, text: str, font: ConsoleFont, grid: Grid) -> TextLine:
    words = []
    start = 0
    for part in text.split(" "):
        if part:
            place = Region(
                grid.x + start * grid.cell_width,
                grid.y + number * font.height,
                len(part) * grid.cell_width,
                font.height,
            )
            words.append(Word(part, place, 1.0))
        start += len(part) + 1
    return TextLine(tuple(words))
