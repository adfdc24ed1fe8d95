"""The table that says whose trouble a failure is.

Pure: four cells go in, an answer comes out. A cell is what came of one way to run the scenario
again; the rows are tried from top to bottom and the first that fits decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tailstest.results.suspect import NOT_THE_IMAGE, Suspect
from tailstest.suite.trials.outcome import Outcome


class Cell(StrEnum):
    """What came of one way."""

    PASSED = "passed"
    FAILED = "failed"
    MIXED = "mixed"  # failed and passed
    UNCLEAR = "unclear"  # ran, and said nothing about product or test
    MISSING = "-"  # could not be done, or need not be


class Kind(StrEnum):
    """Whose trouble it is."""

    PRODUCT = "product"
    TEST = "test"
    INFRASTRUCTURE = "infrastructure"
    FLAKE = "flake"
    UNDECIDED = "undecided"


class Certainty(StrEnum):
    """How far the answer can be relied on."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    def lowered(self) -> Certainty:
        """Return the next lower one."""
        return Certainty.MEDIUM if self is Certainty.HIGH else Certainty.LOW


@dataclass(frozen=True)
class Ways:
    """The four ways, and what the failure itself left as evidence.

    Attributes:
        again: as it was.
        old_suite: the last good suite, with this image.
        old_image: this suite, with the last good image.
        both: the last good suite with the last good image, which passed before.
        suspect: of the attempt that failed.
    """

    again: Cell
    old_suite: Cell = Cell.MISSING
    old_image: Cell = Cell.MISSING
    both: Cell = Cell.MISSING
    suspect: Suspect | None = None

    @property
    def cells(self) -> tuple[Cell, Cell, Cell, Cell]:
        """All four, in their order."""
        return (self.again, self.old_suite, self.old_image, self.both)


@dataclass(frozen=True)
class Decision:
    """The answer, and why."""

    kind: Kind
    certainty: Certainty
    reason: str


_P, _F, _N = Cell.PASSED, Cell.FAILED, Cell.MISSING
_HIGH, _MEDIUM, _LOW = Certainty

#: For a scenario that failed again: old suite, old image, both; then the answer. `None` is for the
#: suspect to decide.
TABLE: tuple[tuple[Cell, Cell, Cell, Kind | None, Certainty, str], ...] = (
    (_P, _F, _P, Kind.TEST, _HIGH, "it follows the suite: each image passes with the old one only"),
    (_F, _P, _P, Kind.PRODUCT, _HIGH, "it follows the image: each suite fails on the new one only"),
    (
        *(_P, _P, _P, Kind.PRODUCT, _LOW),
        "only the new suite on the new image fails: a new check of something that is new",
    ),
    (
        *(_F, _F, _P, Kind.PRODUCT, _MEDIUM),
        "the old suite fails on the new image, and the new suite on the old one: mend both",
    ),
    (_F, _N, _P, Kind.PRODUCT, _HIGH, "the old suite passes on the old image and fails on the new"),
    (_P, _N, _P, Kind.TEST, _HIGH, "the old suite passes on both images"),
    (_N, _P, _P, Kind.PRODUCT, _MEDIUM, "this suite passes on the last good image"),
    (_N, _F, _P, Kind.TEST, _HIGH, "on the last good image the old suite passes, this one fails"),
    (_N, _N, _P, None, _LOW, "what was good is good; neither half could be tried alone"),
    (
        _F,
        _F,
        _F,
        Kind.INFRASTRUCTURE,
        _HIGH,
        "even what passed before fails: the host or network changed",
    ),
    (
        *(_P, _F, _F, Kind.TEST, _LOW),
        "this image passes with the old suite, but that pair fails which passed before",
    ),
    (
        *(_F, _P, _F, Kind.PRODUCT, _LOW),
        "this suite passes on the old image, but that pair fails which passed before",
    ),
    (_P, _P, _F, Kind.FLAKE, _LOW, "passes and failures follow neither suite nor image"),
    (_F, _N, _F, Kind.INFRASTRUCTURE, _MEDIUM, "even what passed before fails"),
    (_P, _N, _F, Kind.TEST, _LOW, "this image passes with the old suite"),
    (_N, _P, _F, Kind.PRODUCT, _LOW, "this suite passes on the old image"),
    (_N, _F, _F, Kind.INFRASTRUCTURE, _MEDIUM, "even what passed before fails"),
    (_N, _N, _F, Kind.INFRASTRUCTURE, _MEDIUM, "even what passed before fails"),
    (_P, _F, _N, Kind.TEST, _MEDIUM, "the new suite fails on both images, the old one passes"),
    (_F, _P, _N, Kind.PRODUCT, _MEDIUM, "both suites fail on this image, the old image passes"),
    (_P, _P, _N, Kind.PRODUCT, _LOW, "only the new suite on the new image fails"),
    (_F, _F, _N, Kind.UNDECIDED, _LOW, "everything fails, and what was good could not be tried"),
    (_F, _N, _N, Kind.PRODUCT, _LOW, "it fails with the last good suite, too"),
    (_P, _N, _N, Kind.TEST, _MEDIUM, "this image passes with the last good suite"),
    (_N, _P, _N, Kind.PRODUCT, _MEDIUM, "this suite passes on the last good image"),
    (_N, _F, _N, Kind.TEST, _LOW, "this suite fails on the last good image, too"),
    (_N, _N, _N, None, _LOW, "it fails again, and nothing could be compared"),
)
_BY_SUSPECT = {
    Suspect.PRODUCT: Kind.PRODUCT,
    Suspect.CRASH: Kind.PRODUCT,
    Suspect.TEST: Kind.TEST,
    **dict.fromkeys(NOT_THE_IMAGE, Kind.INFRASTRUCTURE),
}


def decide(ways: Ways, lowered_by: Iterable[str] = ()) -> Decision:
    """Return whose trouble a failure is.

    Args:
        lowered_by: what could not be done as it should be; each lowers the certainty.
    """
    found = _decide(ways)
    certainty = found.certainty
    for _note in lowered_by:
        certainty = certainty.lowered()
    return Decision(found.kind, certainty, found.reason)


def cell_of(outcomes: Iterable[Outcome]) -> Cell:
    """Return what several trials of one way say together."""
    seen = set(outcomes)
    if {Outcome.PASSED, Outcome.FAILED} <= seen:
        return Cell.MIXED
    if Outcome.PASSED in seen:
        return Cell.PASSED
    return Cell.FAILED if Outcome.FAILED in seen else Cell.UNCLEAR


def _decide(ways: Ways) -> Decision:
    if ways.again is Cell.MIXED:
        return Decision(Kind.FLAKE, _HIGH, "it fails and passes with nothing changed")
    if ways.again is Cell.PASSED:
        if ways.suspect in NOT_THE_IMAGE:
            text = f"it passes again, and the suspect was: {ways.suspect}"
            return Decision(Kind.INFRASTRUCTURE, _MEDIUM, text)
        return Decision(Kind.FLAKE, _HIGH, "it passes again with nothing changed")
    if Cell.MIXED in ways.cells:
        return Decision(Kind.FLAKE, _MEDIUM, "with an older suite or image it fails and passes")
    if ways.again is Cell.UNCLEAR:
        others = set(ways.cells[1:])
        certainty = _MEDIUM if others & {Cell.PASSED, Cell.FAILED} else _HIGH
        return Decision(
            Kind.INFRASTRUCTURE, certainty, "running it again says nothing: host trouble"
        )
    told = [Cell.MISSING if each is Cell.UNCLEAR else each for each in ways.cells[1:]]
    row = next(row for row in TABLE if list(row[:3]) == told)
    _s, _i, _b, kind, certainty, reason = row
    if kind is None:
        kind = _BY_SUSPECT.get(ways.suspect, Kind.UNDECIDED) if ways.suspect else Kind.UNDECIDED
        reason += f"; the suspect is: {ways.suspect}" if ways.suspect else ""
    if ways.again is Cell.MISSING:  # the image or suite is gone; it failed once, as the run says
        return Decision(kind, _LOW, f"it could not be run again as it was; {reason}")
    return Decision(kind, certainty, reason)
