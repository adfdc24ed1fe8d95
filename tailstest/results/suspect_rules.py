"""What is behind an attempt that did not pass, as far as its own evidence says.

A suspicion, not a verdict: it says where to look first. Each rule is a name, what it looks at, why
that means something, and a pure function; the first rule that applies decides. `tailstest triage`
finds out by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tailstest.core.events import OVERLOADED
from tailstest.core.verdict import Verdict
from tailstest.results.run_record import AttemptRecord, LookRecord, ScenarioRecord
from tailstest.results.suspect import Suspect, Suspicion
from tailstest.results.suspect_signs import (
    is_about_agent,
    is_about_time,
    is_cut_off,
    is_machine_gone,
    is_machine_stopped,
    nothing_said,
    panic_in,
)

#: How far below its limit a picture may correlate and still be that picture, drawn anew: another
#: font or theme leaves 0.75 to 0.9, other places of a screen stay below 0.6.
NEAR_PICTURE = 0.2
#: Similarity of a text that is that text in other words: two of ten letters differ. Less similar
#: ones are other texts.
NEAR_TEXT = 0.75
_REDRAWN = ("text differs", "another colour")
_TROUBLE = (Verdict.FAILED, Verdict.ERRORED, Verdict.INCOMPLETE)


@dataclass(frozen=True)
class Evidence:
    """All that the rules look at.

    Attributes:
        kind: class of the error, "" when nobody said.
        error: what was said.
        missed: searches of the step that failed which found nothing, the last one first.
        notes: what happened to machines and host meanwhile.
    """

    verdict: Verdict
    kind: str = ""
    error: str = ""
    missed: tuple[LookRecord, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, attempt: AttemptRecord) -> Evidence:
        """Return the evidence of an attempt."""
        step = attempt.bad_step
        notes = [*attempt.notes, *(note for each in attempt.steps for note in each.notes)]
        return cls(
            verdict=attempt.verdict,
            kind=attempt.kind or (step.kind if step else ""),
            error=attempt.reason,
            missed=tuple(look for look in reversed(step.looks) if not look.found) if step else (),
            notes=tuple(each.text for each in notes if each.level in ("warning", "machine")),
        )


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: short, for reports and JSON.
        looks_at: the evidence it needs.
        why: what that means, as a sentence for people.
    """

    name: str
    suspect: Suspect
    looks_at: str
    why: str
    applies: Callable[[Evidence], bool]


def suspicion_of(attempt: AttemptRecord) -> Suspicion | None:
    """Return what is suspected behind an attempt; None for one that says no trouble.

    What the file that it was imported from says counts more than the little evidence in there.
    """
    if attempt.verdict not in _TROUBLE:
        return None
    return attempt.suspicion or suspicion(Evidence.of(attempt))


def suspicion_about(scenario: ScenarioRecord) -> Suspicion | None:
    """Return what is suspected behind a scenario that did not pass, None behind any other."""
    return suspicion_of(scenario.decisive) if scenario.decisive else None


def suspicion(evidence: Evidence) -> Suspicion:
    """Return what the first rule that applies says; the last one always does."""
    rule = next(rule for rule in RULES if rule.applies(evidence))
    return Suspicion(rule.suspect, rule.name, rule.why)


def _best_picture(look: LookRecord) -> float | None:
    """Return how far the weakest area of a missed picture is from its limit; None without."""
    areas = look.look.get("areas")
    gaps = [
        _correlation(area, "limits") - _correlation(area, "scores")
        for area in (areas if isinstance(areas, list) else ())
        if isinstance(area, Mapping)
    ]
    return max(gaps, default=None)


def _correlation(area: Mapping[str, Any], which: str) -> float:
    values = area.get(which)
    return _number(values, "correlation") if isinstance(values, Mapping) else 0.0


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _is_redrawn(evidence: Evidence) -> bool:
    pictures = [look for look in evidence.missed[:1] if look.kind == "reference"]
    for look in pictures:
        if look.outcome in _REDRAWN:
            return True
        gap = _best_picture(look)
        if look.outcome == "absent" and gap is not None and gap <= NEAR_PICTURE:
            return True
    return False


def _is_reworded(evidence: Evidence) -> bool:
    return any(
        look.kind == "text" and _number(look.look, "score") >= NEAR_TEXT
        for look in evidence.missed[:1]
    )


def _is_overloaded(evidence: Evidence) -> bool:
    told = any(note.startswith(OVERLOADED) for note in evidence.notes)
    return told and (bool(evidence.missed) or is_about_time(evidence.error))


def _crashed(evidence: Evidence) -> bool:
    return is_machine_stopped(evidence.kind, evidence.error, evidence.notes) or any(
        panic_in(look.look) for look in evidence.missed
    )


RULES = (
    Rule(
        "cut off",
        Suspect.INFRASTRUCTURE,
        "verdict and error: interrupted, worker or run killed",
        "it was ended from outside before it could say anything",
        lambda e: e.verdict is Verdict.INCOMPLETE and is_cut_off(e.error),
    ),
    Rule(
        "emulator gone",
        Suspect.INFRASTRUCTURE,
        'events of the machine: state "gone"',
        "QEMU ended by itself or could not write; look at the machine's log and the host's memory",
        lambda e: is_machine_gone(e.error, e.notes),
    ),
    Rule(
        "guest stopped",
        Suspect.CRASH,
        "class of the error, events of the machine (crashed, watchdog), words of a panic on screen",
        "what runs in the machine panicked, hung, restarted or switched itself off",
        _crashed,
    ),
    Rule(
        "host overloaded",
        Suspect.HOST,
        "the warning that the host's load outgrew the patience, with a deadline that passed",
        "the host had much more to do than when deadlines were set; run it again on a quiet host",
        _is_overloaded,
    ),
    Rule(
        "agent silent",
        Suspect.AGENT,
        "class and words of the error: the line into the guest",
        "the way into the guest broke while the machine itself went on",
        lambda e: is_about_agent(e.kind, e.error, e.verdict),
    ),
    Rule(
        "host trouble",
        Suspect.INFRASTRUCTURE,
        "verdict: incomplete",
        "disk, memory, files or programs of the host let the run down",
        lambda e: e.verdict is Verdict.INCOMPLETE,
    ),
    Rule(
        "mistake in the test",
        Suspect.TEST,
        "verdict: errored",
        "a step is not defined or wrong, or a file of the suite is",
        lambda e: e.verdict is Verdict.ERRORED,
    ),
    Rule(
        "picture redrawn",
        Suspect.TEST,
        "outcome and scores of the picture that was missed last",
        "something very similar is on the screen: if the new look is meant, tailstest review",
        _is_redrawn,
    ),
    Rule(
        "text reworded",
        Suspect.TEST,
        "similarity of the text that was missed last",
        "nearly the same text is on the screen: a misprint in the test, or new words in the image",
        _is_reworded,
    ),
    Rule(
        "not on the screen",
        Suspect.PRODUCT,
        "a search of the screen that found nothing near",
        "the image shows something else than it should",
        lambda e: e.verdict is Verdict.FAILED and bool(e.missed),
    ),
    Rule(
        "check failed",
        Suspect.PRODUCT,
        "verdict and error: failed, with words",
        "the image answered something else than it should",
        lambda e: e.verdict is Verdict.FAILED and not nothing_said(e.error),
    ),
    Rule(
        "no evidence",
        Suspect.UNKNOWN,
        "nothing",
        "nothing was recorded that says whose trouble it is",
        lambda _e: True,
    ),
)
