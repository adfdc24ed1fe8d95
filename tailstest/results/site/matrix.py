"""The matrix: scenarios by run, or by image, in pages that a browser can hold.

Cells are put together as text here, because there may be millions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from markupsafe import Markup, escape

from tailstest.results.console import SIGNS
from tailstest.results.shown import one_line
from tailstest.results.site.lines import Line
from tailstest.results.site.pages import Pages
from tailstest.results.site.window import scenario_page, windows
from tailstest.results.standing import Standing

#: Columns and scenarios of one page: about 1 MB.
COLUMNS = 20
SCENARIOS = 1_000
_CLASSES = {standing: standing.value.replace(" ", "-") for standing in Standing}
_TEXTS = {standing: f"{SIGNS[standing]} {standing.value}" for standing in Standing}
_PLAIN = {
    standing: f'<td class="v-{_CLASSES[standing]}">{_TEXTS[standing]}</td>' for standing in Standing
}
_EMPTY = "<td></td>"
_WITHOUT_LINK = (Standing.PASSED, Standing.SKIPPED)
#: Rows without links that are remembered.
MOST_PLAIN = 10_000


class Column(NamedTuple):
    """A run or an image at the head of the matrix.

    Attributes:
        head: what it is called, safe for a page.
        group: what neighbours have in common (the image of runs), safe for a page; may be "".
        name: for the list of windows: a day.
    """

    head: Markup
    group: Markup
    name: str


class Span(NamedTuple):
    """Columns with one heading above them."""

    text: Markup
    width: int


class _Row(NamedTuple):
    """A row without the scenario's own head in it."""

    start: str
    cells: str


@dataclass
class _Part:
    """The rows of one window of columns that wait for their page, by feature."""

    rows: list[str] = field(default_factory=list)


class Matrix:
    """Takes one line after the other, in the order of feature files, and writes pages.

    Args:
        kind: "run" or "image", in the names of pages.
        scenarios: how many there will be.
    """

    def __init__(self, kind: str, columns: Sequence[Column], scenarios: int, pages: Pages) -> None:
        self._kind = kind
        self._columns = columns
        self._windows = windows(len(columns), COLUMNS)
        self._parts = windows(scenarios, SCENARIOS)
        self._pages = pages
        self._waiting = [_Part() for _ in self._windows]
        self._plain: dict[tuple[str | None, ...], _Row] = {}
        self._feature = ""
        self._in_part = 0
        self._part = 0

    def add(
        self, line: Line, standings: Mapping[int, Standing], anchors: Mapping[int, str]
    ) -> None:
        """Add a scenario.

        Args:
            standings: by place of the column.
            anchors: fragments of its page that are about a column, by place.
        """
        if self._in_part == SCENARIOS:
            self.flush()
        feature = line.file
        is_first = feature != self._feature or self._in_part == 0
        page = f"../{scenario_page(line.scenario)}"
        head = self._head(line, page)
        for part, places in zip(self._waiting, self._windows, strict=True):
            if is_first:
                if self._in_part:
                    part.rows.append("</tbody>")
                part.rows.append(self._group(line, len(places)))
            row = self._row([standings.get(place) for place in places], places, page, anchors)
            part.rows += (row.start, head, row.cells)
        self._feature = feature
        self._in_part += 1

    def _row(
        self,
        there: Sequence[Standing | None],
        places: range,
        page: str,
        anchors: Mapping[int, str],
    ) -> _Row:
        """Return a row; one without links, as nearly all are, is put together once."""
        is_plain = all(each is None or each in _WITHOUT_LINK for each in there)
        key = tuple(each and each.value for each in there)
        known = self._plain.get(key) if is_plain else None
        if known is None:
            told = [each for each in there if each is not None]
            now = _CLASSES[told[0]] if told else "none"
            ever = " ".join(sorted({_CLASSES[each] for each in told})) or "none"
            cells = [
                _cell(standing, page, anchors.get(place, ""))
                for standing, place in zip(there, places, strict=True)
            ]
            known = _Row(f'<tr data-v="{now}" data-e="{ever}"', "".join([*cells, "</tr>\n"]))
            if is_plain and len(self._plain) < MOST_PLAIN:
                self._plain[key] = known
        return known

    def flush(self) -> None:
        """Write the pages of what was added since the last time."""
        if not self._in_part and self._part:
            return
        for number, part in enumerate(self._waiting):
            if part.rows:
                part.rows.append("</tbody>")
            places = self._windows[number]
            columns = [self._columns[place] for place in places]
            self._pages.render(
                self.page(number, self._part),
                "site/matrix.html.j2",
                {
                    "kind": self._kind,
                    "rows": Markup("".join(part.rows)),
                    "columns": columns,
                    "spans": _spans(columns),
                    "windows": [
                        (self.page(n, self._part), self._name(each), n == number)
                        for n, each in enumerate(self._windows)
                    ],
                    "parts": [
                        (self.page(number, n), f"{each.start + 1} to {each.stop}")
                        for n, each in enumerate(self._parts)
                    ],
                    "part": self._part,
                    "first": self._part * SCENARIOS + 1,
                    "count": self._in_part,
                },
            )
            part.rows = []
        self._part += 1
        self._in_part = 0
        self._feature = ""

    def page(self, window: int = 0, part: int = 0) -> str:
        """Return the name of a page."""
        return f"matrix/{self._kind}-{window + 1}-{part + 1}.html"

    def _name(self, places: range) -> str:
        if not places:
            return "nothing"
        newest, oldest = self._columns[places[0]].name, self._columns[places[-1]].name
        return newest if newest == oldest else f"{newest} to {oldest}"

    def _head(self, line: Line, page: str) -> str:
        tags = escape(one_line(" ".join(line.tags), 1000))
        name = escape(one_line(line.scenario.title, 200))
        return f' data-t="{tags}"><th scope="row"><a href="{page}"><bdi>{name}</bdi></a></th>'

    def _group(self, line: Line, width: int) -> str:
        title = escape(one_line(line.scenario.feature or "(unnamed feature)", 200))
        file = escape(one_line(line.file, 200))
        return (
            f'<tbody data-f="{title}"><tr class="group"><th scope="rowgroup" colspan="{width + 1}">'
            f"<span><bdi>{title}</bdi> <small><bdi>{file}</bdi></small></span></th></tr>\n"
        )


def _cell(standing: Standing | None, page: str, anchor: str) -> str:
    """Return a cell; what passed is no link, so that the keyboard goes from failure to failure."""
    if standing is None:
        return _EMPTY
    if standing in _WITHOUT_LINK:
        return _PLAIN[standing]
    return (
        f'<td class="v-{_CLASSES[standing]}"><a href="{page}{anchor}">{_TEXTS[standing]}</a></td>'
    )


def _spans(columns: Sequence[Column]) -> list[Span]:
    spans: list[Span] = []
    for column in columns:
        if spans and spans[-1].text == column.group:
            spans[-1] = Span(column.group, spans[-1].width + 1)
        else:
            spans.append(Span(column.group, 1))
    return spans
