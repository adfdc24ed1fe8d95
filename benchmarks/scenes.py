"""A drawn 1024x768 desktop: a label on a coloured box, a list, a picture with noise.

The benchmark of matching and its tests look at the same screens.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tailstest.core.geometry import Region
from tailstest.screen.frame import Pixels

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
LARGE = Region(100, 200, 400, 160)
TIGHT = Region(215, 255, 190, 45)
ARROW = [(0, 0), (0, 16), (4, 12), (7, 19), (9, 18), (6, 11), (11, 11)]


def desktop(
    text: str = "Connected",
    ground: tuple[int, int, int] = (40, 80, 200),
    ink: tuple[int, int, int] = (255, 255, 255),
    at: tuple[int, int] = (0, 0),
) -> Pixels:
    """Return the drawn screen; `at` moves the label."""
    picture = Image.new("RGB", (1024, 768), (200, 205, 210))
    noise = np.random.RandomState(7).randint(0, 255, (250, 400, 3), dtype=np.uint8)
    picture.paste(Image.fromarray(cv2.GaussianBlur(noise, (0, 0), 4)), (20, 480))
    draw = ImageDraw.Draw(picture)
    small, large = ImageFont.truetype(FONT, 14), ImageFont.truetype(FONT, 24)
    for row in range(14):
        draw.text((600, 60 + 26 * row), f"List entry number {row}", font=small, fill=(20, 20, 20))
    x, y = LARGE.x + at[0], LARGE.y + at[1]
    draw.rectangle((x, y, x + LARGE.width - 1, y + LARGE.height - 1), fill=ground)
    draw.text((x + 120, y + 62), text, font=large, fill=ink)
    return np.ascontiguousarray(np.array(picture)[:, :, ::-1])


def with_pointer(pixels: Pixels, x: int, y: int) -> Pixels:
    """Return the screen with a mouse pointer whose tip is at x,y."""
    covered = pixels.copy()
    points = np.array(ARROW, dtype=np.int32) + np.array((x, y))
    cv2.fillPoly(covered, [points], (0, 0, 0))
    cv2.polylines(covered, [points], True, (255, 255, 255), 1)
    return covered
