"""Finding places that may be what a template shows, tolerantly and quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from tailstest.core.geometry import Point, Region
from tailstest.screen.frame import Frame
from tailstest.screen.reference import Template

#: Sides below which half the size leaves too little to correlate, in pixels.
SMALL = 16

#: Candidates that are looked at closely. More than a handful of equal things is a list or a grid,
#: where the nearest one is wanted anyway.
MOST = 6

#: Pixels around a candidate found at half the size within which the exact place lies.
REFINE = 3

#: Correlation at half the size from which a place is worth a closer look.
WORTH_A_LOOK = 0.55

#: With excluded parts the template is incomplete, so that correlation is lower everywhere.
WORTH_A_LOOK_MASKED = 0.30


@dataclass(frozen=True)
class Candidate:
    """A place (top left corner, in frame coordinates) and its correlation."""

    at: Point
    correlation: float


def find(frame: Frame, template: Template, window: Region) -> list[Candidate]:
    """Return places within a window that correlate with a template, the best first.

    Args:
        window: part of the frame that must contain the whole template.

    Returns:
        At most MOST candidates; empty when the template does not fit, or has nothing to correlate.
    """
    height, width = template.grey.shape
    window = window.clipped(frame.region)
    if template.is_flat or width > window.width or height > window.height:
        return []
    least = WORTH_A_LOOK if template.mask is None else WORTH_A_LOOK_MASKED
    if min(width, height) < SMALL:
        area = frame.grey[window.y : window.bottom, window.x : window.right]
        scores = cv2.matchTemplate(area, template.grey, cv2.TM_CCOEFF_NORMED)
        peaks = _peaks(scores, width, height, least)
        return [Candidate(Point(window.x + x, window.y + y), score) for x, y, score in peaks]
    return _find_at_half_size(frame, template, window, least)


def _find_at_half_size(
    frame: Frame, template: Template, window: Region, least: float
) -> list[Candidate]:
    half = Region(window.x // 2, window.y // 2, window.width // 2, window.height // 2)
    area = frame.half[half.y : half.bottom, half.x : half.right]
    high, wide = template.half.shape
    if high > area.shape[0] or wide > area.shape[1]:
        return [_refined(frame, template, Point(window.x, window.y), window)]
    scores = cv2.matchTemplate(area, template.half, cv2.TM_CCOEFF_NORMED)
    # Odd places are blurred at half the size; they get a second chance through a lower limit.
    found = [
        _refined(frame, template, Point(2 * (half.x + x), 2 * (half.y + y)), window)
        for x, y, _score in _peaks(scores, wide, high, least * 0.8)
    ]
    return sorted(found, key=lambda each: -each.correlation)


def _refined(frame: Frame, template: Template, near: Point, window: Region) -> Candidate:
    height, width = template.grey.shape
    left = min(max(near.x - REFINE, window.x), window.right - width)
    top = min(max(near.y - REFINE, window.y), window.bottom - height)
    right = min(left + width + 2 * REFINE, window.right)
    bottom = min(top + height + 2 * REFINE, window.bottom)
    area = frame.grey[top:bottom, left:right]
    scores = cv2.matchTemplate(area, template.grey, cv2.TM_CCOEFF_NORMED)
    _low, best, _low_at, at = cv2.minMaxLoc(scores)
    return Candidate(Point(left + at[0], top + at[1]), float(best))


def _peaks(scores: Any, width: int, height: int, least: float) -> list[tuple[int, int, float]]:
    """Return the highest places of a correlation map, apart from each other by half a template.

    The best one is returned even below `least`, so that a failure can show what came closest.
    """
    scores = np.nan_to_num(scores, copy=False, nan=-1.0, posinf=-1.0, neginf=-1.0)
    peaks: list[tuple[int, int, float]] = []
    for _ in range(MOST):
        _low, best, _low_at, (x, y) = cv2.minMaxLoc(scores)
        if peaks and best < least:
            break
        peaks.append((x, y, float(best)))
        top, left = max(0, y - height // 2), max(0, x - width // 2)
        scores[top : y + height // 2 + 1, left : x + width // 2 + 1] = -2.0
    return peaks
