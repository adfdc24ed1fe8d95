"""What verdicts and outcomes are called, in words a volunteer understands."""

from __future__ import annotations

from typing import NamedTuple

from tailstest.core.verdict import Verdict


class Wording(NamedTuple):
    """How a verdict is shown.

    Attributes:
        label: one or two words.
        sign: one character that tells verdicts apart without colour.
        meaning: one sentence: whose trouble it is.
    """

    label: str
    sign: str
    meaning: str


VERDICTS = {
    Verdict.PASSED: Wording("Passed", "✓", "The image did what the scenario says."),
    Verdict.FAILED: Wording(
        "Failed", "✗", "Product: the image did not do what the scenario says it must."
    ),
    Verdict.ERRORED: Wording(
        "Test error", "!", "Test: a mistake in the scenario, a step or a file of the suite."
    ),
    Verdict.FLAKY: Wording(
        "Flaky", "~", "It passed and failed on the same image: not to be trusted either way."
    ),
    Verdict.INCOMPLETE: Wording(
        "Incomplete", "?", "Infrastructure: host trouble; this says nothing about the image."
    ),
    Verdict.SKIPPED: Wording("Skipped", "»", "Left out on purpose."),
    Verdict.NOT_RUN: Wording("Not run", "○", "Planned, but the run ended before."),
    Verdict.MANUAL: Wording("Manual", "☞", "To be done by a person, who tells what came of it."),
}

#: What a named outcome of a look means, and what to do when the step gave no hint of its own.
OUTCOMES = {
    "found": ("It is there.", ""),
    "moved": (
        "It is there, but in another place than recorded.",
        "If the new place is right, accept the candidate with: tailstest review",
    ),
    "greyed out": (
        "It is there, but greyed out.",
        "Look why it cannot be used: is something to be filled in or waited for before?",
    ),
    "another colour": (
        "It is there, but in another colour.",
        "If the new colour is meant, accept the candidate with: tailstest review",
    ),
    "text differs": (
        "Something that looks like it is there, but its text differs.",
        "Compare the two pictures letter by letter; if the new text is right, accept it with: "
        "tailstest review",
    ),
    "partly covered": (
        "A part of it is covered by something else.",
        "Look at the frame for a window, a menu or the pointer above it.",
    ),
    "absent": (
        "It is not on the screen.",
        "Look at the last frame: is the screen another one than expected, or only later?",
    ),
}

EXIT_MEANINGS = {
    0: "everything that ran passed",
    1: "the image under test failed",
    2: "the test or its set-up is wrong",
    3: "infrastructure trouble: no statement about the image",
}


def exit_meaning(status: int) -> str:
    """Return what an exit status says."""
    return EXIT_MEANINGS.get(status, "unknown")


def duration(seconds: float) -> str:
    """Return a duration as people say it: "0.4 s", "12 s", "3 min 05 s", "1 h 02 min"."""
    if seconds < 0.05:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def attempts_failed(failures: int, attempts: int) -> str:
    """Return how flaky a scenario was: "2 of 5 attempts failed"."""
    return f"{failures} of {plural(attempts, 'attempt')} failed"


def plural(number: int, noun: str) -> str:
    """Return "1 scenario" or "2 scenarios"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
