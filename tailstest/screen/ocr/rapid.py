"""The accurate engine: RapidOCR's PP-OCR models, which come inside its package."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from tailstest.core.errors import SetupError
from tailstest.core.geometry import Region
from tailstest.screen.frame import Pixels
from tailstest.screen.text_line import TextLine, Word

#: The detector shrinks pictures whose longer side has more pixels than this, and never enlarges
#: one: enlarging small regions to 736 pixels, its default, made them cost more than whole frames.
MAX_SIDE = 1600
#: The detector overlooks text in pictures smaller than this, in pixels; they get a margin.
MIN_SIDE = 128
#: Lines below this confidence (0 to 1) are specks.
MIN_CONFIDENCE = 0.5
#: One thread: the other cores belong to the machine under test.
THREADS = 1
#: Pixels added around a line that somebody else located, before it is recognised.
LINE_MARGIN = 3


class RapidEngine:
    """RapidOCR with detector and recogniser; loads its models at the first use."""

    def __init__(self) -> None:
        self.name = "rapidocr"
        self._engine: Any = None

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read all text; see `Engine.read`."""
        engine = self._opened()
        padded, dx, dy = _with_margin(pixels)
        result = engine(padded, use_det=True, use_cls=False, use_rec=True)
        if result is None or result.boxes is None or result.txts is None:
            return []
        whole = Region(0, 0, pixels.shape[1], pixels.shape[0])
        lines = []
        for box, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
            left, top = np.floor(box.min(axis=0)).astype(int)
            right, bottom = np.ceil(box.max(axis=0)).astype(int)
            place = Region(int(left) - dx, int(top) - dy, int(right - left), int(bottom - top))
            line = _as_line(str(text), place.clipped(whole), float(score))
            if line is not None:
                lines.append(line)
        return lines

    def read_places(self, pixels: Pixels, places: Sequence[Region]) -> list[TextLine]:
        """Recognise lines whose places are known; see `LineEngine.read_places`."""
        engine = self._opened()
        whole = Region(0, 0, pixels.shape[1], pixels.shape[0])
        lines = []
        for place in places:
            inside = place.grown(LINE_MARGIN).clipped(whole)
            if inside.width < 4 or inside.height < 4:
                continue
            crop = pixels[inside.y : inside.bottom, inside.x : inside.right]
            result = engine(np.ascontiguousarray(crop), use_det=False, use_cls=False, use_rec=True)
            for text, score in zip(result.txts or (), result.scores or (), strict=True):
                line = _as_line(str(text), inside, float(score))
                if line is not None:
                    lines.append(line)
        return lines

    def close(self) -> None:
        """Give the models' memory back."""
        self._engine = None

    def _opened(self) -> Any:
        if self._engine is None:
            try:
                import rapidocr
            except ImportError as error:
                raise SetupError(
                    f"the Python package rapidocr does not load: {error}",
                    hint="run ./run test once, or: pip install rapidocr onnxruntime",
                ) from error
            self._engine = rapidocr.RapidOCR(
                params={
                    "Global.log_level": "critical",
                    "Global.use_cls": False,
                    "Global.max_side_len": MAX_SIDE,
                    "Det.limit_type": "max",
                    "Det.limit_side_len": MAX_SIDE,
                    "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
                    "EngineConfig.onnxruntime.inter_op_num_threads": THREADS,
                }
            )
            self.name = f"rapidocr {importlib.metadata.version('rapidocr')}"
        return self._engine


def _with_margin(pixels: Pixels) -> tuple[Pixels, int, int]:
    """Add a margin in the colour of the corner to a small picture; return it and the shift."""
    height, width = pixels.shape[:2]
    dx, dy = max(0, (MIN_SIDE - width + 1) // 2), max(0, (MIN_SIDE - height + 1) // 2)
    if not dx and not dy:
        return pixels, 0, 0
    colour = [int(value) for value in np.median(pixels.reshape(-1, 3), axis=0)]
    padded = cv2.copyMakeBorder(pixels, dy, dy, dx, dx, cv2.BORDER_CONSTANT, value=colour)
    return np.asarray(padded, dtype=np.uint8), dx, dy


def _as_line(text: str, place: Region, score: float) -> TextLine | None:
    """Cut a line into words; their places follow from the share of letters before them."""
    if score < MIN_CONFIDENCE or not text.strip() or not place.width or not place.height:
        return None
    words = []
    start = 0
    for part in text.split(" "):
        if part:
            left = place.x + round(place.width * start / len(text))
            right = place.x + round(place.width * (start + len(part)) / len(text))
            words.append(
                Word(part, Region(left, place.y, max(1, right - left), place.height), score)
            )
        start += len(part) + 1
    return TextLine(tuple(words))
