"""Builds a site: everything about scenarios in one go over the store, then what sums it up."""

from __future__ import annotations

import datetime
import gc
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape
from sqlalchemy import Connection

from tailstest import __version__
from tailstest.core.errors import UsageError
from tailstest.results.console import day_and_time
from tailstest.results.shown import one_line
from tailstest.results.site.comparing import Comparing
from tailstest.results.site.exchange import MARKER, check_output, exchanged
from tailstest.results.site.files import Files
from tailstest.results.site.folders import find_folders
from tailstest.results.site.history import History, history_rows
from tailstest.results.site.lines import Line, read_lines, scenarios_of, standings_by_image
from tailstest.results.site.matrix import Column, Matrix
from tailstest.results.site.pages import Pages
from tailstest.results.site.scenario_page import ScenarioPages
from tailstest.results.site.series import is_flaky
from tailstest.results.site.sides import Pair, pair_of
from tailstest.results.site.summary_pages import write_summaries
from tailstest.results.site.tally import Tally
from tailstest.results.site.window import Window, image_words
from tailstest.results.store.engine import Store

#: Runs of a site by default.
LAST = 100
#: Comparisons that look into run folders, those of the newest failures first; the others have the
#: steps that the store knows.
MAX_WITH_FILES = 400
#: New objects before Python looks for those that it may throw away; its own number is 700.
_NEW_OBJECTS = 100_000
#: Scenarios whose pages are written together.
_TOGETHER = 100


@dataclass(frozen=True)
class SiteReport:
    """What was written: `folders` of runs were found, `largest` is the size of a page in bytes."""

    output: Path
    runs: int
    scenarios: int
    folders: int
    pages: int
    bytes: int
    largest: int


def build_site(
    store: Store,
    output: Path,
    *,
    folders: Sequence[Path] = (),
    last: int = LAST,
    public: bool = False,
    today: datetime.date,
    now: float | None = None,
) -> SiteReport:
    """Write the site of the newest `last` runs; an older one there is replaced in one step.

    Args:
        output: a folder that is new, empty, or a site already.
        folders: run folders, or folders that hold them; pages link to what is in them.
        public: whether others than the owner may read the files.
        now: seconds since the epoch, told as the time of writing; the clock decides without.

    Raises:
        UsageError: the store has no run, or a folder is not what it should be.
        InfrastructureError: the store fails, or the site cannot be written; an older one stays.
    """
    check_output(output)
    with store.reading() as connection:
        window = Window.read(connection, last)
        if not window.runs:
            raise UsageError(
                "the store has no runs to write about",
                hint="`tailstest run` fills it, or add a run: tailstest store add RUN",
            )
        found = find_folders(window, folders)
        with exchanged(output) as folder, _seldom_collected():
            pages = Pages(folder, public=public, now=time.time() if now is None else now)
            written = _Site(connection, window, pages, check_output(output), today).write()
            pages.write(MARKER, json.dumps({"tailstest": __version__, "runs": len(window.runs)}))
    return SiteReport(
        output=check_output(output),
        runs=len(window.runs),
        scenarios=written,
        folders=found,
        pages=pages.written,
        bytes=pages.bytes,
        largest=pages.largest,
    )


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for objects in circles after many new ones only.

    Reading makes many objects that are all needed for a while; looking through them again and
    again took a third of the time.
    """
    usual = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _Site:
    def __init__(
        self,
        connection: Connection,
        window: Window,
        pages: Pages,
        output: Path,
        today: datetime.date,
    ) -> None:
        self._connection = connection
        self._window = window
        self._pages = pages
        self._today = today
        self._known = scenarios_of(connection, window)
        files = Files(connection, window, output / "scenario")
        self._comparing = Comparing(connection, window, files, output / "scenario")
        self._scenario_pages = ScenarioPages(window, files, pages, output / "scenario")
        self._tally = Tally(window)
        self._image_of = [
            None if run.info.image_id is None else run.info.comparable for run in window.runs
        ]
        images = [image for image in self._image_of if image is not None]
        self._image_places = {image: n for n, image in enumerate(dict.fromkeys(images))}
        self._with_files: list[tuple[Line, History, Pair]] = []
        self._waiting: list[tuple[Line, History, Pair | None]] = []
        self._output = output

    def write(self) -> int:
        """Write all pages; return the number of scenarios."""
        count = len(self._known)
        by_run = Matrix("run", self._run_columns(), count, self._pages)
        by_image = Matrix("image", self._image_columns(), count, self._pages)
        excused = self._window.excused(self._connection)
        lines = read_lines(self._connection, self._window, self._known, excused, self._today)
        for line in lines:
            history = history_rows(line)
            self._tally.add(line, is_flaky=is_flaky(line, self._window))
            anchors = {place: f"#r{self._window.runs[place].info.id}" for place in history.anchored}
            by_run.add(line, {cell.run: cell.standing for cell in line.cells}, anchors)
            standings = standings_by_image(line, self._image_of, self._today)
            by_image.add(
                line, {self._image_places[image]: each for image, each in standings.items()}, {}
            )
            self._take(line, history)
        by_run.flush()
        by_image.flush()
        self._write_waiting()
        self._write_with_files()
        write_summaries(self._window, self._tally, self._pages, self._output)
        return count

    def _take(self, line: Line, history: History) -> None:
        """Write a scenario's page soon, or after the others if run folders have to be read."""
        pair = pair_of(line)
        if pair is not None and self._comparing.has_folder(pair):
            self._with_files.append((line, history, pair))
            if len(self._with_files) >= 2 * MAX_WITH_FILES:
                self._keep_newest_failures()
        else:
            self._waiting.append((line, history, pair))
        if len(self._waiting) >= _TOGETHER:
            self._write_waiting()

    def _keep_newest_failures(self) -> None:
        self._with_files.sort(key=lambda each: each[2].failed[0])
        left_out = self._with_files[MAX_WITH_FILES:]
        del self._with_files[MAX_WITH_FILES:]
        self._waiting += left_out
        self._write_waiting()

    def _write_waiting(self) -> None:
        pairs = [(line, pair) for line, _history, pair in self._waiting if pair is not None]
        sides = self._comparing.compare(pairs, with_files=False)
        for line, history, _pair in self._waiting:
            self._scenario_pages.write(line, history, sides.get(line.scenario.id))
        self._waiting = []

    def _write_with_files(self) -> None:
        self._keep_newest_failures()
        pairs = [(line, pair) for line, _history, pair in self._with_files]
        sides = self._comparing.compare(pairs, with_files=True)
        for line, history, _pair in self._with_files:
            self._scenario_pages.write(line, history, sides[line.scenario.id])

    def _run_columns(self) -> list[Column]:
        return [
            Column(
                Markup('<a href="../{}">{}</a>').format(run.page, run.day),
                escape(one_line(image_words(run.info), 60)),
                run.day,
            )
            for run in self._window.runs
        ]

    def _image_columns(self) -> list[Column]:
        """Return the images, the one with the newest run first."""
        runs: dict[int, list[int]] = {}
        for place, image in enumerate(self._image_of):
            if image is not None:
                runs.setdefault(image, []).append(place)
        columns = []
        for places in runs.values():
            newest = self._window.runs[places[0]].info
            many = f"{len(places)} runs" if len(places) > 1 else "1 run"
            columns.append(
                Column(
                    Markup("<bdi>{}</bdi><small>{}</small>").format(
                        one_line(image_words(newest), 60),
                        f"{many}, {day_and_time(newest.started)}",
                    ),
                    Markup(""),
                    day_and_time(newest.started),
                )
            )
        return columns
