"""Bounds and words that writers and readers of the formats have in common."""

from __future__ import annotations

#: Characters of one error message.
MAX_ERROR = 8_000
#: The key of what the format has no place for.
OWN_KEY = "tailstest"
#: Durations are nanoseconds
#: (https://github.com/cucumber/cucumber-json-schema: "duration in nanoseconds").
NANOSECONDS = 1e9


def line_of(location: str) -> int:
    """Return the line of "file:line", 1 where none is given."""
    line = location.rpartition(":")[2]
    return int(line) if line.isascii() and line.isdigit() and len(line) < 9 else 1
