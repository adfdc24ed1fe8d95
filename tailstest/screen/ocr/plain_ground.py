"""Turning any screen into dark text on white, whatever the colours were.

Engines are trained on paper: light text on dark ground, the selected line of a menu or a button in
another colour are read badly or not at all. Screens are flat, which makes it easy to do better:
nearly all text stands in rectangles of one exact colour. They are found, from the outermost to the
innermost, and every pixel is replaced by its distance from the colour it stands on.
"""

from __future__ import annotations

import cv2
import numpy as np

from tailstest.core.geometry import Region
from tailstest.screen.frame import Pixels

#: Colours that can be a ground, the most frequent ones of the picture.
MAX_COLOURS = 12
#: A ground is at least this large, in pixels: a button with a short word.
MIN_WIDTH, MIN_HEIGHT = 24, 9
#: Share of a rectangle that must have its ground's colour; dense text leaves about 0.6.
MIN_FILL = 0.45
#: Distance (0-255) that is stretched to full black; weaker contrasts are left grey, since what is
#: nearly invisible to a person must not be read.
MIN_CONTRAST = 48


def on_plain_ground(pixels: Pixels) -> Pixels:
    """Return the picture in grey, height x width, with all text dark on white.

    Args:
        pixels: uint8, height x width x 3, in any order of colours.
    """
    ground = _smooth_ground(pixels)
    for place, colour in _flat_rectangles(pixels):
        ground[place.y : place.bottom, place.x : place.right] = colour
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


def _flat_rectangles(pixels: Pixels) -> list[tuple[Region, Pixels]]:
    """Return rectangles of one colour (apart from what stands on them), the largest first."""
    codes = (
        pixels[:, :, 0].astype(np.int32)
        | (pixels[:, :, 1].astype(np.int32) << 8)
        | (pixels[:, :, 2].astype(np.int32) << 16)
    )
    values, counts = np.unique(codes, return_counts=True)
    frequent = np.argsort(counts)[::-1][:MAX_COLOURS]
    found: list[tuple[Region, Pixels]] = []
    for index in frequent:
        if counts[index] < MIN_WIDTH * MIN_HEIGHT:
            break
        code = int(values[index])
        mask = np.asarray(codes == code, dtype=np.uint8)
        _number, _labels, stats, _centres = cv2.connectedComponentsWithStats(mask, connectivity=4)
        colour = np.array([code & 255, code >> 8 & 255, code >> 16], dtype=np.uint8)
        for x, y, width, height, area in stats[1:]:
            if width < MIN_WIDTH or height < MIN_HEIGHT or area < MIN_FILL * width * height:
                continue
            found.append((Region(int(x), int(y), int(width), int(height)), colour))
    return sorted(found, key=lambda item: -item[0].width * item[0].height)
