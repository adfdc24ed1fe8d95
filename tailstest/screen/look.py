"""What a search of the screen found: places, scores and a name for the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tailstest.core.geometry import Point, Region


class Outcome(StrEnum):
    """How a part of the screen relates to a reference."""

    FOUND = "found"
    MOVED = "moved"
    PARTLY_COVERED = "partly covered"
    GREYED_OUT = "greyed out"
    OTHER_COLOUR = "another colour"
    TEXT_DIFFERS = "text differs"
    ABSENT = "absent"


#: No part of a frame.
NOWHERE = Region(0, 0, 0, 0)

#: Outcomes in which a person would say: yes, it is there.
IS_THERE = frozenset({Outcome.FOUND, Outcome.MOVED, Outcome.PARTLY_COVERED})


@dataclass(frozen=True)
class Scores:
    """What was measured at one place; each judged on its own.

    Attributes:
        correlation: normalised correlation of brightness, -1 to 1; finds, but proves nothing.
        contrast: contrast on the screen relative to the reference; 1 is equal, 0.3 greyed out.
        brightness: mean difference of brightness, in grey levels.
        difference: largest local difference in brightness (9x9 pixels, root mean square) after
            contrast and brightness were taken out, as a share of the reference's range.
        colour: largest local difference in colour, as distance in CIE L*a*b* without L*.
        changed: share of the area's pixels that differ.
    """

    correlation: float
    contrast: float = 1.0
    brightness: float = 0.0
    difference: float = 0.0
    colour: float = 0.0
    changed: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What the scores were compared with; see `Scores`."""

    correlation: float
    contrast: float
    brightness: float
    difference: float
    colour: float


@dataclass(frozen=True)
class AreaLook:
    """The result for one area of a reference.

    Attributes:
        recorded: where the reference has it; None for a plain picture without a place.
        place: where the best candidate is.
        outcome: what that candidate is.
        scores, limits: measured, and compared with.
        next_best: correlation of the second best place; None when nothing else was searched.
        searched: the part of the frame that was searched.
        differs: where the difference is largest, in screen coordinates; None if nowhere.
    """

    recorded: Region | None
    place: Region
    outcome: Outcome
    scores: Scores
    limits: Limits
    next_best: float | None
    searched: Region
    differs: Region | None = None

    @property
    def offset(self) -> tuple[int, int]:
        """How far it is from where it was recorded, in pixels; (0, 0) if nowhere recorded."""
        if self.recorded is None:
            return (0, 0)
        return (self.place.x - self.recorded.x, self.place.y - self.recorded.y)

    @property
    def margin(self) -> float | None:
        """How much better the best place correlates than the next best one."""
        return None if self.next_best is None else self.scores.correlation - self.next_best

    def explain(self) -> str:
        """Say in words what is there."""
        scores, dx_dy = self.scores, "{:+d},{:+d}".format(*self.offset)
        x, y = self.place.x, self.place.y
        match self.outcome:
            case Outcome.FOUND:
                moved = f", moved by {dx_dy}" if self.offset != (0, 0) else ""
                return f"found at {x},{y}{moved}"
            case Outcome.MOVED:
                return f"found at {x},{y}, moved by {dx_dy}"
            case Outcome.PARTLY_COVERED:
                return f"there at {x},{y}, but partly covered (pointer or caret)"
            case Outcome.GREYED_OUT:
                word = "greyed out" if scores.contrast < 1 else "not greyed out as recorded"
                return (
                    f"there at {x},{y}, but {word}: {scores.contrast:.0%} of the contrast, "
                    f"brightness {scores.brightness:+.0f}"
                )
            case Outcome.OTHER_COLOUR:
                return f"there at {x},{y}, but in another colour (distance {scores.colour:.0f})"
            case Outcome.TEXT_DIFFERS:
                where = (
                    f" around {self.differs.centre.x},{self.differs.centre.y}"
                    if (self.differs)
                    else ""
                )
                return f"there at {x},{y}, but the text or picture differs{where}"
            case _:
                return (
                    f"not there; the most similar place is {x},{y} "
                    f"(correlation {scores.correlation:.2f}, {self.limits.correlation:.2f} needed)"
                )


@dataclass(frozen=True)
class Look:
    """The result of one search of one frame for one reference.

    Attributes:
        reference: its name.
        areas: one result for each of its match areas.
        click_points: id to point on the screen; "" is the default one. Empty unless found.
        milliseconds: how long the search took.
        searched: all that was searched.
        frame_size: width and height of the frame.
        reference_size: of the picture that the reference was taken from.
        scale: factor by which the reference had to be enlarged to be found.
        known: property of the reference: the bug that keeps it from being found, and until when.
    """

    reference: str
    areas: tuple[AreaLook, ...]
    click_points: Mapping[str, Point] = field(default_factory=dict)
    milliseconds: float = 0.0
    searched: Region = NOWHERE
    frame_size: tuple[int, int] = (0, 0)
    reference_size: tuple[int, int] = (0, 0)
    scale: float = 1.0
    known: str = ""

    @property
    def worst(self) -> AreaLook:
        """The area that decides about the outcome."""
        order = list(Outcome)
        return max(
            self.areas, key=lambda area: (order.index(area.outcome), -area.scores.correlation)
        )

    @property
    def outcome(self) -> Outcome:
        """The outcome of the worst area."""
        return self.worst.outcome

    @property
    def found(self) -> bool:
        """Whether a person would say that it is there as recorded."""
        return self.outcome in IS_THERE

    @property
    def score(self) -> float:
        """Correlation of the worst area, to order looks for several references."""
        return min(area.scores.correlation for area in self.areas)

    def explain(self) -> str:
        """Say in a sentence or two what the screen shows instead, or that it is there."""
        text = f'"{self.reference}" is {self.worst.explain()}'
        if len(self.areas) > 1 and not self.found:
            good = sum(area.outcome in IS_THERE for area in self.areas)
            text += f"; {good} of its {len(self.areas)} areas are right"
        if self.outcome is Outcome.ABSENT and not self._is_same_size:
            text += "; the screen has {}x{} pixels, the reference was taken at {}x{}".format(
                *self.frame_size, *self.reference_size
            )
        if self.scale != 1.0:
            text += f"; {self.scale:g} times as large as recorded"
        return text

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "reference": self.reference,
            "outcome": self.outcome.value,
            "found": self.found,
            "explanation": self.explain(),
            "click_points": {name: list(point) for name, point in self.click_points.items()},
            "milliseconds": round(self.milliseconds, 3),
            "searched": list(self.searched),
            "frame_size": list(self.frame_size),
            "reference_size": list(self.reference_size),
            "scale": self.scale,
            **({"known": self.known} if self.known else {}),
            "areas": [
                {
                    "recorded": list(area.recorded) if area.recorded else None,
                    "place": list(area.place),
                    "offset": list(area.offset),
                    "outcome": area.outcome.value,
                    "scores": {key: round(value, 4) for key, value in asdict(area.scores).items()},
                    "limits": asdict(area.limits),
                    "next_best": area.next_best,
                    "margin": area.margin,
                    "searched": list(area.searched),
                    "differs": list(area.differs) if area.differs else None,
                    "explanation": area.explain(),
                }
                for area in self.areas
            ],
        }

    @property
    def _is_same_size(self) -> bool:
        # A plain picture is a cut-out: its size says nothing about the screen it came from.
        return self.frame_size == self.reference_size or any(
            area.recorded is None for area in self.areas
        )
