"""The quick engine: Tesseract inside this process, one thread, on a prepared picture."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tailstest.core.errors import SetupError
from tailstest.core.geometry import Region
from tailstest.screen.frame import Pixels
from tailstest.screen.ocr.plain_ground import on_plain_ground
from tailstest.screen.text_line import TextLine, Word

#: Tesseract wants capitals of 20 pixels and more; those of screens have 8 to 12. Three times the
#: size, then smoothed, read most in benchmarks/ocr.py: 54 of 61 texts in 361 ms; twice the size
#: 50 in 280 ms, four times 55 in 523 ms.
ENLARGEMENT = 3
#: Pixels of the enlarged picture at most: a screen of 1920x1080 three times as large fits. Larger
#: screens have larger letters, and a guest must not make us fill the memory.
MAX_PIXELS = 20_000_000
#: Standard deviation of the smoothing after enlarging, in pixels of the enlarged picture.
SMOOTHING = 1.0
#: "Sparse text": finds text anywhere instead of assuming a page with columns.
PAGE_MODE = 11
#: Dots per inch that Tesseract is told; without one it guesses from the text and warns.
RESOLUTION = 150
#: White around a picture, in pixels: Tesseract loses letters that touch its border.
BORDER = 8
#: Words below this confidence (0 to 1) are specks of pictures and lines of boxes.
MIN_CONFIDENCE = 0.2

FOLDERS = (
    Path("/usr/share/tesseract-ocr/5/tessdata"),
    Path("/usr/share/tesseract-ocr/4.00/tessdata"),
    Path("/usr/share/tessdata"),
    Path("/usr/share/tesseract/tessdata"),
    Path("/usr/local/share/tessdata"),
)


def find_models(language: str, *, folders: Iterable[Path] | None = None) -> Path:
    """Return the folder that holds Tesseract's model of a language.

    Args:
        language: Tesseract's name of it, such as "eng".
        folders: where to look; TESSDATA_PREFIX and the usual places by default.

    Raises:
        SetupError: no folder has it; names the package to install.
    """
    if folders is None:
        given = os.environ.get("TESSDATA_PREFIX")
        own = [Path(given), Path(given) / "tessdata"] if given else []
        folders = [*own, *FOLDERS, *sorted(Path("/usr/share/tesseract-ocr").glob("*/tessdata"))]
    for folder in folders:
        if (folder / f"{language}.traineddata").is_file():
            return folder
    raise SetupError(
        f"the model {language}.traineddata of the OCR program Tesseract is not installed",
        hint=f"apt install tesseract-ocr-{language.replace('_', '-')}, or set TESSDATA_PREFIX",
    )


class TesseractEngine:
    """Tesseract on a picture turned to dark text on white and enlarged.

    Args:
        language: names of models joined by "+".
        page_mode: Tesseract's page segmentation mode.
        enlargement: factor on the picture before it is read.
        prepare: turn the text dark on white first; False is for comparison.
    """

    def __init__(
        self,
        language: str = "eng",
        *,
        page_mode: int = PAGE_MODE,
        enlargement: int = ENLARGEMENT,
        prepare: bool = True,
    ) -> None:
        self.name = "tesseract"
        self._language = language
        self._page_mode = page_mode
        self._enlargement = enlargement
        self._prepare = prepare
        self._module: Any = None
        self._api: Any = None

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read all text; see `Engine.read`."""
        self._open()
        factor = self._factor(pixels)
        picture = self._prepared(pixels, factor)
        height, width = picture.shape
        self._api.SetImageBytes(picture.tobytes(), width, height, 1, width)
        self._api.SetSourceResolution(RESOLUTION)
        try:
            if not self._api.Recognize():
                return []
            return self._lines(Region(0, 0, pixels.shape[1], pixels.shape[0]), factor)
        finally:
            self._api.Clear()

    def close(self) -> None:
        """Give Tesseract's memory back."""
        if self._api is not None:
            self._api.End()
            self._api = None

    def _open(self) -> None:
        if self._api is not None:
            return
        folder = find_models(self._language.split("+")[0])
        self._module = _single_threaded()
        self._api = self._module.PyTessBaseAPI(
            path=str(folder), lang=self._language, psm=self._page_mode
        )
        self.name = f"tesseract {self._module.tesseract_version().split()[1]}"

    def _factor(self, pixels: Pixels) -> int:
        size = pixels.shape[0] * pixels.shape[1]
        fitting = int((MAX_PIXELS / size) ** 0.5)
        return max(1, min(self._enlargement, fitting))

    def _prepared(self, pixels: Pixels, factor: int) -> Pixels:
        grey = (
            on_plain_ground(pixels) if self._prepare else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        )
        edge = BORDER
        grey = cv2.copyMakeBorder(grey, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(255,))
        large = cv2.resize(grey, None, None, factor, factor, cv2.INTER_CUBIC)
        if factor > 1:
            large = cv2.GaussianBlur(large, (0, 0), SMOOTHING)
        return np.asarray(large, dtype=np.uint8)

    def _lines(self, whole: Region, factor: int) -> list[TextLine]:
        levels = self._module.RIL
        lines: list[TextLine] = []
        words: list[Word] = []
        iterator = self._api.GetIterator()
        if iterator is None:
            return []
        for item in self._module.iterate_level(iterator, levels.WORD):
            if item.IsAtBeginningOf(levels.TEXTLINE) and words:
                lines.append(TextLine(tuple(words)))
                words = []
            word = self._word(item, levels.WORD, whole, factor)
            if word is not None:
                words.append(word)
        if words:
            lines.append(TextLine(tuple(words)))
        return lines

    def _word(self, item: Any, level: int, whole: Region, factor: int) -> Word | None:
        box = item.BoundingBox(level)
        if box is None:
            return None
        text = item.GetUTF8Text(level).strip()
        confidence = item.Confidence(level) / 100.0
        if not text or confidence < MIN_CONFIDENCE:
            return None
        left, top, right, bottom = (side / factor - BORDER for side in box)
        place = Region(
            round(left), round(top), max(1, round(right - left)), max(1, round(bottom - top))
        )
        return Word(text, place.clipped(whole), confidence)


def _single_threaded() -> Any:
    """Import Tesseract with OpenMP held to one thread, which is several times faster.

    OpenMP reads the variable once, when its library is loaded; children of ours must not inherit
    it, so it is put back afterwards.
    """
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        import tesserocr
    except ImportError as error:
        raise SetupError(
            f"the Python package tesserocr does not load: {error}",
            hint="run ./run test once, or: pip install tesserocr",
        ) from error
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before
    return tesserocr
