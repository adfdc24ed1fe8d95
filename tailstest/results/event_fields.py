"""Reading fields of events that came from a file and may have any form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailstest.core.verdict import Verdict

Json = Mapping[str, Any]


def text_of(event: Json, key: str) -> str:
    """Return a field as text, "" when it is missing."""
    value = event.get(key, "")
    return value if isinstance(value, str) else str(value)


def number_of(event: Json, key: str) -> float:
    """Return a field as a finite number, 0 when it is missing or none."""
    value = event.get(key, 0.0)
    is_number = isinstance(value, (int, float)) and abs(value) < 1e12
    return float(value) if is_number else 0.0


def list_of(event: Json, key: str) -> list[Any]:
    """Return a field as a list, empty when it is missing or none."""
    value = event.get(key)
    return value if isinstance(value, list) else []


#: No scenario has more steps than this; a damaged log must not make us allocate at will.
_MAX_STEPS = 10_000


def index_of(event: Json) -> int:
    """Return the index of a step."""
    return min(max(0, int(number_of(event, "index"))), _MAX_STEPS)


def verdict_in(event: Json) -> Verdict:
    """Return the verdict in an event, which is about one attempt or less.

    An unknown one says nothing about the product, nor does "flaky", which needs several attempts.
    """
    try:
        verdict = Verdict(text_of(event, "verdict"))
    except ValueError:
        return Verdict.INCOMPLETE
    return Verdict.INCOMPLETE if verdict is Verdict.FLAKY else verdict


def trouble_in(event: Json) -> dict[str, Verdict]:
    """Return what went wrong outside of scenarios, of `RunFinished`: place to verdict."""
    trouble = event.get("trouble")
    if not isinstance(trouble, Mapping):
        return {}
    return {str(place): verdict_in({"verdict": each}) for place, each in trouble.items()}


def file_of(location: str) -> str:
    """Return the file of "file:line"."""
    file, separator, line = location.rpartition(":")
    return file if separator and line.isdigit() else location
