"""Drawn screens for tests of matching: a desktop with a blue label, a list, an icon."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tailstest.core.geometry import Point, Region
from tailstest.screen.frame import Pixels
from tailstest.screen.reference import Area, Reference

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
LABEL = Region(100, 200, 400, 160)
TIGHT = Region(215, 255, 190, 45)
ARROW = [(0, 0), (0, 16), (4, 12), (7, 19), (9, 18), (6, 11), (11, 11)]


def screen(
    text: str = "Connected",
    *,
    ground: tuple[int, int, int] = (40, 80, 200),
    ink: tuple[int, int, int] = (255, 255, 255),
    at: tuple[int, int] = (0, 0),
) -> Pixels:
    picture = Image.new("RGB", (1024, 768), (200, 205, 210))
    noise = np.random.RandomState(1).randint(0, 255, (250, 400, 3), dtype=np.uint8)
    picture.paste(Image.fromarray(cv2.GaussianBlur(noise, (0, 0), 4)), (20, 480))
    draw = ImageDraw.Draw(picture)
    small, large = ImageFont.truetype(FONT, 14), ImageFont.truetype(FONT, 24)
    for row in range(14):
        draw.text((600, 60 + 26 * row), f"List entry number {row}", font=small, fill=(20, 20, 20))
    x, y = LABEL.x + at[0], LABEL.y + at[1]
    draw.rectangle((x, y, x + LABEL.width - 1, y + LABEL.height - 1), fill=ground)
    draw.text((x + 120, y + 62), text, font=large, fill=ink)
    return np.ascontiguousarray(np.array(picture)[:, :, ::-1])


def with_pointer(pixels: Pixels, x: int, y: int) -> Pixels:
    covered = pixels.copy()
    points = np.array(ARROW, dtype=np.int32) + np.array((x, y))
    cv2.fillPoly(covered, [points], (0, 0, 0))
    cv2.polylines(covered, [points], True, (255, 255, 255), 1)
    return covered


def reference(
    pixels: Pixels,
    *places: Region,
    name: str = "label",
    match: float = 96,
    margin: int = 50,
    exclude: tuple[Region, ...] = (),
    **more: object,
) -> Reference:
    areas = [
        Area("match", place, place, match, margin, {"": Point(place.width // 2, place.height // 2)})
        for place in places
    ]
    areas += [Area("exclude", place, place) for place in exclude]
    return Reference(
        name, pixels, tuple(areas), (), {}, Path(f"{name}.png"), Path(f"{name}.json"), **more
    )
