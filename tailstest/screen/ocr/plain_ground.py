"""Turning any screen into dark text on white, whatever the colours were.

Engines are trained on paper: light text on dark ground, the selected line of a menu or a button in
another colour are read badly or not at all. Screens make it easy to do better: nearly all text
stands in rectangles of one colour or of a gentle gradient. They are found, from the outermost to
the innermost, and every pixel is replaced by its distance from the colour it stands on.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from tailstest.screen.frame import Pixels

#: A ground is at least this large, in pixels: a button with a short word.
MIN_WIDTH, MIN_HEIGHT = 16, 7
#: Share of a rectangle that must be smooth to be a ground; dense text leaves about a third.
MIN_FILL = 0.25
#: Largest difference of neighbours (0 to 255) on a ground: gradients are gentle, letters are not.
MAX_STEP = 4
#: Grounds looked at, the largest ones; a picture has thousands of smooth specks.
MAX_GROUNDS = 400
#: Distance (0 to 255) that is stretched to full black; weaker contrasts are left grey, since what
#: is nearly invisible to a person must not be read.
MIN_CONTRAST = 48


def on_plain_ground(pixels: Pixels) -> Pixels:
    """Return the picture in grey, height x width, with all text dark on white.

    Args:
        pixels: uint8, height x width x 3, in any order of colours.
    """
    ground = _smooth_ground(pixels)
    for rows, columns, colours in _grounds(pixels):
        ground[rows, columns] = colours[:, None, :]
    distance = cv2.absdiff(pixels, ground).max(axis=2)
    # Stretch to full contrast locally, so that grey on grey is as black as white on blue.
    strongest = cv2.dilate(distance, np.ones((15, 25), np.uint8))
    limit = cv2.blur(np.maximum(strongest, MIN_CONTRAST), (15, 15)).astype(np.float32)
    ink = np.minimum(255.0, distance * (255.0 / limit))
    return np.asarray(255 - ink, dtype=np.uint8)


def _smooth_ground(pixels: Pixels) -> Pixels:
    """Estimate the ground of pictures and gradients: the median around each pixel."""
    height, width = pixels.shape[:2]
    half = cv2.resize(pixels, (max(1, width // 2), max(1, height // 2)), None, 0, 0, cv2.INTER_AREA)
    median = cv2.medianBlur(half, 11)
    return np.asarray(
        cv2.resize(median, (width, height), None, 0, 0, cv2.INTER_NEAREST), dtype=np.uint8
    )


def _grounds(pixels: Pixels) -> Iterator[tuple[slice, slice, Pixels]]:
    """Yield rows, columns and the colour of each row of all grounds, the largest ones first."""
    square = np.ones((3, 3), np.uint8)
    step = cv2.subtract(cv2.dilate(pixels, square), cv2.erode(pixels, square)).max(axis=2)
    smooth = np.asarray(step <= MAX_STEP, dtype=np.uint8)
    _number, labels, stats, _centres = cv2.connectedComponentsWithStats(smooth, connectivity=4)
    sizes = stats[:, cv2.CC_STAT_WIDTH] * stats[:, cv2.CC_STAT_HEIGHT]
    is_ground = (
        (stats[:, cv2.CC_STAT_WIDTH] >= MIN_WIDTH)
        & (stats[:, cv2.CC_STAT_HEIGHT] >= MIN_HEIGHT)
        & (stats[:, cv2.CC_STAT_AREA] >= MIN_FILL * sizes)
    )
    is_ground[0] = False  # label 0 is everything that is not smooth
    chosen = np.flatnonzero(is_ground)
    for label in chosen[np.argsort(-sizes[chosen])][:MAX_GROUNDS]:
        x, y, width, height = (int(value) for value in stats[label, :4])
        # One pixel more on every side: the outermost ones touch the next ground.
        rows = slice(max(0, y - 1), y + height + 1)
        columns = slice(max(0, x - 1), x + width + 1)
        yield rows, columns, _row_colours(pixels[rows, columns], labels[rows, columns] == label)


def _row_colours(part: Pixels, mask: npt.NDArray[np.bool_]) -> Pixels:
    """Return the mean colour of each row where `mask` holds; rows without take the nearest."""
    counts = mask.sum(axis=1)
    sums = np.einsum("ij,ijk->ik", mask.astype(np.float32), part.astype(np.float32))
    filled = np.flatnonzero(counts)
    nearest = filled[np.abs(np.arange(len(counts))[:, None] - filled[None, :]).argmin(axis=1)]
    means = sums[nearest] / counts[nearest][:, None]
    return np.asarray(np.rint(means), dtype=np.uint8)
