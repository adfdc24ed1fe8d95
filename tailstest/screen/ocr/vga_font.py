"""The letters that a VGA card draws in text mode, taken from the firmware that QEMU uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from tailstest.screen.ocr.console_font import ConsoleFont, Grid

#: Rows of a letter; each is a byte, the leftmost pixel its highest bit.
HEIGHT = 16
#: Where distributions install SeaBIOS' VGA firmware, which QEMU needs to show anything in BIOS
#: mode. Its font is IBM's of 1987, as Linux' own console draws it too.
FOLDERS = (
    Path("/usr/share/seabios"),
    Path("/usr/share/qemu"),
    Path("/usr/share/seavgabios"),
    Path("/usr/share/vgabios"),
    Path("/usr/share/qemu-kvm"),
)
#: How the font is found in the firmware: rows of the letter "A", code 65.
_LETTER_A = bytes.fromhex("000010386cc6c6fec6c6c6c600000000")
_MAX_FIRMWARE = 4 * 1024 * 1024
#: Signs of the codes below 32 that stand for something a test may look for.
_LOW_SIGNS = {
    4: "♦",
    7: "•",
    16: "►",
    17: "◄",
    24: "↑",
    25: "↓",
    26: "→",
    27: "←",
    30: "▲",
    31: "▼",
}
#: Codes of lines and blocks that boxes are drawn with; they are no text.
_BOXES = range(0xB0, 0xE0)


@lru_cache(maxsize=4)
def vga_font(folders: Iterable[Path] = FOLDERS) -> ConsoleFont:
    """Return the font; it has no glyphs if no firmware is found, and text is left to others."""
    for folder in folders:
        for file in sorted(folder.glob("vgabios*.bin")):
            glyphs = _font_in(file)
            if glyphs:
                return ConsoleFont("VGA", HEIGHT, glyphs, 13, _grids)
    return ConsoleFont("VGA", HEIGHT, {}, 13, _grids)


def _grids(width: int, height: int) -> Iterator[Grid]:
    """Yield a VGA text mode (a ninth column in each cell) and a framebuffer console."""
    for cell_width in (9, 8):
        if width % cell_width == 0 and height >= HEIGHT:
            yield Grid(0, 0, width // cell_width, height // HEIGHT, cell_width)


def _font_in(file: Path) -> dict[bytes, str]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_FIRMWARE)
    except OSError:
        return {}
    start = data.find(_LETTER_A) - 65 * HEIGHT
    table = data[start : start + 256 * HEIGHT] if start >= 0 else b""
    if len(table) < 256 * HEIGHT or any(table[32 * HEIGHT : 33 * HEIGHT]):
        return {}
    font: dict[bytes, str] = {}
    for code in (*range(32, 256), *range(32)):
        glyph = table[code * HEIGHT : (code + 1) * HEIGHT]
        font.setdefault(glyph, _sign(code))
    return font


def _sign(code: int) -> str:
    if code in _BOXES or code == 255:
        return " "
    return _LOW_SIGNS.get(code, " ") if code < 32 else bytes([code]).decode("cp437")
