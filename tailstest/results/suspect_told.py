"""A suspicion as fields in files of other formats, written and read back.

JUnit has properties for them, CTRF its `extra`, Cucumber's JSON our own key.
"""

from __future__ import annotations

from collections.abc import Mapping

from tailstest.results.event_fields import text_of
from tailstest.results.shown import one_line
from tailstest.results.suspect import Suspect, Suspicion

#: Characters of the name of a rule and of its sentence.
_MAX_RULE = 60
_MAX_WHY = 300


def suspect_fields(suspicion: Suspicion) -> dict[str, str]:
    """Return the fields of a suspicion: its name, whose trouble it is, the rule, and why."""
    fields = {
        "name": suspicion.suspect.value,
        "whose": suspicion.suspect.whose.value,
        "rule": one_line(suspicion.rule, _MAX_RULE),
        "why": one_line(suspicion.why, _MAX_WHY),
    }
    return {name: text for name, text in fields.items() if text}


def suspect_line(suspicion: Suspicion) -> str:
    """Return a suspicion as a line for people."""
    return f"Suspect: {one_line(suspicion, _MAX_WHY + _MAX_RULE)}"


def suspect_in(fields: Mapping[str, object]) -> Suspicion | None:
    """Return the suspicion in fields of a file that may hold anything, None without a known one."""
    try:
        suspect = Suspect(text_of(fields, "name"))
    except ValueError:
        return None
    rule = one_line(text_of(fields, "rule"), _MAX_RULE)
    return Suspicion(suspect, rule, one_line(text_of(fields, "why"), _MAX_WHY))
