"""What attempts say about an image when one wants to know whose trouble a failure is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tailstest.core.verdict import Verdict
from tailstest.results.suspect import NOT_THE_IMAGE, Suspect


class Outcome(StrEnum):
    """What a trial said."""

    PASSED = "passed"
    FAILED = "failed"
    UNCLEAR = "unclear"  # trouble that says nothing about the image, or no result at all


@dataclass(frozen=True)
class Trial:
    """One trial of some scenarios.

    Attributes:
        reason: why it did not pass.
    """

    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0


def outcome_of(attempts: Iterable[tuple[Verdict, Suspect | None, str]]) -> Trial:
    """Return what attempts at several scenarios, one each, say together.

    One that failed decides, unless its suspect is the host or the way into the guest; else all
    must have passed.

    Args:
        attempts: verdict, suspect and reason of each.
    """
    told = list(attempts)
    for verdict, suspect, reason in told:
        if verdict is Verdict.FAILED and suspect not in NOT_THE_IMAGE:
            return Trial(Outcome.FAILED, reason)
    for verdict, suspect, reason in told:
        if verdict is not Verdict.PASSED:
            who = f" ({suspect})" if suspect else ""
            return Trial(Outcome.UNCLEAR, f"{verdict}{who}: {reason}".rstrip(": "))
    if not told:
        return Trial(Outcome.UNCLEAR, "there is no result")
    return Trial(Outcome.PASSED)
