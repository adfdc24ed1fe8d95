"""Searching frames for references: where to look, in which order, and which place wins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from tailstest.core.errors import UsageError
from tailstest.core.geometry import Point, Region
from tailstest.screen.finding import Candidate, find
from tailstest.screen.frame import Frame, Pixels
from tailstest.screen.look import IS_THERE, AreaLook, Look, Outcome, Scores
from tailstest.screen.reference import Area, Reference, Template
from tailstest.screen.verifying import Judgement, judge, limits_for

#: Factors tried for references that may appear smaller or larger: usual desktop scalings.
SCALES = (1.25, 1.5, 2.0, 0.5, 0.67, 0.75, 0.8, 0.9, 1.1)

#: Outcomes from the best to the worst explanation of a place.
_ORDER = {outcome: rank for rank, outcome in enumerate(Outcome)}


class Matcher:
    """Looks for references and remembers where it saw them last.

    One matcher serves one screen. It is not safe to use from several threads at once.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], Point] = {}
        self._judged_pixels: Pixels | None = None
        self._judged: dict[int, Look] = {}

    def best(self, frame: Frame, references: Sequence[Reference]) -> Look:
        """Look for several references; return the one that is there, or the most similar.

        Raises:
            UsageError: no reference was given.
        """
        if not references:
            raise UsageError("no reference image was given to look for")
        looks = [self.look(frame, reference) for reference in references]
        return min(looks, key=lambda look: (not look.found, _ORDER[look.outcome], -look.score))

    def look(self, frame: Frame, reference: Reference) -> Look:
        """Look for one reference; a frame that did not change is not searched again."""
        # A screen that did not change gives the same array again (`Frame.taken_again`); a digest
        # of the pixels would cost more than most searches.
        if self._judged_pixels is not frame.pixels:
            self._judged_pixels, self._judged = frame.pixels, {}
        if id(reference) not in self._judged:
            self._judged[id(reference)] = self._look(frame, reference)
        return self._judged[id(reference)]

    def _look(self, frame: Frame, reference: Reference) -> Look:
        started = time.perf_counter()
        look = self._at_scale(frame, reference, 1.0)
        if not look.found and reference.may_scale:
            others = [self._at_scale(frame, reference, scale) for scale in SCALES]
            there = [other for other in others if other.found]
            look = max(there, key=lambda other: other.score) if there else look
        return replace(look, milliseconds=(time.perf_counter() - started) * 1000)

    def _at_scale(self, frame: Frame, reference: Reference, scale: float) -> Look:
        areas: list[AreaLook] = []
        points: dict[str, Point] = {}
        expected: tuple[int, int] | None = None
        pairs = zip(reference.match_areas, reference.templates, strict=True)
        for number, (area, template) in enumerate(pairs):
            if scale != 1.0:
                template = template.scaled(scale)
                area = _enlarged(area, template, scale)
            key = (id(reference), number)
            result = self._area(frame, area, template, expected, self._seen.get(key))
            areas.append(result)
            if result.outcome in IS_THERE:
                self._seen[key] = Point(result.place.x, result.place.y)
                if expected is None and area.recorded is not None:
                    expected = result.offset
            for name, point in area.click_points.items():
                points.setdefault(
                    name,
                    Point(
                        result.place.x + round(point.x * scale),
                        result.place.y + round(point.y * scale),
                    ),
                )
        look = Look(
            reference=reference.name,
            areas=tuple(areas),
            click_points=points,
            searched=_union([each.searched for each in areas]),
            frame_size=(frame.width, frame.height),
            reference_size=reference.size,
            scale=scale,
            known=reference.properties.get("known", ""),
        )
        return look if look.found else replace(look, click_points={})

    def _area(
        self,
        frame: Frame,
        area: Area,
        template: Template,
        expected: tuple[int, int] | None,
        seen: Point | None,
    ) -> AreaLook:
        """Search for one area: last seen, recorded, its surroundings, the whole frame."""
        recorded = area.recorded
        home = Point(recorded.x, recorded.y) if recorded else None
        if expected is not None and home is not None:
            # The other areas have moved, and this one is expected to have moved with them.
            home = Point(home.x + expected[0], home.y + expected[1])
        places = [place for place in (home, seen if home is None else None) if place is not None]
        tried: list[AreaLook] = []
        for place in dict.fromkeys(places):
            result = _judged_at(frame, area, template, Candidate(place, 1.0), None, None)
            if result is not None and result.outcome in {Outcome.FOUND, Outcome.MOVED}:
                return result
            if result is not None:
                tried.append(result)
        windows = []
        if home is not None:
            height, width = template.grey.shape
            windows.append(Region(home.x, home.y, width, height).grown(area.margin))
        if not template.is_flat and expected is None:
            windows.append(frame.region)
        for window in windows:
            results = _search(frame, area, template, window, home)
            best = _nearest_good(results, home)
            if best is not None:
                return best
            tried += results
        return _most_telling(tried) if tried else _nowhere(frame, area, template)


def _search(
    frame: Frame, area: Area, template: Template, window: Region, home: Point | None
) -> list[AreaLook]:
    window = window.clipped(frame.region)
    candidates = find(frame, template, window)
    results = []
    for number, candidate in enumerate(candidates):
        others = [other.correlation for index, other in enumerate(candidates) if index != number]
        next_best = max(others, default=None)
        result = _judged_at(frame, area, template, candidate, next_best, window)
        if result is not None:
            results.append(result)
    return results


def _judged_at(
    frame: Frame,
    area: Area,
    template: Template,
    candidate: Candidate,
    next_best: float | None,
    window: Region | None,
) -> AreaLook | None:
    """Return the result at one place, or None if the area does not fit into the frame there."""
    height, width = template.grey.shape
    place = Region(candidate.at.x, candidate.at.y, width, height)
    if not frame.region.contains(place):
        return None
    judgement: Judgement = judge(frame.crop(place), template, area.match)
    recorded = area.recorded
    outcome = judgement.outcome
    if outcome is Outcome.FOUND and recorded is not None:
        apart = max(abs(place.x - recorded.x), abs(place.y - recorded.y))
        if apart > area.margin:
            outcome = Outcome.MOVED
    return AreaLook(
        recorded=recorded,
        place=place,
        outcome=outcome,
        scores=judgement.scores,
        limits=judgement.limits,
        next_best=next_best,
        searched=window or place,
        differs=judgement.differs.moved(place.x, place.y) if judgement.differs else None,
    )


def _nearest_good(results: Sequence[AreaLook], home: Point | None) -> AreaLook | None:
    """Return the result that is there; equals are told apart by their distance to `home`."""
    good = [each for each in results if each.outcome in IS_THERE]
    if not good:
        return None
    if home is None:
        return max(good, key=lambda each: each.scores.correlation)
    uncovered = [each for each in good if each.outcome is not Outcome.PARTLY_COVERED]
    return min(
        uncovered or good,
        key=lambda each: (each.place.x - home.x) ** 2 + (each.place.y - home.y) ** 2,
    )


def _most_telling(results: Sequence[AreaLook]) -> AreaLook:
    """Return the result that explains best what is on the screen instead."""
    return min(results, key=lambda each: (_ORDER[each.outcome], -each.scores.correlation))


def _nowhere(frame: Frame, area: Area, template: Template) -> AreaLook:
    """Return the result for an area that does not even fit into the frame."""
    height, width = template.grey.shape
    return AreaLook(
        recorded=area.recorded,
        place=(area.recorded or Region(0, 0, width, height)).clipped(frame.region),
        outcome=Outcome.ABSENT,
        scores=Scores(correlation=0.0),
        limits=limits_for(area.match),
        next_best=None,
        searched=frame.region,
    )


def _enlarged(area: Area, template: Template, scale: float) -> Area:
    if area.recorded is None:
        return area
    height, width = template.grey.shape
    x, y = round(area.recorded.x * scale), round(area.recorded.y * scale)
    return replace(area, recorded=Region(x, y, width, height))


def _union(regions: Sequence[Region]) -> Region:
    left, top = min(each.x for each in regions), min(each.y for each in regions)
    right, bottom = max(each.right for each in regions), max(each.bottom for each in regions)
    return Region(left, top, right - left, bottom - top)
