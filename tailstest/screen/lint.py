"""Finding reference images that check less than their author thinks, before any test runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tailstest.core.geometry import Region
from tailstest.screen.finding import find
from tailstest.screen.frame import Frame, Pixels
from tailstest.screen.library import Problem, ReferenceLibrary
from tailstest.screen.look import IS_THERE, Outcome
from tailstest.screen.matching import Matcher
from tailstest.screen.reference import Area, Reference, Template
from tailstest.screen.verifying import judge

#: Share of a picture above which an area is too large: anything that moves in it breaks the test,
#: and what matters drowns in it.
TOO_LARGE = 0.5
#: Pixels of a side below which a picture may be anything.
TOO_SMALL = 8
#: Standard deviation of brightness below which a reference says next to nothing.
LITTLE_CONTRAST = 8.0
#: Share of pixels with an edge below which a reference says next to nothing.
LITTLE_STRUCTURE = 0.004


def lint_library(library: ReferenceLibrary) -> list[Problem]:
    """Return everything that is wrong or doubtful in a library.

    Unusable files are errors. Warnings: flat, tiny, or too large areas; areas that are found more
    than once in their own picture; areas that would also accept another colour; references that
    would pass for each other although nobody said that they are alternatives (a common tag).
    """
    problems = list(library.problems)
    for reference in library.references:
        problems += [Problem(_file(reference), "warning", remark) for remark in reference.remarks]
        for number, area in enumerate(reference.match_areas, 1):
            for text in _area_problems(reference, area, reference.templates[number - 1]):
                problems.append(Problem(_file(reference), "warning", f"area {number}: {text}"))
    return problems + _confusable(library.references)


def _area_problems(reference: Reference, area: Area, template: Template) -> list[str]:
    texts = []
    width, height = reference.size
    share = area.place.width * area.place.height / (width * height)
    if reference.definition_file is not None and share > TOO_LARGE:
        texts.append(f"covers {share:.0%} of the picture; mark only what matters")
    if min(area.place.width, area.place.height) < TOO_SMALL:
        texts.append(f"only {area.place.width}x{area.place.height} pixels; take more around it")
    if template.is_flat:
        texts.append("is one even surface, which tells nothing; take something with structure")
        return texts
    edges = np.asarray(cv2.Canny(template.grey, 40, 120)) > 0
    if template.deviation < LITTLE_CONTRAST or edges.mean() < LITTLE_STRUCTURE:
        texts.append("has nearly no structure and may match any dark or empty screen")
    if reference.definition_file is not None:
        again = _other_places(reference, area, template)
        if again:
            places = ", ".join(f"{place.x},{place.y}" for place in again[:3])
            texts.append(f"is found again in its own picture at {places}; take more around it")
    if _is_blind_to_colour(template, area):
        texts.append("would also accept another colour; lower its match only a little")
    return texts


def _other_places(reference: Reference, area: Area, template: Template) -> list[Region]:
    frame = Frame(reference.picture.copy())
    found = []
    for candidate in find(frame, template, frame.region):
        place = Region(candidate.at.x, candidate.at.y, area.place.width, area.place.height)
        apart = max(abs(place.x - area.place.x), abs(place.y - area.place.y))
        if apart > 3 and judge(frame.crop(place), template, area.match).outcome is Outcome.FOUND:
            found.append(place)
    return found


def _is_blind_to_colour(template: Template, area: Area) -> bool:
    """Tell whether the area would be found with its hues turned by 120 degrees."""
    hsv = cv2.cvtColor(template.pixels, cv2.COLOR_BGR2HSV)
    if float((hsv[:, :, 1] > 80).mean()) < 0.05:
        return False  # nearly grey: there is no colour to be blind to
    turned = hsv.copy()
    turned[:, :, 0] = (turned[:, :, 0].astype(int) + 60) % 180
    other: Pixels = np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2BGR), dtype=np.uint8)
    return judge(other, template, area.match).outcome in IS_THERE


@dataclass(frozen=True)
class _Pair:
    seen: Reference
    wanted: Reference


def _confusable(references: Sequence[Reference]) -> list[Problem]:
    """Return a warning for each reference that is found in the picture of another one."""
    problems = []
    for pair in _pairs(references):
        look = Matcher().look(Frame(pair.seen.picture.copy()), pair.wanted)
        if look.found:
            text = (
                f'is also found in the picture of "{pair.seen.name}", so a step that wants the'
                " one passes on the other; mark what tells them apart, or give both the same tag"
            )
            problems.append(Problem(_file(pair.wanted), "warning", text))
    return problems


def _pairs(references: Sequence[Reference]) -> list[_Pair]:
    """Return the pairs worth comparing: the wanted one fits, and they are no alternatives."""
    return [
        _Pair(seen, wanted)
        for wanted in references
        for seen in references
        if wanted is not seen
        and not set(wanted.tags) & set(seen.tags)
        and all(
            area.place.width <= seen.size[0] and area.place.height <= seen.size[1]
            for area in wanted.match_areas
        )
    ]


def _file(reference: Reference) -> Path:
    return reference.definition_file or reference.picture_file
