"""Looking for text on a frame: a quick engine first, an accurate one as second opinion."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tailstest.core.errors import UsageError
from tailstest.core.geometry import Region
from tailstest.screen.cached_engine import CachedEngine, Lines
from tailstest.screen.frame import Frame
from tailstest.screen.ocr.console import UNKNOWN, ConsoleEngine
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

    Engines let other Python threads run while they work. Readings are remembered by picture
    and region, so looking for five texts on one frame costs one reading.

    Args:
        quick: reads a frame in tenths of a second; Tesseract by default.
        accurate: is asked when the quick one did not find the text; RapidOCR by default.
        exact: reads text consoles without any doubt and gives nothing for other screens; by
            default the one that knows the font of VGA cards.
    """

    def __init__(
        self,
        quick: Engine | None = None,
        accurate: Engine | None = None,
        exact: Engine | None = None,
    ) -> None:
        self._exact = CachedEngine(lambda: exact or ConsoleEngine())
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
        best: _Opinion | None = None
        for opinion in self._opinions(frame, where, text, limit, patient):
            best = opinion
            if opinion.is_found(limit):
                break
        assert best is not None
        match = best.match
        return TextLook(
            text=text,
            found=best.is_found(limit),
            place=match.place if match else None,
            score=match.score if match else 0.0,
            threshold=limit,
            read=match.text if match else "",
            objection=match.objection if match else "",
            lines=best.lines,
            engine=best.engine,
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
        where = _inside(frame, region)
        exact = self._exact_lines(frame, where)
        if exact and _is_certain(exact):
            return list(exact)
        return list((self._accurate if patient else self._quick).read(frame, where))

    def close(self) -> None:
        """Stop the threads after what they are reading now, and give memory back."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for engine in (self._exact, self._quick, self._accurate):
            engine.close()

    def _opinions(
        self, frame: Frame, where: Region, text: str, limit: float, patient: bool
    ) -> Iterator[_Opinion]:
        """Yield what the engines say, each only asked when the one before was not believed."""
        lines = self._exact_lines(frame, where)
        if lines:
            yield _Opinion(lines, find_text(text, lines, limit), self._exact.name)
            if _is_certain(lines):
                return
        lines = self._quick.read(frame, where)
        first = _Opinion(lines, find_text(text, lines, limit), self._quick.name)
        yield first
        if first.match is not None and first.match.score >= NEAR_MISS:
            again = self._accurate.read_places(frame, where, _touching(lines, first.match.place))
            closer = _Opinion(lines, find_text(text, again or (), limit), self._accurate.name)
            if closer.is_found(limit):
                yield closer
        if patient:
            lines = self._accurate.read(frame, where)
            if lines:
                yield _Opinion(lines, find_text(text, lines, limit), self._accurate.name)

    def _exact_lines(self, frame: Frame, where: Region) -> Lines:
        """Return what stands on a text console; a word belongs to where its middle lies."""
        lines = self._exact.read(frame, frame.region)
        if where == frame.region:
            return lines
        parts = (
            TextLine(tuple(w for w in line.words if where.contains(Region(*w.place.centre, 1, 1))))
            for line in lines
        )
        return tuple(part for part in parts if part.words)


@dataclass(frozen=True)
class _Opinion:
    """What one engine read, and where the text would be in it."""

    lines: Lines
    match: TextMatch | None
    engine: str

    def is_found(self, limit: float) -> bool:
        return self.match is not None and self.match.counts(limit)


def _is_certain(lines: Lines) -> bool:
    return not any(UNKNOWN in word.text for line in lines for word in line.words)


def _inside(frame: Frame, region: Region | None) -> Region:
    where = frame.region if region is None else region.clipped(frame.region)
    if not where.width or not where.height:
        raise UsageError(
            f"the region {region} lies outside the screen of {frame.width}x{frame.height} pixels"
        )
    return where


def _touching(lines: Lines, place: Region) -> list[Region]:
    """Return the places of all lines that touch `place`."""
    shared = [(line.place, line.place.clipped(place)) for line in lines]
    return [whole for whole, part in shared if part.width and part.height]
