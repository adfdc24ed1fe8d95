"""Reference images: a picture and the areas of it that must be on the screen.

The JSON format is openQA's needle format (http://open.qa/docs/#_needles): "tags", "properties" and
"area", each area with xpos, ypos, width, height, type, match, margin and click_point. A picture
without a JSON file is one area that may be anywhere on the screen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from tailstest.core.errors import UsageError
from tailstest.core.geometry import Point, Region
from tailstest.screen.frame import Pixels
from tailstest.screen.picture_file import open_picture

#: openQA's defaults (os-autoinst, needle.pm): match in percent, margin in pixels.
DEFAULT_MATCH = 96
DEFAULT_MARGIN = 50

#: Bytes of a JSON file that is read; openQA's needles have a few hundred.
MAX_DEFINITION_BYTES = 1024 * 1024

#: Standard deviation of brightness below which an area is flat: it has nothing to correlate.
FLAT = 3.0

_AREA_KEYS = frozenset(
    {"xpos", "ypos", "width", "height", "type", "match", "margin", "click_point", "text"}
)
_NEEDLE_KEYS = frozenset({"area", "tags", "properties", "scale", "source"})


@dataclass(frozen=True, eq=False)
class Area:
    """One area of a reference.

    Attributes:
        kind: "match" must be there, "exclude" is not looked at, "ocr" is text (openQA only reads
            it out after a match, and so do we).
        place: in the reference's own picture.
        recorded: on the screen; None for a plain picture.
        match: strictness in percent; 96 forgives rendering, 100 nearly nothing.
        margin: pixels around the recorded place where it is expected.
        click_points: id to point, relative to the area; "" is the default one.
    """

    kind: Literal["match", "exclude", "ocr"]
    place: Region
    recorded: Region | None
    match: float = DEFAULT_MATCH
    margin: int = DEFAULT_MARGIN
    click_points: Mapping[str, Point] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Template:
    """What has to be found for one match area: its pixels, and which of them count.

    Attributes:
        pixels: blue, green, red.
        mask: bool array, True where pixels count; None when all do.
    """

    pixels: Pixels
    mask: np.ndarray[Any, np.dtype[np.bool_]] | None

    @cached_property
    def grey(self) -> Pixels:
        """Brightness, with excluded pixels at the mean so that they say nothing."""
        grey = np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        if self.mask is not None and self.mask.any():
            grey = grey.copy()
            grey[~self.mask] = int(grey[self.mask].mean())
        return grey

    @cached_property
    def half(self) -> Pixels:
        """Brightness at half the size."""
        height, width = self.grey.shape
        size = (max(1, width // 2), max(1, height // 2))
        even = self.grey[: size[1] * 2, : size[0] * 2]
        return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    @cached_property
    def deviation(self) -> float:
        """Standard deviation of brightness over the pixels that count."""
        counted = self.grey if self.mask is None else self.grey[self.mask]
        return float(counted.std()) if counted.size else 0.0

    @property
    def is_flat(self) -> bool:
        """Whether there is nothing in it that could be told from any other even surface."""
        return self.deviation < FLAT

    def scaled(self, factor: float) -> Template:
        """Return the template enlarged by `factor`."""
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        pixels = cv2.resize(self.pixels, None, fx=factor, fy=factor, interpolation=way)
        mask = None
        if self.mask is not None:
            size = (pixels.shape[1], pixels.shape[0])
            wide = cv2.resize(self.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            mask = wide.astype(bool)
        return Template(np.asarray(pixels, dtype=np.uint8), mask)


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference image.

    Attributes:
        name: file name without suffix.
        picture: all of its picture.
        areas: of all kinds.
        tags: names that several references may share.
        properties: name to value ("" for openQA's plain properties).
        picture_file, definition_file: where it came from; no definition for a plain picture.
        may_scale: also look for it smaller and larger.
        remarks: what is odd about the files, for `tailstest lint`.
    """

    name: str
    picture: Pixels
    areas: tuple[Area, ...]
    tags: tuple[str, ...]
    properties: Mapping[str, str]
    picture_file: Path
    definition_file: Path | None
    may_scale: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def match_areas(self) -> tuple[Area, ...]:
        """The areas that must be on the screen."""
        return tuple(area for area in self.areas if area.kind == "match")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its picture."""
        return (int(self.picture.shape[1]), int(self.picture.shape[0]))

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """What has to be found, one for each match area, in order."""
        return tuple(self._template(area) for area in self.match_areas)

    def _template(self, area: Area) -> Template:
        place = area.place
        pixels = self.picture[place.y : place.bottom, place.x : place.right]
        mask: np.ndarray[Any, np.dtype[np.bool_]] | None = None
        for other in self.areas:
            hidden = other.place.clipped(place)
            if other.kind != "exclude" or hidden.width == 0 or hidden.height == 0:
                continue
            if mask is None:
                mask = np.ones(pixels.shape[:2], dtype=bool)
            inner = hidden.moved(-place.x, -place.y)
            mask[inner.y : inner.bottom, inner.x : inner.right] = False
        return Template(pixels, mask)


def load_reference(file: Path) -> Reference:
    """Read a reference from its JSON file or, if it has none, from its picture.

    Raises:
        UsageError: names the file and what is wrong with it.
    """
    if file.suffix.lower() != ".json":
        definition = file.with_suffix(".json")
        return load_reference(definition) if definition.is_file() else _plain(file)
    needle = _read_json(file)
    picture_file = file.with_suffix(".png")
    picture = open_picture(picture_file)
    whole = Region(0, 0, picture.shape[1], picture.shape[0])
    remarks = [f'unknown key "{key}"' for key in sorted(set(needle) - _NEEDLE_KEYS)]
    listed = needle.get("area")
    if not isinstance(listed, list) or not listed:
        raise UsageError(f'{file}: "area" must be a list with at least one area')
    areas = tuple(
        _area(file, number, each, whole, remarks) for number, each in enumerate(listed, 1)
    )
    if all(area.kind != "match" for area in areas):
        raise UsageError(
            f'{file}: no area has the type "match", so there is nothing to find',
            hint='to check text, use the step: Then I see "..."',
        )
    return Reference(
        name=file.stem,
        picture=picture,
        areas=areas,
        tags=_strings(file, needle.get("tags", []), "tags"),
        properties=_properties(file, needle.get("properties", [])),
        picture_file=picture_file,
        definition_file=file,
        may_scale=needle.get("scale") is True,
        remarks=tuple(remarks),
    )


def _plain(file: Path) -> Reference:
    picture = open_picture(file)
    whole = Region(0, 0, picture.shape[1], picture.shape[0])
    area = Area("match", whole, None, click_points={"": Point(*whole.centre)})
    return Reference(file.stem, picture, (area,), (), {}, file, None)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_DEFINITION_BYTES:
            raise UsageError(f"{file}: larger than {MAX_DEFINITION_BYTES} bytes, no reference")
        needle = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{file}:{error.lineno}: not valid JSON: {error.msg} in column {error.colno}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    if not isinstance(needle, dict):
        raise UsageError(f'{file}: must be a JSON object with the key "area"')
    return needle


def _area(file: Path, number: int, raw: Any, whole: Region, remarks: list[str]) -> Area:
    where = f"{file}: area {number}"
    if not isinstance(raw, dict):
        raise UsageError(f"{where}: must be a JSON object")
    remarks += [f'area {number}: unknown key "{key}"' for key in sorted(set(raw) - _AREA_KEYS)]
    kind = raw.get("type", "match")
    if kind not in {"match", "exclude", "ocr"}:
        raise UsageError(f'{where}: type "{kind}" is not one of match, exclude, ocr')
    place = Region(*(_whole(where, raw, key) for key in ("xpos", "ypos", "width", "height")))
    if place.width < 1 or place.height < 1 or not whole.contains(place):
        raise UsageError(
            f"{where}: {tuple(place)} is not inside the picture of {whole.width}x{whole.height}"
        )
    return Area(
        kind=kind,
        place=place,
        recorded=place,
        match=min(100.0, max(0.0, _number(where, raw, "match", DEFAULT_MATCH))),
        margin=int(_number(where, raw, "margin", DEFAULT_MARGIN)),
        click_points=_click_points(where, raw.get("click_point"), place),
    )


def _click_points(where: str, raw: Any, place: Region) -> dict[str, Point]:
    middle = Point(place.width // 2, place.height // 2)
    if raw is None or raw == "center":
        return {"": middle}
    points: dict[str, Point] = {}
    for each in raw if isinstance(raw, list) else [raw]:
        if not isinstance(each, dict) or not {"xpos", "ypos"} <= set(each):
            raise UsageError(f'{where}: click_point must be "center" or have xpos and ypos')
        point = Point(_whole(where, each, "xpos"), _whole(where, each, "ypos"))
        if not (0 <= point.x < place.width and 0 <= point.y < place.height):
            raise UsageError(f"{where}: click_point {tuple(point)} is outside the area")
        name = str(each.get("id", ""))
        if name in points:
            raise UsageError(f'{where}: two click points have the id "{name}"')
        points[name] = point
    points.setdefault("", next(iter(points.values()), middle))
    return points


def _whole(where: str, raw: Mapping[str, Any], key: str) -> int:
    return int(_number(where, raw, key, None))


def _number(where: str, raw: Mapping[str, Any], key: str, default: float | None) -> float:
    value = raw.get(key, default)
    # Some editors write numbers as strings; openQA takes them, and so do we.
    if isinstance(value, str) and value.strip().lstrip("-").replace(".", "", 1).isdigit():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f'{where}: "{key}" must be a number')
    return float(value)


def _strings(file: Path, raw: Any, key: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(each, str) for each in raw):
        raise UsageError(f'{file}: "{key}" must be a list of strings')
    return tuple(raw)


def _properties(file: Path, raw: Any) -> dict[str, str]:
    properties: dict[str, str] = {}
    for each in raw if isinstance(raw, list) else [raw]:
        if isinstance(each, str):
            properties[each] = ""
        elif isinstance(each, dict) and isinstance(each.get("name"), str):
            properties[each["name"]] = str(each.get("value", ""))
        else:
            raise UsageError(f'{file}: "properties" must be strings or objects with a "name"')
    return properties
