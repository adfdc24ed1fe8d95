"""The page of a scenario: what became of it, why it failed, and how it goes on."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from tailstest.results.answers.proportion import proportion
from tailstest.results.shown import one_line
from tailstest.results.site.files import Files
from tailstest.results.site.folders import Link, report_link
from tailstest.results.site.history import Gap, History, Row
from tailstest.results.site.lines import CONCLUSIVE, Line
from tailstest.results.site.pages import CHIPS, Pages
from tailstest.results.site.plots import clock_tick, plot_with_figures
from tailstest.results.site.series import FLAKE_RUNS, Series, durations, flake_rates
from tailstest.results.site.sides import SideBySide
from tailstest.results.site.window import Window, image_words, scenario_page
from tailstest.results.standing import BAD, Standing
from tailstest.results.wording import duration


class ScenarioPages:
    """Writes pages of scenarios.

    Args:
        start: the folder of these pages, when the site is in its place.
    """

    def __init__(self, window: Window, files: Files, pages: Pages, start: Path) -> None:
        self._window = window
        self._files = files
        self._pages = pages
        # The same on thousands of pages.
        self._run_links = [
            Markup('<a href="../{}">{}</a>').format(run.page, run.day) for run in window.runs
        ]
        self._images = [
            Markup("<bdi>{}</bdi>").format(one_line(image_words(run.info), 60))
            for run in window.runs
        ]
        self._reports = [
            report_link(run.folder, start) if run.folder is not None else "" for run in window.runs
        ]

    def write(self, line: Line, history: History, sides: SideBySide | None) -> None:
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
                "rows": [self._row(row, line.scenario.id) for row in history.rows],
                "links": lambda place, number: self._files_of(place, line.scenario.id, number),
                "sides": sides,
                "run_links": self._run_links,
                "images": self._images,
                "times": _times_plot(durations(line, self._window)),
                "flakes": _flakes_plot(flake_rates(line, self._window)),
            },
        )

    def _row(self, row: Row | Gap, scenario: int) -> Row | Gap | Markup:
        """Return a row for the template; one that only says that it passed is put together here.

        Nearly all are such.
        """
        if isinstance(row, Gap) or not row.is_plain:
            return row
        only = row.tried[0]
        if self._files_of(row.place, scenario, only.number):
            return row
        run = self._window.runs[row.place]
        return Markup(
            f'<tr id="r{run.info.id}"><th scope="row">{self._run_links[row.place]}</th>'
            f'<td>{CHIPS[Standing.PASSED]}</td><td class="n">{duration(only.seconds)}</td>'
            f'<td></td><td>{self._images[row.place]}</td><td class="files">–</td></tr>\n'
        )

    def _files_of(self, place: int, scenario: int, number: int) -> list[Link]:
        report = self._reports[place]
        own = [Link("Report", report, "report")] if report else []
        return own + self._files.of(place, scenario, number)


def _times_plot(series: Series | None) -> Markup:
    if series is None:
        return Markup("<p>It never passed in these runs.</p>")
    if len(series.labels) == 1:
        (only,) = series.curves[0].values
        return Markup("<p>{} in the only run.</p>").format(duration(only or 0.0))
    return plot_with_figures(
        series,
        "Duration by run",
        "Duration by run; of runs put together the middle one",
        id="plot-time",
        y_title="duration",
        form=duration,
        tick=clock_tick,
        is_time=True,
    )


def _flakes_plot(series: Series | None) -> Markup:
    if series is None:
        return Markup("<p>It never failed on an image on which it also passed.</p>")
    return Markup(
        '<p class="quiet">The share of attempts that failed on images on which it also passed, '
        "over the last {} runs each.</p>"
    ).format(FLAKE_RUNS) + plot_with_figures(
        series,
        "Flake rate by run",
        f"Flake rate over the last {FLAKE_RUNS} runs; of runs put together the highest",
        id="plot-flakes",
        y_title="flake rate",
        form="{:.1%}".format,
        tick=_percent,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
