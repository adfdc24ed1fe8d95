"""The tree as indented lines, for reports."""

from __future__ import annotations

from tailstest.core.text import printable
from tailstest.guest.accessibility.query import quoted
from tailstest.guest.accessibility.told import Told
from tailstest.guest.accessibility.tree_helper import MAX_NAME, MAX_VISITED, STATES


def dump_text(told: Told, limit: int) -> str:
    """Return what the helper answers to "dump" as text, safe to show.

    Raises:
        TreeHelperFailed: it is malformed.
    """
    lines = [_dump_line(row) for row in told.field("lines").items(limit)]
    silent = told.field("problems").texts(20, MAX_NAME)
    lines += [f"[the application {quoted(name)} does not answer]" for name in silent]
    if told.field("cut").flag():
        lines.append("[... more was left out ...]")
    return "\n".join(lines) + "\n"


def _dump_line(told: Told) -> str:
    depth, role, name, description, states = told.row(5)
    words = [printable(role.text(100))]
    if shown := name.text(MAX_NAME):
        words.append(quoted(shown))
    if about := description.text(MAX_NAME):
        words.append(f"({quoted(about)})")
    is_in = frozenset(states.texts(len(STATES), 100))
    indent = depth.integer(0, MAX_VISITED)
    if indent:  # an application itself has no states
        words += [f"[not {state}]" for state in ("showing", "sensitive") if state not in is_in]
    words += [f"[{state}]" for state in ("focused", "checked", "selected") if state in is_in]
    return "  " * min(indent, 40) + " ".join(words)
