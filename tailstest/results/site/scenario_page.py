"""The page of a scenario: what became of it, why it failed, and how it goes on."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from tailstest.results.answers.proportion import proportion
from tailstest.results.site.files import Files
from tailstest.results.site.folders import Link, report_link
from tailstest.results.site.history import history_rows
from tailstest.results.site.lines import CONCLUSIVE, Line
from tailstest.results.site.pages import Pages
from tailstest.results.site.plots import clock_tick, legend, line_plot
from tailstest.results.site.series import Series, durations, flake_rates
from tailstest.results.site.sides import SideBySide
from tailstest.results.site.window import Window, scenario_page
from tailstest.results.standing import BAD, Standing


class ScenarioPages:
    """Writes pages of scenarios.

    Args:
        start: the folder of these pages, when the site is in its place.
    """

    def __init__(self, window: Window, files: Files, pages: Pages, start: Path) -> None:
        self._window = window
        self._files = files
        self._pages = pages
        self._reports = [
            report_link(run.folder, start) if run.folder is not None else "" for run in window.runs
        ]

    def write(self, line: Line, sides: SideBySide | None) -> None:
        """Write one page.

        Raises:
            OSError: it cannot be written.
        """
        last = line.last_word or line.cells[0]
        spoken = [cell for cell in line.cells if cell.standing in CONCLUSIVE]
        failed = sum(cell.standing in {*BAD, Standing.KNOWN} for cell in spoken)
        since = None
        if last.standing in BAD:
            bad = [cell.standing not in (Standing.PASSED, Standing.FLAKY) for cell in spoken]
            length = bad.index(False) if False in bad else len(bad)
            since = self._window.runs[spoken[length - 1].run]
        times, flakes = durations(line, self._window), flake_rates(line, self._window)
        self._pages.render(
            scenario_page(line.scenario),
            "site/scenario.html.j2",
            {
                "line": line,
                "scenario": line.scenario,
                "now": last,
                "now_run": self._window.runs[last.run],
                "since": since,
                "failing": proportion(failed, len(spoken)),
                "failed": failed,
                "spoken": len(spoken),
                "runs": self._window.runs,
                "history": history_rows(line),
                "is_row": lambda row: hasattr(row, "tried"),
                "links": self._links(line),
                "sides": sides,
                "times": times,
                "flakes": flakes,
                "times_plot": _times_plot(times) if times else "",
                "times_key": legend(times) if times else "",
                "flakes_plot": _flakes_plot(flakes) if flakes else "",
            },
        )

    def _links(self, line: Line) -> object:
        def links(place: int, number: int) -> list[Link]:
            report = self._reports[place]
            own = [Link("Report", report, "report")] if report else []
            return own + self._files.of(place, line.scenario.id, number)

        return links


def _times_plot(series: Series) -> Markup:
    return line_plot(
        series,
        "Duration by run; the table below has the figures",
        id="plot-time",
        y_title="duration",
        form=clock_tick,
        is_time=True,
    )


def _flakes_plot(series: Series) -> Markup:
    return line_plot(
        series,
        "Flake rate by run; the table below has the figures",
        id="plot-flakes",
        y_title="flake rate",
        form=lambda share: f"{share:.0%}",
    )
