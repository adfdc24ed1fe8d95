"""Verdicts, and the one rule that turns them into an exit status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from tailstest.core.errors import CheckFailed, InfrastructureError, TailstestError


class Verdict(StrEnum):
    """What is known about a step or scenario after it was (or was not) executed.

    In the order in which they are counted and listed.
    """

    PASSED = "passed"
    FAILED = "failed"  # the product did not do what the scenario says
    ERRORED = "errored"  # the test itself is wrong: undefined step, broken file, bug in a step
    FLAKY = "flaky"  # of a scenario, never of one attempt: some passed and some failed
    INCOMPLETE = "incomplete"  # infrastructure trouble: no statement about the product
    SKIPPED = "skipped"  # left out on purpose, or a step after one that did not pass
    NOT_RUN = "not run"  # planned, but the run ended before
    MANUAL = "manual"  # part of the plan, and to be done by a person


#: What an attempt says that blames the product or the test; none of it excuses the other.
WRONG = frozenset({Verdict.FAILED, Verdict.ERRORED})


def verdict_of(error: BaseException) -> Verdict:
    """Return the verdict that an exception raised by a step stands for.

    CheckFailed and plain assertions blame the product; InfrastructureError, OSError and an
    interruption blame the host; everything else is a mistake in the test (so is a step that calls
    sys.exit).
    """
    if isinstance(error, (CheckFailed, AssertionError)):
        return Verdict.FAILED
    if isinstance(error, TailstestError):
        is_host = isinstance(error, InfrastructureError) or error.exit_status == 3
        return Verdict.INCOMPLETE if is_host else Verdict.ERRORED
    if isinstance(error, (OSError, KeyboardInterrupt, MemoryError)):
        return Verdict.INCOMPLETE
    return Verdict.ERRORED


def verdict_of_attempts(attempts: Sequence[Verdict]) -> Verdict:
    """Return what all attempts at one scenario say together.

    Attempts that contradict each other about the product are flaky, in whatever order they come.
    Otherwise the last one counts if it passed. If it did not, nothing that comes after a failure
    takes it back, neither trouble of the host nor that the next attempt was left out.

    Args:
        attempts: in their order, at least one. What some of them say together may stand for them.
    """
    last, seen = attempts[-1], set(attempts)
    if Verdict.FLAKY in seen or (Verdict.PASSED in seen and seen & WRONG):
        return Verdict.FLAKY
    if last is Verdict.PASSED:
        return last
    worst = (Verdict.FAILED, Verdict.ERRORED, Verdict.INCOMPLETE)
    return next((each for each in worst if each in attempts), last)


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """Return the exit status of a run: a pure function of the verdicts of its scenarios.

    1 if any scenario failed or is flaky, else 2 if any is errored, else 3 if any is incomplete or
    was not run, else 2 if none passed at all (nothing ran), else 0. A failure outranks the rest
    because it is a statement about the product that further trouble cannot take back. What was left
    out and what a person is to do say nothing.
    """
    seen = set(verdicts)
    if seen & {Verdict.FAILED, Verdict.FLAKY}:
        return 1
    if Verdict.ERRORED in seen:
        return 2
    if seen & {Verdict.INCOMPLETE, Verdict.NOT_RUN}:
        return 3
    return 0 if Verdict.PASSED in seen else 2
