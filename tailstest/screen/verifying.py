"""Judging one place of a frame strictly: structure, contrast, brightness and colour apart.

Correlation says that something similar is there. Whether it is the same is decided here, on small
neighbourhoods, so that one wrong letter in a large area is as visible as in a small one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from tailstest.core.geometry import Region
from tailstest.screen.frame import Floats, Pixels
from tailstest.screen.look import Limits, Outcome, Scores
from tailstest.screen.reference import DEFAULT_MATCH, Template

#: Side of the neighbourhood in pixels: about one letter of a 9 point user interface font.
BLOCK = 9

#: Correlation below which two patches are different things rather than a changed one. Half-pixel
#: rendering, greying out and single letters leave more than 0.8 in our measurements.
SIMILAR = 0.70

#: Correlation from which two pictures have the same shapes, whatever their contrast.
SAME_SHAPE = 0.93

#: Limits at match 96, chosen on the benchmark's fixed set: half-pixel shifts and JPEG quality 75
#: stay below, one wrong letter and greying out stay above.
DIFFERENCE = 0.17
CONTRAST = 0.78
BRIGHTNESS = 28.0
COLOUR = 16.0

#: Largest shift between reference and screen that counts as rendering, in pixels.
SUB_PIXEL = 0.75

#: Size of mouse pointers and text carets in pixels; larger things that cover a part are not them.
POINTER_HEIGHT = (14, 40)
POINTER_WIDTH = (7, 30)
CARET_HEIGHT = (8, 48)
CARET_WIDTH = 3


@dataclass(frozen=True)
class Judgement:
    """The verdict on one place: outcome, scores, what they were compared with, where it differs.

    `differs` is relative to the patch.
    """

    outcome: Outcome
    scores: Scores
    limits: Limits
    differs: Region | None = None


def limits_for(match: float) -> Limits:
    """Return the limits for a strictness in percent, as openQA's needles have it.

    96 is the default; each percent below forgives a quarter more, 100 forgives a quarter of it.
    """
    factor = max(0.25, 1.0 + (DEFAULT_MATCH - match) * 0.25) if match < 99.5 else 0.25
    return Limits(
        correlation=max(0.3, SIMILAR - 0.02 * max(0.0, DEFAULT_MATCH - match)),
        contrast=max(0.2, 1 - (1 - CONTRAST) * factor),
        brightness=BRIGHTNESS * factor,
        difference=DIFFERENCE * factor,
        colour=COLOUR * factor,
    )


def judge(patch: Pixels, template: Template, match: float) -> Judgement:
    """Compare a patch of the screen with what should be there.

    Args:
        patch: blue, green, red; of the template's size.
        template: what is wanted.
        match: strictness in percent.
    """
    limits = limits_for(match)
    seen = np.asarray(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY), dtype=np.float32)
    wanted = template.grey.astype(np.float32)
    counted = template.mask
    if template.is_flat:
        return _judge_flat(patch, seen, wanted, template, limits)
    if np.array_equal(patch, template.pixels):
        return Judgement(Outcome.FOUND, Scores(correlation=1.0), limits)
    correlation = _correlation(seen, wanted, counted)
    if correlation < limits.correlation:
        return Judgement(Outcome.ABSENT, Scores(correlation=correlation), limits)
    wanted_colour = template.pixels
    spread = max(64.0, float(np.ptp(wanted if counted is None else wanted[counted])))
    contrast, residual = _levelled_residual(seen, wanted, counted)
    local = _local_rms(residual) / spread
    shift = _sub_pixel_shift(seen, wanted) if local.max() > limits.difference else None
    if shift is not None:
        wanted, wanted_colour = _shifted(wanted, shift), _shifted(wanted_colour, shift)
        contrast, residual = _levelled_residual(seen, wanted, counted)
        # What came in from outside the picture when it was moved is not known.
        residual[[0, -1], :] = 0
        residual[:, [0, -1]] = 0
        local = _local_rms(residual) / spread
    colour = _colour_distance(patch, wanted_colour, counted)
    apart = seen - wanted
    brightness = float(apart.mean() if counted is None else apart[counted].mean())
    changed = local > limits.difference
    tinted = colour > limits.colour
    scores = Scores(
        correlation=correlation,
        contrast=contrast,
        brightness=brightness,
        difference=float(local.max()),
        colour=float(colour.max()),
        changed=float(changed.mean()),
    )
    outcome, differs = _outcome(scores, limits, changed, tinted, residual, seen, wanted, patch)
    return Judgement(outcome, scores, limits, differs)


def _outcome(
    scores: Scores,
    limits: Limits,
    changed: Any,
    tinted: Any,
    residual: Floats,
    seen: Floats,
    wanted: Floats,
    patch: Pixels,
) -> tuple[Outcome, Region | None]:
    is_pale = scores.contrast < limits.contrast or abs(scores.brightness) > limits.brightness
    if is_pale and not changed.any():
        return Outcome.GREYED_OUT, None
    if not changed.any():
        if not tinted.any():
            return Outcome.FOUND, None
        place = _bounds(tinted)
        return (Outcome.GREYED_OUT if is_pale else Outcome.OTHER_COLOUR), place
    place = _bounds(changed)
    # Other letters lower the contrast that fits best too; only a picture that is the same apart
    # from its contrast is greyed out.
    if is_pale and scores.correlation > SAME_SHAPE:
        return Outcome.GREYED_OUT, place
    inked = np.abs(residual) > 0.25 * max(64.0, float(np.ptp(wanted)))
    if _is_caret(inked, wanted) or _is_pointer(inked):
        return Outcome.PARTLY_COVERED, place
    return _local_change(seen, wanted, place, tinted), place


def _local_change(seen: Floats, wanted: Floats, place: Region, tinted: Any) -> Outcome:
    """Name a change that is confined to a part: greyed out, recoloured, or different."""
    rows = slice(place.y, place.bottom)
    columns = slice(place.x, place.right)
    part, old = seen[rows, columns], wanted[rows, columns]
    if old.std() < FLAT_PART or part.std() < FLAT_PART:
        return Outcome.OTHER_COLOUR if tinted[rows, columns].mean() > 0.5 else Outcome.TEXT_DIFFERS
    if _correlation(part, old, None) < 0.85:
        return Outcome.TEXT_DIFFERS
    contrast, _offset = _gain(part, old, None)
    return Outcome.GREYED_OUT if contrast < CONTRAST else Outcome.OTHER_COLOUR


#: Standard deviation below which a part of an area has no structure of its own.
FLAT_PART = 4.0


def _judge_flat(
    patch: Pixels, seen: Floats, wanted: Floats, template: Template, limits: Limits
) -> Judgement:
    """Compare even surfaces by their values, because they have nothing to correlate."""
    counted = template.mask if template.mask is not None else np.ones(seen.shape, dtype=bool)
    if not counted.any():
        return Judgement(Outcome.ABSENT, Scores(correlation=0.0), limits)
    brightness = float((seen - wanted)[counted].mean())
    uneven = float(seen[counted].std())
    colour = float(_colour_distance(patch, template.pixels, template.mask).max())
    scores = Scores(
        correlation=max(0.0, 1.0 - (abs(brightness) + uneven) / 64.0),
        brightness=brightness,
        colour=colour,
        difference=uneven / 255.0,
    )
    if abs(brightness) <= limits.brightness / 4 and uneven < FLAT_PART:
        is_same = colour <= limits.colour / 2
        return Judgement(Outcome.FOUND if is_same else Outcome.OTHER_COLOUR, scores, limits)
    return Judgement(Outcome.ABSENT, scores, limits)


def _correlation(seen: Floats, wanted: Floats, counted: Any) -> float:
    one, other = (seen, wanted) if counted is None else (seen[counted], wanted[counted])
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0


def _gain(seen: Floats, wanted: Floats, counted: Any) -> tuple[float, float]:
    """Return contrast and offset with which `wanted` explains `seen` best (least squares)."""
    one, other = (seen, wanted) if counted is None else (seen[counted], wanted[counted])
    centred = other - other.mean()
    power = float((centred * centred).sum())
    contrast = float((centred * (one - one.mean())).sum()) / power if power > 0 else 1.0
    return contrast, float(one.mean() - contrast * other.mean())


def _levelled_residual(seen: Floats, wanted: Floats, counted: Any) -> tuple[float, Floats]:
    """Return the contrast, and what differs when contrast and brightness are taken out."""
    contrast, offset = _gain(seen, wanted, counted)
    residual = (seen - np.float32(offset)) / np.float32(max(contrast, 0.05)) - wanted
    if counted is not None:
        residual = np.where(counted, residual, np.float32(0))
    return contrast, residual


def _sub_pixel_shift(seen: Floats, wanted: Floats) -> tuple[float, float] | None:
    """Return a shift below a pixel that explains the difference, or None.

    One step of Lucas and Kanade's method (1981) with the gradients of the wanted picture; it is
    taken only if it makes the difference clearly smaller.
    """
    across = np.asarray(cv2.Sobel(wanted, cv2.CV_32F, 1, 0, ksize=3), dtype=np.float32) / 8.0
    down = np.asarray(cv2.Sobel(wanted, cv2.CV_32F, 0, 1, ksize=3), dtype=np.float32) / 8.0
    contrast, offset = _gain(seen, wanted, None)
    error = (seen - offset) / max(contrast, 0.05) - wanted
    matrix = np.array(
        [
            [float((across * across).sum()), float((across * down).sum())],
            [float((across * down).sum()), float((down * down).sum())],
        ]
    )
    if abs(np.linalg.det(matrix)) < 1e-3:
        return None
    gradient = np.array([-float((across * error).sum()), -float((down * error).sum())])
    dx, dy = (float(step) for step in np.linalg.solve(matrix, gradient))
    # Strokes are thinner than the gradient filter, so a step estimates too little: try twice it.
    best: tuple[float, float] | None = None
    smallest = 0.7 * float((error * error).sum())
    for stretch in (1.0, 1.6, 2.2):
        step = (dx * stretch, dy * stretch)
        if not 0.08 < max(abs(step[0]), abs(step[1])) <= SUB_PIXEL:
            continue
        moved = _shifted(wanted, step)
        contrast, offset = _gain(seen, moved, None)
        rest = (seen - offset) / max(contrast, 0.05) - moved
        power = float((rest * rest).sum())
        if power < smallest:
            smallest, best = power, step
    return best


def _shifted(picture: Any, shift: tuple[float, float]) -> Any:
    """Return the picture moved by less than a pixel, interpolated bilinearly."""
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], dtype=np.float32)
    size = (picture.shape[1], picture.shape[0])
    return cv2.warpAffine(
        picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _local_rms(residual: Floats) -> Floats:
    squared = cv2.boxFilter(
        residual * residual, cv2.CV_32F, (BLOCK, BLOCK), borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(np.sqrt(np.maximum(squared, 0)), dtype=np.float32)


def _colour_distance(patch: Pixels, wanted: Pixels, counted: Any) -> Floats:
    """Return the distance of a* and b* (CIE L*a*b*), averaged over neighbourhoods.

    The average comes first, because JPEG and sub-pixel rendering spread colour over neighbours.
    """
    seen_lab = cv2.cvtColor(patch, cv2.COLOR_BGR2LAB)[:, :, 1:].astype(np.float32)
    wanted_lab = cv2.cvtColor(wanted, cv2.COLOR_BGR2LAB)[:, :, 1:].astype(np.float32)
    apart = seen_lab - wanted_lab
    if counted is not None:
        apart = np.where(counted[:, :, None], apart, np.float32(0))
    mean = cv2.boxFilter(apart, cv2.CV_32F, (BLOCK, BLOCK), borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.sqrt((mean * mean).sum(axis=2)), dtype=np.float32)


def _bounds(mask: Any) -> Region:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return Region(x, y, width, height)


def _is_caret(inked: Any, wanted: Floats) -> bool:
    """Tell whether all that differs is one text caret: a thin bar on what was empty before.

    A letter "l" that came or went is a thin bar too. So the bar must stand where the reference has
    no ink, and reach above or below the letters beside it, as carets do.
    """
    bar = _bounds(inked)
    if not (bar.width <= CARET_WIDTH and CARET_HEIGHT[0] <= bar.height <= CARET_HEIGHT[1]):
        return False
    ink = np.abs(wanted - np.median(wanted)) > 0.25 * max(64.0, float(np.ptp(wanted)))
    if (ink & inked).sum() > 0.2 * inked.sum():
        return False
    left, right = max(0, bar.x - bar.height), bar.right + bar.height
    rows = np.flatnonzero(ink[:, left:right].any(axis=1))
    near = rows[(rows >= bar.y - bar.height) & (rows < bar.bottom + bar.height)]
    return near.size == 0 or bar.height >= 1.15 * float(near.max() - near.min() + 1)


def _is_pointer(inked: Any) -> bool:
    """Tell whether all that differs is one mouse pointer, by its shape."""
    mask = cv2.morphologyEx(
        inked.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), dtype=np.uint8)
    )
    contours, _tree = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [each for each in contours if cv2.contourArea(each) + len(each) > 8]
    if len(large) != 1:
        return False
    x, y, width, height = cv2.boundingRect(large[0])
    if not (
        POINTER_WIDTH[0] <= width <= POINTER_WIDTH[1]
        and POINTER_HEIGHT[0] <= height <= POINTER_HEIGHT[1]
    ):
        return False
    filled = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(filled, large, -1, 1, cv2.FILLED)
    return _is_arrow(filled[y : y + height, x : x + width].astype(bool))


def _is_arrow(shape: Any) -> bool:
    """Tell whether a filled shape is an arrow: an upright left edge that widens downwards."""
    rows = shape[: max(4, int(shape.shape[0] * 0.55))]
    if not rows.any(axis=1).all():
        return False
    left = rows.argmax(axis=1)
    widths = rows.sum(axis=1)
    half = len(widths) // 2
    is_upright = int(np.percentile(left, 90)) <= 2
    is_widening = bool(
        (np.diff(widths) >= -2).all() and widths[half:].mean() > 1.6 * widths[:half].mean()
    )
    return is_upright and is_widening
