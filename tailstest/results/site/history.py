"""The history of a scenario as rows: every attempt that says something, the rest in short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tailstest.core.verdict import Verdict
from tailstest.results.site.lines import Cell, Line
from tailstest.results.standing import Standing
from tailstest.results.suspect import Suspect

#: Newest runs with a row of their own even if they passed, and runs with a row at all.
ALWAYS = 10
MAX_ROWS = 200
#: Shortest row of passes that becomes one row.
SHORTEST_GAP = 3


class Tried(NamedTuple):
    """An attempt in a row of the history."""

    number: int
    of: int
    verdict: Verdict
    seconds: float
    cause: str
    machines: tuple[str, ...]
    person: str
    suspect: Suspect | None = None


@dataclass(frozen=True)
class Row:
    """One run; `place` is its place in the window."""

    place: int
    standing: Standing
    reason: str
    tried: tuple[Tried, ...]

    @property
    def is_plain(self) -> bool:
        """Tell whether there is nothing to say but that it passed once."""
        only = self.tried[0]
        return (
            len(self.tried) == 1
            and self.standing is Standing.PASSED
            and not (only.cause or only.machines or only.person)
        )

    @property
    def adds(self) -> bool:
        """Tell whether the standing says more than the attempts do."""
        return self.standing in (Standing.FLAKY, Standing.KNOWN) or (
            len(self.tried) == 1 and self.standing.value != self.tried[0].verdict.value
        )


@dataclass(frozen=True)
class Gap:
    """Several runs in short: `newest` and `oldest` are their places."""

    newest: int
    oldest: int
    runs: int
    passed: int
    seconds: tuple[float, float]


@dataclass(frozen=True)
class History:
    """Rows, the newest first; `anchored` has the places of runs that have a row of their own."""

    rows: list[Row | Gap]
    anchored: frozenset[int]


def history_rows(line: Line) -> History:
    """Return what a page shows of a scenario's runs.

    The newest runs have rows, those in which it did not simply pass, and their neighbours, up to
    `MAX_ROWS`; what is between them is told in one row.
    """
    cells = line.cells
    odd = {n for n, cell in enumerate(cells) if not cell.is_plain}
    shown = {n for n in range(len(cells)) if n < ALWAYS or {n - 1, n, n + 1} & odd}
    chosen = set(sorted(shown)[:MAX_ROWS])
    rows: list[Row | Gap] = []
    waiting: list[Cell] = []
    for number, cell in enumerate(cells):
        if number in chosen:
            rows += _in_short(waiting)
            waiting = []
            rows.append(_row(cell))
        else:
            waiting.append(cell)
    rows += _in_short(waiting)
    return History(rows, frozenset(row.place for row in rows if isinstance(row, Row)))


def _in_short(cells: list[Cell]) -> list[Row | Gap]:
    if len(cells) < SHORTEST_GAP:
        return [_row(cell) for cell in cells]
    seconds = [cell.seconds for cell in cells if cell.standing is Standing.PASSED]
    passed = len(seconds)
    return [
        Gap(
            newest=cells[0].run,
            oldest=cells[-1].run,
            runs=len(cells),
            passed=passed,
            seconds=(min(seconds, default=0.0), max(seconds, default=0.0)),
        )
    ]


def _row(cell: Cell) -> Row:
    tried = tuple(
        Tried(
            number=each.number,
            of=len(cell.attempts),
            verdict=each.verdict,
            seconds=each.seconds,
            cause=each.cause,
            machines=each.machines,
            person=each.person,
            suspect=each.suspect,
        )
        for each in cell.attempts
    )
    if not tried:
        tried = (Tried(1, 1, Verdict.PASSED, cell.seconds, "", (), ""),)
    return Row(cell.run, cell.standing, cell.reason, tried)
