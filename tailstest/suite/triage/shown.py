"""What triage found, as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tailstest.results.console import plain_table, safe
from tailstest.results.wording import plural
from tailstest.suite.triage.deciding import Cell, Kind
from tailstest.suite.triage.trying import WAYS, Triaged

_STYLES = {
    Cell.PASSED: "green",
    Cell.FAILED: "bold red",
    Cell.MIXED: "bold yellow",
    Cell.UNCLEAR: "yellow",
    Cell.MISSING: "dim",
}
_KIND_STYLES = {
    Kind.PRODUCT: "bold red",
    Kind.TEST: "bold magenta",
    Kind.INFRASTRUCTURE: "bold yellow",
    Kind.FLAKE: "bold yellow",
    Kind.UNDECIDED: "bold",
}


def show_triage(console: Console, found: Sequence[Triaged]) -> None:
    """Print a row for each failure, what could not be done, and the sum."""
    columns = ("scenario", "again", "old suite", "old image", "both", "answer", "sure", "why")
    table = plain_table(*columns, wide="why")
    for each in found:
        decision = each.decision
        cells = [each.cells.get(way, Cell.MISSING) for way in WAYS]
        table.add_row(
            safe(each.failure.scenario.title, 50),
            *(Text(cell.value, _STYLES[cell]) for cell in cells),
            Text(decision.kind.value, _KIND_STYLES[decision.kind]),
            decision.certainty.value,
            safe(decision.reason, 200),
        )
    console.print(table)
    console.print()
    for each in found:
        for note in each.notes:
            line = f"{safe(each.failure.scenario.title, 50)}: {safe(note, 300)}"
            console.print(Text(f"note: {line}", "yellow"), soft_wrap=True)
    counted = Counter(each.decision.kind for each in found)
    parts = ", ".join(f"{counted[kind]} {kind.value}" for kind in Kind if counted[kind])
    console.print(f"{plural(len(found), 'failure')}: {parts}")
