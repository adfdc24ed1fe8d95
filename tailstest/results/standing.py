"""What all attempts at a scenario mean together."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tailstest.core.verdict import WRONG, Verdict
from tailstest.results.known import KnownBug, known_bugs
from tailstest.results.suspect import Suspect


class Standing(StrEnum):
    """The verdict on a scenario in a run, with its bugs and its other attempts in mind."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    FLAKY = "flaky"  # passed and failed on the same image
    KNOWN = "known"  # fails, and a bug is named that explains it until a day
    INCOMPLETE = "incomplete"
    NOT_RUN = "not run"
    MANUAL = "manual"  # a person has not told yet
    SKIPPED = "skipped"


#: From what matters most to what matters least; of several machines the worst counts.
RANK = (
    Standing.FAILED,
    Standing.ERRORED,
    Standing.FLAKY,
    Standing.INCOMPLETE,
    Standing.NOT_RUN,
    Standing.MANUAL,
    Standing.KNOWN,
    Standing.SKIPPED,
    Standing.PASSED,
)
#: Statements about the product or the test that somebody has to look into.
BAD = frozenset({Standing.FAILED, Standing.ERRORED})
_CONCLUSIVE = (Verdict.PASSED, *WRONG)


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """An attempt as the store has it.

    Attributes:
        run: number of the run.
        cause: why it did not pass.
        machines: kinds of machines it worked with ("uefi usb").
        person: who did it by hand; "" when the program did it.
        suspect: whose trouble it seems to be when it did not pass; None when nobody said.
    """

    run: int
    number: int
    verdict: Verdict
    seconds: float
    cause: str = ""
    tags: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    person: str = ""
    suspect: Suspect | None = None


@dataclass(frozen=True)
class Judged:
    """A standing and the reason for it, in words.

    Attributes:
        bug: the one that excuses a failure.
        is_outdated: what was to excuse it has ended, or it passes although it is said to fail.
        suspect: whose trouble the attempt seems to be that gives the reason; None when nobody said.
        excuse: what the named bugs have to do with it, in words; "" if none is named.
    """

    standing: Standing
    reason: str = ""
    bug: str = ""
    is_outdated: bool = False
    suspect: Suspect | None = None
    excuse: str = ""


def judge(
    attempts: Sequence[AttemptInfo],
    today: datetime.date,
    *,
    excuses: Iterable[KnownBug] = (),
) -> Judged:
    """Return what attempts at one scenario on one image mean.

    Args:
        attempts: in their order; those at several kinds of machines are judged one kind after the
            other, and the worst counts, so that a failure under UEFI is none that BIOS forgives.
        today: for excuses that end.
        excuses: besides the tags of the attempts; each attempt is excused by its own alone.
    """
    excuses = tuple(excuses)
    attempts = counted(attempts)
    if not any(each.verdict in _CONCLUSIVE for each in attempts):
        return _judge_alike(attempts, excuses, today)
    # What ended before it had a machine may have been about any of them.
    kinds = {each.machines for each in attempts if each.machines} or {()}
    found = [
        _judge_alike([each for each in attempts if each.machines in (kind, ())], excuses, today)
        for kind in kinds
    ]
    return min(found, key=lambda one: RANK.index(one.standing))


def counted(attempts: Sequence[AttemptInfo]) -> Sequence[AttemptInfo]:
    """Return what counts: what a person said last of a run replaces all other attempts of it."""
    said = {each.run: each for each in attempts if each.person}
    return [each for each in attempts if said.get(each.run, each) is each]


def may_be_alike(kind: Collection[str], other: Collection[str]) -> bool:
    """Tell whether two attempts may have been about the same machine, by their kinds of machines.

    What had no machine yet, or was done by a person, may have been about any.
    """
    return not kind or not other or kind == other


def _judge_alike(
    attempts: Sequence[AttemptInfo], excuses: Sequence[KnownBug], today: datetime.date
) -> Judged:
    verdicts = {each.verdict for each in attempts}
    wrong = [each for each in attempts if each.verdict in WRONG]
    if wrong and Verdict.PASSED in verdicts:
        return Judged(Standing.FLAKY, wrong[-1].cause, suspect=wrong[-1].suspect)
    if Verdict.ERRORED in verdicts:
        return Judged(Standing.ERRORED, wrong[-1].cause, suspect=wrong[-1].suspect)
    if wrong:
        # Each failure needs an excuse of its own: a known one hides no other.
        found = [_failed(each, [*known_bugs(each.tags), *excuses], today) for each in wrong[::-1]]
        return min(found, key=lambda one: RANK.index(one.standing))
    if Verdict.PASSED in verdicts:
        tags = [tag for each in attempts for tag in each.tags]
        bugs = [*known_bugs(dict.fromkeys(tags)), *excuses]
        if not bugs:
            return Judged(Standing.PASSED)
        names = ", ".join(dict.fromkeys(bug.bug or bug.tag for bug in bugs))
        reason = f"it passes, although it is known to fail ({names}): end the excuse"
        return Judged(Standing.FAILED, reason, is_outdated=True, excuse=reason)
    reason = next((each.cause for each in reversed(attempts) if each.cause), "")
    suspect = next((each.suspect for each in reversed(attempts) if each.suspect), None)
    for verdict in (Verdict.INCOMPLETE, Verdict.NOT_RUN, Verdict.MANUAL):
        if verdict in verdicts:
            return Judged(Standing(verdict.value), reason, suspect=suspect)
    return Judged(Standing.SKIPPED, reason)


def _failed(attempt: AttemptInfo, bugs: Sequence[KnownBug], today: datetime.date) -> Judged:
    cause, suspect = attempt.cause, attempt.suspect
    objections = []
    for bug in bugs:
        objection = bug.objection(today)
        if not objection:
            excuse = f"{bug.bug} until {bug.until}"
            reason = f"{excuse}: {cause}"
            return Judged(
                Standing.KNOWN, reason, bug.bug, suspect=suspect, excuse=f"known: {excuse}"
            )
        objections.append(objection)
    if objections:
        excuse = "; ".join(objections)
        reason = f"{excuse}; {cause}"
        return Judged(Standing.FAILED, reason, is_outdated=True, suspect=suspect, excuse=excuse)
    return Judged(Standing.FAILED, cause, suspect=suspect)
