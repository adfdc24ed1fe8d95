"""What became of each scenario in the runs of a site, read a few hundred scenarios at a time.

A scenario that was tried once in a run and passed, as most do, is a small tuple; only the others
are looked at closely. So five million attempts need no more memory than a hundred thousand.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Row, and_, select

from tailstest.core.verdict import Verdict
from tailstest.results.site.pairs import wanted_pairs
from tailstest.results.site.window import Excused, Window
from tailstest.results.standing import BAD, AttemptInfo, Standing, judge
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.reading import ScenarioInfo
from tailstest.results.store.tables import (
    CODES,
    SUSPECT_OF,
    VERDICT_OF,
    attempt_machines,
    attempts,
    causes,
    scenarios,
    tag_sets,
)
from tailstest.results.suspect import Suspect

#: Attempts held in memory together.
ATTEMPTS_AT_ONCE = 60_000
_PASSED = CODES[Verdict.PASSED]
#: Standings that say something about image or test.
CONCLUSIVE = frozenset({Standing.PASSED, Standing.FLAKY, Standing.KNOWN, *BAD})


class Cell(NamedTuple):
    """A scenario in one run.

    Attributes:
        run: place of the run in the window, 0 for the newest.
        attempts: all of them; may be () for a single one that simply passed.
        seconds: of all attempts.
        suspect: whose trouble it seems to be when it did not pass; None when nobody said.
    """

    run: int
    standing: Standing
    seconds: float
    attempts: tuple[AttemptInfo, ...] = ()
    reason: str = ""
    suspect: Suspect | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether there is nothing to say but that it passed."""
        return self.standing is Standing.PASSED and (
            not self.attempts or (len(self.attempts) == 1 and not self.attempts[0].person)
        )


@dataclass(frozen=True)
class Line:
    """A scenario in all runs of the window that had it; `cells` has the newest first."""

    scenario: ScenarioInfo
    tags: tuple[str, ...]
    cells: list[Cell]

    @property
    def file(self) -> str:
        """Return the feature file."""
        return self.scenario.location.rpartition(":")[0] or self.scenario.key.partition("#")[0]

    @property
    def last_word(self) -> Cell | None:
        """Return the newest cell that says something about image or test."""
        return next((cell for cell in self.cells if cell.standing in CONCLUSIVE), None)


def scenarios_of(connection: Connection, window: Window) -> list[ScenarioInfo]:
    """Return the scenarios that the runs of the window had, by feature file and line."""
    numbers: set[int] = set()
    for part in in_batches([run.info.id for run in window.runs], 100):
        wanted = select(attempts.c.scenario).where(attempts.c.run.in_(part)).distinct()
        numbers.update(connection.execute(wanted).scalars())
    found = [
        ScenarioInfo(row.id, row.key, row.name, row.feature, row.location)
        for row in connection.execute(select(scenarios))
        if row.id in numbers
    ]
    return sorted(found, key=_in_file)


def read_lines(
    connection: Connection,
    window: Window,
    known: Sequence[ScenarioInfo],
    excused: Excused,
    today: datetime.date,
) -> Iterator[Line]:
    """Yield what became of scenarios, in their order."""
    size = max(1, min(500, ATTEMPTS_AT_ONCE // max(1, len(window.runs))))
    for part in in_batches(known, size):
        yield from _Batch(connection, window, excused, today, part).lines()


def _in_file(scenario: ScenarioInfo) -> tuple[str, int, str]:
    file, _, line = scenario.location.rpartition(":")
    return file, int(line) if line.isdecimal() and len(line) < 10 else 0, scenario.key


class _Batch:
    """Reads some scenarios with a few queries."""

    def __init__(
        self,
        connection: Connection,
        window: Window,
        excused: Excused,
        today: datetime.date,
        part: Sequence[ScenarioInfo],
    ) -> None:
        self._connection = connection
        self._window = window
        self._excused = excused
        self._today = today
        self._part = part
        self._numbers = [each.id for each in part]
        self._causes: dict[tuple[int, int, int], str] = {}
        self._suspects: dict[tuple[int, int, int], Suspect] = {}
        self._machines: dict[tuple[int, int, int], list[str]] = defaultdict(list)
        self._looked_at: set[tuple[int, int]] = set()

    def lines(self) -> Iterator[Line]:
        found: dict[int, dict[int, list[tuple[int, int, float]]]] = defaultdict(dict)
        places = self._window.by_id
        for scenario, run, number, verdict, seconds in self._rows():
            if run in places:
                found[scenario].setdefault(run, []).append((number, verdict, seconds))
        self._read_details(found)
        tags = self._tags(found)
        for info in self._part:
            rows = found.get(info.id)
            if rows:
                cells = [self._cell(info.id, run, each) for run, each in rows.items()]
                cells.sort()
                yield Line(info, tags.get(info.id, ()), cells)

    def _rows(self) -> Iterable[Row[int, int, int, int, float]]:
        wanted = (  # answered by the index attempts_of_scenario alone
            select(
                attempts.c.scenario,
                attempts.c.run,
                attempts.c.number,
                attempts.c.verdict,
                attempts.c.seconds,
            )
            .where(
                attempts.c.scenario.in_(self._numbers),
                attempts.c.run.between(*self._window.bounds),
            )
            .order_by(attempts.c.scenario, attempts.c.run, attempts.c.number)
        )
        return self._connection.execute(wanted).all()

    def _is_plain(self, scenario: int, run: int, rows: list[tuple[int, int, float]]) -> bool:
        number, verdict, _seconds = rows[0]
        where = (scenario, run, number)
        return (
            len(rows) == 1
            and verdict == _PASSED
            and where not in self._excused.tags
            and where not in self._excused.people
        )

    def _cell(self, scenario: int, run: int, rows: list[tuple[int, int, float]]) -> Cell:
        place = self._window.by_id[run]
        if (run, scenario) not in self._looked_at:
            return Cell(place, Standing.PASSED, rows[0][2])
        told = tuple(
            AttemptInfo(
                run=run,
                number=number,
                verdict=VERDICT_OF[verdict],
                seconds=seconds,
                cause=self._causes.get((scenario, run, number), ""),
                tags=self._excused.tags.get((scenario, run, number), ()),
                machines=tuple(sorted(self._machines.get((scenario, run, number), ()))),
                person=self._excused.people.get((scenario, run, number), ""),
                suspect=self._suspects.get((scenario, run, number)),
            )
            for number, verdict, seconds in rows
        )
        judged = judge(told, self._today)
        total = sum(each.seconds for each in told)
        return Cell(place, judged.standing, total, told, judged.reason, judged.suspect)

    def _read_details(self, found: dict[int, dict[int, list[tuple[int, int, float]]]]) -> None:
        columns = attempts.c
        rows = self._connection.execute(
            select(columns.scenario, columns.run, columns.number, causes.c.text, columns.suspect)
            .select_from(attempts.outerjoin(causes, causes.c.id == columns.cause))
            .where(
                columns.scenario.in_(self._numbers),
                columns.run.between(*self._window.bounds),
                columns.verdict != _PASSED,
                columns.cause.is_not(None) | columns.suspect.is_not(None),
            )
        )
        for scenario, run, number, cause, suspect in rows:
            if cause is not None:
                self._causes[scenario, run, number] = cause
            if suspect in SUSPECT_OF:
                self._suspects[scenario, run, number] = SUSPECT_OF[suspect]
        for scenario, runs_of in found.items():
            odd = {run for run, each in runs_of.items() if not self._is_plain(scenario, run, each)}
            # What passed on the same image may have had another machine; that makes no flake.
            images = {self._image_of(run) for run in odd} - {None}
            odd |= {run for run in runs_of if images and self._image_of(run) in images}
            self._looked_at |= {(run, scenario) for run in odd}
        table = attempt_machines
        for pairs in wanted_pairs(self._looked_at):
            same = and_(table.c.run == pairs.c.run, table.c.scenario == pairs.c.scenario)
            wanted = select(table).select_from(pairs.join(table, same))
            for row in self._connection.execute(wanted):
                self._machines[row.scenario, row.run, row.number].append(row.machine)

    def _image_of(self, run: int) -> int | None:
        return self._window.runs[self._window.by_id[run]].info.image_id

    def _tags(
        self, found: dict[int, dict[int, list[tuple[int, int, float]]]]
    ) -> dict[int, tuple[str, ...]]:
        """Return the tags that each scenario had in the newest of its runs."""
        newest: dict[int, list[int]] = defaultdict(list)
        for scenario, rows in found.items():
            newest[min(rows, key=self._window.by_id.__getitem__)].append(scenario)
        tags: dict[int, tuple[str, ...]] = {}
        for run, of_run in newest.items():
            for part in in_batches(of_run):
                rows_of = self._connection.execute(
                    select(attempts.c.scenario, tag_sets.c.text)
                    .select_from(attempts.join(tag_sets, tag_sets.c.id == attempts.c.tags))
                    .where(attempts.c.run == run, attempts.c.scenario.in_(part))
                )
                tags |= {row.scenario: tuple(row.text.split()) for row in rows_of}
        return tags


def standings_by_image(
    line: Line, image_of: Sequence[int | None], today: datetime.date
) -> dict[int, Standing]:
    """Return what all attempts on each image mean together.

    Args:
        image_of: number of the image by place of the run; None without one.
    """
    cells: dict[int, list[Cell]] = defaultdict(list)
    for cell in line.cells:
        image = image_of[cell.run]
        if image is not None:
            cells[image].append(cell)
    return {image: _together(of_image, today) for image, of_image in cells.items()}


def _together(cells: list[Cell], today: datetime.date) -> Standing:
    standings = {cell.standing for cell in cells}
    if len(standings) == 1:
        return cells[0].standing
    told = [
        each
        for cell in reversed(cells)
        for each in (cell.attempts or (AttemptInfo(cell.run, 1, Verdict.PASSED, cell.seconds),))
    ]
    return judge(told, today).standing
