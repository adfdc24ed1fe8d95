"""What a failed look leaves behind: a ready new reference, and pictures of the difference."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np

from tailstest.core.errors import InfrastructureError
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame, Pixels, save_picture
from tailstest.screen.look import AreaLook, Look
from tailstest.screen.reference import Area, Reference, Template

#: Pixels around an area that are shown with it, so that one sees where it is.
CONTEXT = 12

#: Difference in brightness or colour that is painted fully red; smaller ones are paler.
FULL_RED = 64


def keep(
    evidence: EvidenceFolder, frame: Frame, look: Look, reference: Reference
) -> dict[str, str]:
    """Write the evidence of a failed look.

    Args:
        look: the result of searching `frame` for `reference`.

    Returns:
        Role to path in the run's folder: "frame" (all that was on the screen), "reference" (the
        area that was wanted), "found" (what is at the best place), "difference" (both, with red
        where they differ), "candidate" and "candidate_json" (a new reference, ready to be
        accepted).

    Raises:
        InfrastructureError: a file cannot be written.
    """
    number = look.areas.index(look.worst)
    worst, template = look.areas[number], reference.templates[number]
    seen = _same_size(frame.crop(worst.place), template)
    pictures = {
        "frame": frame.pixels,
        "reference": template.pixels,
        "found": seen,
        "difference": difference_picture(seen, template),
        "candidate": frame.pixels if reference.definition_file else seen,
    }
    files: dict[str, str] = {}
    for role, picture in pictures.items():
        kind = "frames" if role == "frame" else "candidates"
        path = evidence.path(kind, f"{reference.name}-{role}", ".png")
        save_picture(picture, path)
        files[role] = evidence.relative(path)
    definition = evidence.path("candidates", f"{reference.name}-candidate", ".json")
    content = json.dumps(_definition(look, reference), indent=2, ensure_ascii=False) + "\n"
    try:
        definition.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(f"cannot write {definition}: {error.strerror}") from error
    files["candidate_json"] = evidence.relative(definition)
    return files


def difference_picture(seen: Pixels, template: Template) -> Pixels:
    """Return the screen in pale grey, with red where it differs from the template.

    Args:
        seen: blue, green, red, of the template's size.
    """
    apart = cv2.absdiff(seen, template.pixels).max(axis=2).astype(np.float32)
    if template.mask is not None:
        apart[~template.mask] = 0
    share = np.clip(apart / FULL_RED, 0, 1)[:, :, None]
    grey = cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY).astype(np.float32)
    pale = np.repeat((0.45 * grey + 135)[:, :, None], 3, axis=2)
    red = np.array([30, 20, 215], dtype=np.float32)
    return np.asarray(pale * (1 - share) + red * share, dtype=np.uint8)


def _same_size(seen: Pixels, template: Template) -> Pixels:
    """Return `seen` padded or cut to the template's size (it may hang over the screen's edge)."""
    height, width = template.grey.shape
    whole = np.zeros((height, width, 3), dtype=np.uint8)
    part = seen[:height, :width]
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def _definition(look: Look, reference: Reference) -> dict[str, Any]:
    if reference.definition_file is None:
        place = look.worst.place
        areas = [_area_json(reference.areas[0], Region(0, 0, place.width, place.height))]
    else:
        frame = Region(0, 0, *look.frame_size)
        places = iter(look.areas)
        areas = []
        offset = look.worst.offset
        for area in reference.areas:
            if area.kind == "match":
                result: AreaLook = next(places)
                place = result.place
            else:
                # What is not matched has moved with the part that matters.
                place = area.place.moved(*offset)
            inside = place.clipped(frame)
            if inside.width and inside.height:
                areas.append(_area_json(area, inside))
    return {"area": areas, "properties": _properties(reference), "tags": list(reference.tags)}


def _properties(reference: Reference) -> list[str | dict[str, str]]:
    return [
        {"name": name, "value": value} if value else name
        for name, value in reference.properties.items()
    ]


def _area_json(area: Area, place: Region) -> dict[str, Any]:
    content: dict[str, Any] = {
        "xpos": place.x,
        "ypos": place.y,
        "width": place.width,
        "height": place.height,
        "type": area.kind,
    }
    if area.kind == "match":
        content |= {"match": area.match, "margin": area.margin}
        content["click_point"] = [
            {"xpos": point.x, "ypos": point.y, "id": name}
            if name
            else {"xpos": point.x, "ypos": point.y}
            for name, point in area.click_points.items()
            if point.x < place.width and point.y < place.height
        ] or "center"
    return content
