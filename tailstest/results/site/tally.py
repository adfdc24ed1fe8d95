"""What all scenarios together say: counts of runs, what is red now and since when."""

from __future__ import annotations

from dataclasses import dataclass, field

from tailstest.results.answers.proportion import Proportion, proportion
from tailstest.results.site.lines import CONCLUSIVE, Cell, Line
from tailstest.results.site.window import Listed, SiteRun, Window, scenario_page
from tailstest.results.standing import BAD, Standing
from tailstest.results.store.reading import ScenarioInfo
from tailstest.results.suspect import Suspect

_GOOD = (Standing.PASSED, Standing.FLAKY)
#: What nobody has to look into.
_MINOR = (Standing.SKIPPED, Standing.NOT_RUN, Standing.MANUAL)


@dataclass(frozen=True)
class Red:
    """A scenario that fails now, as far as the site's runs know.

    Attributes:
        since: the first run in which it failed without passing again.
        suspect: whose trouble it seems to be now; None when nobody said.
        last_good: the run before in which it passed; None when no run of the site has that.
        runs: how many runs said since then that it fails.
        is_in_newest: whether the newest run had it.
    """

    scenario: ScenarioInfo
    page: str
    standing: Standing
    reason: str
    suspect: Suspect | None
    since: SiteRun
    last: SiteRun
    last_good: SiteRun | None
    runs: int
    is_in_newest: bool


@dataclass(frozen=True)
class Row:
    """A scenario in the list of all; `flakes` is None if it never failed where it also passed."""

    scenario: ScenarioInfo
    page: str
    file: str
    tags: tuple[str, ...]
    now: Standing
    now_run: SiteRun
    runs: int
    failing: Proportion
    seconds: float | None
    is_flaky: bool


@dataclass
class Tally:
    """Takes one line after the other."""

    window: Window
    red: list[Red] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._most = self.window.most_listed

    def add(self, line: Line, *, is_flaky: bool) -> None:
        """Count a scenario.

        Args:
            is_flaky: it failed on an image on which it also passed.
        """
        page = scenario_page(line.scenario)
        self._count(line)
        spoken = [cell for cell in line.cells if cell.standing in CONCLUSIVE]
        if spoken and spoken[0].standing in BAD:
            self.red.append(self._red(line, spoken, page))
        failed = sum(cell.standing in {*BAD, Standing.KNOWN} for cell in spoken)
        now = line.last_word or line.cells[0]
        passed = [cell.seconds for cell in spoken if cell.standing is Standing.PASSED][:20]
        self.rows.append(
            Row(
                scenario=line.scenario,
                page=page,
                file=line.file,
                tags=line.tags,
                now=now.standing,
                now_run=self.window.runs[now.run],
                runs=len(line.cells),
                failing=proportion(failed, len(spoken)),
                seconds=sum(passed) / len(passed) if passed else None,
                is_flaky=is_flaky,
            )
        )

    def newest_red_first(self) -> list[Red]:
        """Return what is red now; what began last comes first."""
        return sorted(self.red, key=lambda red: (red.since.place, red.scenario.location))

    def _count(self, line: Line) -> None:
        before: Cell | None = None
        oldest = len(self.window.runs) - 1
        for cell in reversed(line.cells):
            run = self.window.runs[cell.run]
            run.counts[cell.standing] += 1
            if cell.suspect is not None and cell.standing is not Standing.KNOWN:
                run.suspects[cell.suspect] += 1
            was_bad = before is not None and before.standing in BAD
            is_new = cell.standing in BAD and not was_bad
            # At the edge of the window nobody knows what was before.
            is_new = is_new and (before is not None or cell.run < oldest)
            run.newly_failing += is_new
            run.newly_passing += was_bad and cell.standing is Standing.PASSED
            if cell.standing is not Standing.PASSED:
                listed = run.minor if cell.standing in _MINOR else run.listed
                if len(listed) < self._most:
                    told = (line.scenario, cell.standing, cell.reason, is_new, cell.suspect)
                    listed.append(Listed(*told))
            if cell.standing in CONCLUSIVE:
                before = cell

    def _red(self, line: Line, spoken: list[Cell], page: str) -> Red:
        runs, last_good = self.window.runs, None
        since, count = spoken[0], 0
        for cell in spoken:
            if cell.standing in _GOOD:
                last_good = runs[cell.run]
                break
            since, count = cell, count + 1
        return Red(
            scenario=line.scenario,
            page=page,
            standing=spoken[0].standing,
            reason=spoken[0].reason,
            suspect=spoken[0].suspect,
            since=runs[since.run],
            last=runs[spoken[0].run],
            last_good=last_good,
            runs=count,
            is_in_newest=line.cells[0].run == 0,
        )
