"""The pages that sum up: the first page, each run, the lists of runs and scenarios, trends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tailstest.results.run_folder import EVENTS_FILE, JUNIT_FILE
from tailstest.results.site.folders import Link, link_to, report_link
from tailstest.results.site.pages import Pages
from tailstest.results.site.plots import clock_tick, legend, line_plot, plot_with_figures
from tailstest.results.site.series import run_counts, run_times
from tailstest.results.site.tally import Tally
from tailstest.results.site.window import SiteRun, Window, windows
from tailstest.results.standing import RANK, Standing
from tailstest.results.wording import duration

#: Runs and red scenarios on the first page.
NEWEST = 20
RED = 100
#: Runs and scenarios in one page of a list.
RUNS = 100
SCENARIOS = 5_000
#: What the plot of trends shows besides passes; what is 0 in all runs is left out.
_TROUBLE = (
    Standing.FAILED,
    Standing.ERRORED,
    Standing.FLAKY,
    Standing.KNOWN,
    Standing.INCOMPLETE,
)


def write_summaries(window: Window, tally: Tally, pages: Pages, output: Path) -> None:
    """Write all pages but those of scenarios and the matrix.

    Args:
        output: where the site will be.

    Raises:
        OSError: one cannot be written.
    """
    red = tally.newest_red_first()
    top = {
        "window": window,
        "newest": window.runs[0],
        "red": red[:RED],
        "red_total": len(red),
        "red_suspects": Counter(one.suspect for one in red if one.suspect),
        "flaky": sum(row.is_flaky for row in tally.rows),
        "scenarios": len(tally.rows),
        "runs": window.runs[:NEWEST],
        "reports": _reports(window.runs[:NEWEST], output),
        "kinds": _kinds(window.runs),
        **_trends(window),
    }
    pages.render("index.html", "site/index.html.j2", top)
    pages.render("trends.html", "site/trends.html.j2", top)
    parts = windows(len(window.runs), RUNS)
    for number, part in enumerate(parts):
        of_part = [window.runs[place] for place in part]
        values = {
            "window": window,
            "runs": of_part,
            "reports": _reports(of_part, output / "list"),
            "kinds": _kinds(window.runs),
            "parts": _part_names("runs", parts),
            "part": number,
        }
        pages.render(f"list/runs-{number + 1}.html", "site/runs.html.j2", values)
    _write_scenarios(tally, pages)
    for run in window.runs:
        older = window.runs[run.place + 1] if run.place + 1 < len(window.runs) else None
        newer = window.runs[run.place - 1] if run.place else None
        listed = sorted([*run.listed, *run.minor], key=lambda each: RANK.index(each.standing))
        values = {"run": run, "listed": listed, "links": _links(run, output / "run")}
        pages.render(run.page, "site/run.html.j2", {**values, "older": older, "newer": newer})


def _write_scenarios(tally: Tally, pages: Pages) -> None:
    parts = windows(len(tally.rows), SCENARIOS)
    for number, part in enumerate(parts):
        values = {
            "rows": tally.rows[part.start : part.stop],
            "total": len(tally.rows),
            "parts": _part_names("scenarios", parts),
            "part": number,
        }
        pages.render(f"list/scenarios-{number + 1}.html", "site/scenarios.html.j2", values)


def _part_names(kind: str, parts: Sequence[range]) -> list[tuple[str, str]]:
    return [
        (f"list/{kind}-{n + 1}.html", f"{part.start + 1} to {part.stop}")
        for n, part in enumerate(parts)
    ]


def _kinds(runs: Sequence[SiteRun]) -> list[Standing]:
    """Return the standings that any run has, what matters most first; passes always."""
    return [
        standing
        for standing in (Standing.PASSED, *(each for each in RANK if each is not Standing.PASSED))
        if standing is Standing.PASSED or any(run.counts[standing] for run in runs)
    ]


def _trends(window: Window) -> Mapping[str, Any]:
    there = [kind for kind in _TROUBLE if any(run.counts[kind] for run in window.runs)]
    trouble = run_counts(window, there)
    return {
        "passed": plot_with_figures(
            run_counts(window, [Standing.PASSED]),
            "Scenarios that passed, by run",
            "Number of scenarios that passed",
            id="plot-passed",
            y_title="scenarios",
            form=_whole,
        ),
        "trouble": plot_with_figures(
            trouble,
            "Scenarios that did not pass, by run",
            "Number of scenarios by verdict",
            id="plot-trouble",
            y_title="scenarios",
            form=_whole,
        )
        if there
        else "",
        "trouble_plot": legend(trouble)
        + line_plot(
            trouble,
            "Scenarios that did not pass, by run",
            id="plot-trouble",
            y_title="scenarios",
            form=_whole,
        )
        if there
        else "",
        "times": plot_with_figures(
            run_times(window),
            "Duration of runs",
            "Duration of runs on the clock",
            id="plot-times",
            y_title="duration",
            form=duration,
            tick=clock_tick,
            is_time=True,
        ),
    }


def _whole(value: float) -> str:
    return f"{value:g}"


def _reports(runs: Sequence[SiteRun], start: Path) -> dict[int, str]:
    return {run.place: report_link(run.folder, start) for run in runs if run.folder is not None}


def _links(run: SiteRun, start: Path) -> list[Link]:
    if run.folder is None:
        return []
    files = [("Report", "report.html"), ("junit.xml", JUNIT_FILE), ("events.jsonl", EVENTS_FILE)]
    return [Link(text, href) for text, name in files if (href := link_to(run.folder, name, start))]
