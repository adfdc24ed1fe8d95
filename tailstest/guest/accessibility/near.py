"""Why nothing was found: what is there instead, in words for a volunteer."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz import fuzz, process

from tailstest.guest.accessibility.node import Node
from tailstest.guest.accessibility.query import Query, quoted
from tailstest.guest.accessibility.told import Told
from tailstest.guest.accessibility.tree_helper import MAX_NAME

#: Names that a message lists at most, the most similar ones first.
_LISTED = 6


def explain_missing(query: Query, told: Told) -> str:
    """Return why a query found nothing, as one or two sentences.

    Args:
        told: what the helper answers to "near".

    Raises:
        TreeHelperFailed: that is malformed.
    """
    applications = told.field("applications").texts(1000, MAX_NAME)
    windows = told.field("windows").texts(1000, MAX_NAME)
    hidden = [Node.read(node) for node in told.field("hidden").items(1)]
    rows = [row.row(2) for row in told.field("names").items(1000)]
    names = [name.text(MAX_NAME) for _, name in rows]
    if not applications:
        return f"no {query}: no program of the session offers its accessibility tree"
    if query.app is not None and query.app not in applications:
        return f"no {query}: there is no such application; {_listed(applications, query.app)}"
    if query.window is not None and not any(query.window in title for title in windows):
        return f"no {query}: there is no such window; {_listed(windows, query.window)}"
    if hidden and query.showing_only and query.index == 0:
        node = hidden[0]
        return f"no {query} is showing: {node}{_found_where(node)}"
    wanted = query.names[0] if query.names else (query.name_regex or query.label or "")
    return f"no {query}; {_listed(names, wanted)}"


def _found_where(node: Node) -> str:
    if node.showing:
        return " has appeared only now, after the last look"
    return " is there but not showing" + ("" if node.sensitive else ", and not sensitive")


def _listed(names: Sequence[str], wanted: str) -> str:
    distinct = list(dict.fromkeys(name for name in names if name))
    if not distinct:
        return "there are none of this kind"
    near = process.extract(
        wanted.casefold(),
        [name.casefold() for name in distinct],
        scorer=fuzz.ratio,
        limit=_LISTED,
    )
    shown = ", ".join(quoted(distinct[number], 60) for _, _, number in near)
    more = len(distinct) - len(near)
    return f"there are: {shown}" + (f" and {more} more" if more else "")
