"""Drawn screens for tests of matching, and references to parts of them."""

from pathlib import Path

from benchmarks.scenes import LARGE as LABEL
from benchmarks.scenes import TIGHT, with_pointer
from benchmarks.scenes import desktop as screen
from tailstest.core.geometry import Point, Region
from tailstest.screen.frame import Pixels
from tailstest.screen.reference import Area, Reference

__all__ = ["LABEL", "TIGHT", "reference", "screen", "with_pointer"]


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
