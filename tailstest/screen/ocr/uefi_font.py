"""The letters that UEFI firmware draws on its console, taken from OVMF's firmware volume.

GRUB on UEFI and the UEFI shell use this console. The font is EDK2's `gUsStdNarrowGlyphData`
(MdeModulePkg/Universal/HiiDatabaseDxe/Font.c: EFI_NARROW_GLYPH, 22 bytes each); it lies in an LZMA
section of the firmware, whose layout is in the UEFI PI specification, volume 3.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from tailstest.screen.ocr.console_font import ConsoleFont, Grid

HEIGHT = 19
FOLDERS = (
    Path("/usr/share/OVMF"),
    Path("/usr/share/ovmf"),
    Path("/usr/share/edk2/ovmf"),
    Path("/usr/share/edk2/x64"),
    Path("/usr/share/qemu"),
)
#: Columns and rows of EDK2's text modes (GraphicsConsoleDxe); the largest fills the screen.
_MODES = ((100, 31), (80, 25), (80, 50), (128, 40))
#: GUID of an LZMA section, as it is stored.
_LZMA_SECTION = bytes.fromhex("98584eee143959429d6edc7bd79403cf")
#: Bytes of one glyph: code (2), attributes (1), rows (19).
_RECORD = 22
_MAX_FIRMWARE = 16 * 1024 * 1024
_MAX_UNPACKED = 64 * 1024 * 1024
_BOXES = range(0x2500, 0x25A0)
_MARK = b"A\x00\x00"


@lru_cache(maxsize=4)
def uefi_font(folders: Iterable[Path] = FOLDERS) -> ConsoleFont:
    """Return the font; it has no glyphs if no firmware is found."""
    for folder in folders:
        for file in sorted(folder.glob("OVMF_CODE*.fd")):
            glyphs = _glyphs_in(file)
            if glyphs:
                return ConsoleFont("UEFI", HEIGHT, glyphs, 15, _grids)
    return ConsoleFont("UEFI", HEIGHT, {}, 15, _grids)


def _grids(width: int, height: int) -> Iterator[Grid]:
    for columns, rows in dict.fromkeys((*_MODES, (width // 8, height // HEIGHT))):
        x, y = (width - 8 * columns) // 2, (height - HEIGHT * rows) // 2
        if x >= 0 and y >= 0 and columns and rows:
            yield Grid(x, y, columns, rows, 8)


def _glyphs_in(file: Path) -> dict[bytes, str]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_FIRMWARE)
    except OSError:
        return {}
    start = data.find(_LZMA_SECTION)
    while start >= 0:
        # The offset of the content counts from the section's header, 4 bytes before the GUID.
        offset = int.from_bytes(data[start + 16 : start + 18], "little")
        glyphs = _records(_unpacked(data[start - 4 + offset :]))
        if glyphs:
            return glyphs
        start = data.find(_LZMA_SECTION, start + 16)
    return {}


def _unpacked(data: bytes) -> bytes:
    try:
        return lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(data, _MAX_UNPACKED)
    except (lzma.LZMAError, EOFError):
        return b""


def _records(data: bytes) -> dict[bytes, str]:
    """Return the glyphs around the record of "A" that is followed by one of "B"."""
    at = data.find(_MARK)
    while at >= 0 and data[at + _RECORD : at + _RECORD + 3] != b"B\x00\x00":
        at = data.find(_MARK, at + 1)
    # 33 records stand before "A": the signs from the space on.
    first = at - 33 * _RECORD
    if at < 0 or data[first : first + 3] != b" \x00\x00":
        return {}
    glyphs: dict[bytes, str] = {bytes(HEIGHT): " "}
    for start in range(first, len(data) - _RECORD, _RECORD):
        code = int.from_bytes(data[start : start + 2], "little")
        if code == 0:
            break
        sign = " " if code in _BOXES else chr(code).replace("\u00a0", " ")
        glyphs.setdefault(data[start + 3 : start + _RECORD], sign)
    return glyphs
