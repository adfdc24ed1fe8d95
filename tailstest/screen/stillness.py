"""Telling whether a screen has come to rest."""

from __future__ import annotations

import cv2
import numpy as np

from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame, Pixels

#: Largest width and height of something that may blink: a caret, or a block cursor of a console
#: with a large font.
MAX_CARET = (24, 40)
#: Difference of a colour value (0 to 255) that is noise, not a change.
NOISE = 4
#: Largest area, in pixels, that may stand out of a blank screen: a mouse pointer or a cursor.
MAX_SPECK = (40, 40)


class Stillness:
    """Watches frames and says for how long nothing has moved.

    A block no larger than a caret that goes back and forth between two states does not count.
    Time is taken from the frames, so slow captures make nothing look stiller than it is.

    Args:
        region: the part of the screen to watch; all of it by default.
    """

    def __init__(self, region: Region | None = None) -> None:
        self._region = region
        self._base: Frame | None = None
        self._changed_at = 0.0
        self._blink: tuple[Region, Pixels] | None = None
        self._last_digest = b""

    def seconds(self, frame: Frame) -> float:
        """Take the next frame and return for how many seconds the screen has been still."""
        if self._base is None or not _same_size(self._base, frame):
            return self._begin(frame)
        if frame.digest != self._last_digest:
            self._last_digest = frame.digest
            moved = changed_region(self._base, frame, self._region)
            if moved is not None and not self._is_blink(frame, moved):
                if self._blink is None and _is_small(moved, MAX_CARET):
                    # Perhaps a caret: the clock starts again, but coming back will not count.
                    self._blink = (moved, frame.crop(moved).copy())
                    self._changed_at = frame.taken
                    return 0.0
                return self._begin(frame)
        return frame.taken - self._changed_at

    def _begin(self, frame: Frame) -> float:
        self._base = frame
        self._blink = None
        self._changed_at = frame.taken
        self._last_digest = frame.digest
        return 0.0

    def _is_blink(self, frame: Frame, moved: Region) -> bool:
        if self._blink is None:
            return False
        place, pixels = self._blink
        return moved == place and np.array_equal(frame.crop(place), pixels)


def changed_region(one: Frame, other: Frame, region: Region | None = None) -> Region | None:
    """Return the smallest rectangle around all that differs, None if nothing does.

    Frames of different sizes differ everywhere. Differences of up to 4 of 255 are noise.
    """
    if not _same_size(one, other):
        return other.region
    if one.digest == other.digest:
        return None
    where = one.region if region is None else region.clipped(one.region)
    if not where.width or not where.height:
        return None
    distance = cv2.absdiff(one.crop(where), other.crop(where)).max(axis=2)
    return _around(np.asarray(distance > NOISE, dtype=np.uint8), where)


def is_blank(frame: Frame) -> bool:
    """Tell whether a frame shows one colour, apart from a cursor or mouse pointer."""
    pixels = frame.pixels.reshape(-1, 3)
    ground = np.median(pixels[:: max(1, len(pixels) // 10_000)], axis=0).astype(np.uint8)
    distance = cv2.absdiff(frame.pixels, np.broadcast_to(ground, frame.pixels.shape)).max(axis=2)
    speck = _around(np.asarray(distance > NOISE, dtype=np.uint8), frame.region)
    return speck is None or _is_small(speck, MAX_SPECK)


def _same_size(one: Frame, other: Frame) -> bool:
    return one.pixels.shape == other.pixels.shape


def _is_small(region: Region, limit: tuple[int, int]) -> bool:
    return region.width <= limit[0] and region.height <= limit[1]


def _around(mask: Pixels, where: Region) -> Region | None:
    x, y, width, height = cv2.boundingRect(mask)
    return Region(where.x + x, where.y + y, width, height) if width and height else None
