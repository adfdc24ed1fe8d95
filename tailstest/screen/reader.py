"""Looking for text on a frame: a quick engine first, an accurate one as second opinion."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tailstest.core.errors import UsageError
from tailstest.core.geometry import Region
from tailstest.screen.cached_engine import CachedEngine
from tailstest.screen.frame import Frame
from tailstest.screen.ocr.engine import Engine
from tailstest.screen.ocr.rapid import RapidEngine
from tailstest.screen.ocr.tesseract import TesseractEngine
from tailstest.screen.text_line import TextLine
from tailstest.screen.text_look import TextLook
from tailstest.screen.text_match import DEFAULT_THRESHOLD, TextMatch, find_text

#: Score from which the accurate engine reads the most similar line again at once, which takes it
#: some hundredths of a second; reading a whole frame takes it seconds.
NEAR_MISS = 0.55


class Reader:
    """Reads text from frames; safe to use from several threads.

    Both engines let other Python threads run while they work. Readings are remembered by picture
    and region, so looking for five texts on one frame costs one reading.

    Args:
        quick: reads a frame in tenths of a second; Tesseract by default.
        accurate: is asked when the quick one did not find the text; RapidOCR by default.
    """

    def __init__(self, quick: Engine | None = None, accurate: Engine | None = None) -> None:
        self._quick = CachedEngine(lambda: quick or TesseractEngine())
        self._accurate = CachedEngine(lambda: accurate or RapidEngine())
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ocr")

    def look(
        self,
        frame: Frame,
        text: str,
        *,
        region: Region | None = None,
        threshold: float | None = None,
        patient: bool = False,
    ) -> TextLook:
        """Look for `text` on a frame; takes tenths of a second, or seconds when patient.

        Args:
            region: the part of the screen to read; all of it by default. Small is quick.
            threshold: share of the text that must be read right, above 0 and at most 1.
            patient: let the accurate engine read everything if the text was not found.

        Raises:
            UsageError: the text has no letters, the region is off the screen, or the threshold is
                out of range.
            SetupError: an engine or its model is not installed.
        """
        limit = DEFAULT_THRESHOLD if threshold is None else threshold
        if not 0 < limit <= 1:
            raise UsageError(f"the threshold of a text is above 0 and at most 1, not {limit}")
        if not text.strip():
            raise UsageError("the text to look for is empty")
        where = _inside(frame, region)
        started = time.monotonic()
        lines = self._quick.read(frame, where)
        match, engine = find_text(text, lines), self._quick.name
        if not _is_found(match, limit) and match is not None and match.score >= NEAR_MISS:
            again = self._accurate.read_places(frame, where, _line_places(lines, match.place))
            closer = find_text(text, again) if again else None
            if _is_found(closer, limit):
                match, engine = closer, self._accurate.name
        if not _is_found(match, limit) and patient:
            second = self._accurate.read(frame, where)
            other = find_text(text, second)
            if second and (other is not None or match is None):
                match, engine, lines = other, self._accurate.name, second
        return TextLook(
            text=text,
            found=_is_found(match, limit),
            place=match.place if match else None,
            score=match.score if match else 0.0,
            threshold=limit,
            read=match.text if match else "",
            objection=match.objection if match else "",
            lines=lines,
            engine=engine,
            milliseconds=(time.monotonic() - started) * 1000,
            searched=where,
        )

    def start(
        self,
        frame: Frame,
        text: str,
        *,
        region: Region | None = None,
        threshold: float | None = None,
        patient: bool = False,
    ) -> Future[TextLook]:
        """Do what `look` does in a thread of the reader, so that the caller can go on."""
        return self._pool.submit(
            self.look, frame, text, region=region, threshold=threshold, patient=patient
        )

    def read(
        self, frame: Frame, *, region: Region | None = None, patient: bool = False
    ) -> list[TextLine]:
        """Return all text on a frame or in a region, in screen coordinates.

        Args:
            patient: use the accurate engine.

        Raises:
            UsageError: the region is off the screen.
            SetupError: the engine or its model is not installed.
        """
        engine = self._accurate if patient else self._quick
        return list(engine.read(frame, _inside(frame, region)))

    def close(self) -> None:
        """Stop the threads after what they are reading now, and give memory back."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._quick.close()
        self._accurate.close()


def _is_found(match: TextMatch | None, limit: float) -> bool:
    return match is not None and not match.objection and match.score >= limit


def _inside(frame: Frame, region: Region | None) -> Region:
    where = frame.region if region is None else region.clipped(frame.region)
    if not where.width or not where.height:
        raise UsageError(
            f"the region {region} lies outside the screen of {frame.width}x{frame.height} pixels"
        )
    return where


def _line_places(lines: Sequence[TextLine], place: Region) -> list[Region]:
    """Return the places of all lines that touch `place`."""
    touched = [line.place for line in lines if line.place.clipped(place).width]
    return [each for each in touched if each.clipped(place).height]
