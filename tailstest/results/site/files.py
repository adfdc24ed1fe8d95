"""Links to the files that were kept of attempts, where their run folders were given."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Row, and_, select

from tailstest.core.verdict import Verdict
from tailstest.results.site.folders import Link, link_to
from tailstest.results.site.window import Window
from tailstest.results.store.tables import CODES, artifacts, attempts

#: Rows held of all runs together; of older runs beyond it only what did not pass has links.
MAX_KEPT = 100_000
#: Links to files of one attempt; its report has all.
MAX_LINKS = 12
_ORDER = {"video": 0, "frame": 1, "capture": 2, "log": 3, "serial": 4}
_TELLING = [CODES[each] for each in (Verdict.FAILED, Verdict.ERRORED, Verdict.INCOMPLETE)]


class Files:
    """Knows the kept files of the runs that have a folder.

    Args:
        start: the folder of the pages that link to them, when the site is in its place.
    """

    def __init__(self, connection: Connection, window: Window, start: Path) -> None:
        self._window = window
        self._start = start
        self._kept: dict[tuple[int, int], list[tuple[int, str, str, str]]] = defaultdict(list)
        left = MAX_KEPT
        for run in window.runs:
            if run.folder is not None:
                left -= self._read(connection, run.place, run.info.id, left)

    def of(self, place: int, scenario: int, number: int) -> list[Link]:
        """Return links to the files of an attempt that are still there, telling ones first.

        Args:
            place: of the run in the window.
        """
        folder = self._window.runs[place].folder
        kept = self._kept.get((place, scenario))
        if folder is None or kept is None:
            return []
        found: list[Link] = []
        titles: Counter[str] = Counter()
        for which, kind, path, title in kept:
            if which != number or len(found) >= MAX_LINKS:
                continue
            href = link_to(folder, path, self._start)
            if href:
                name = title or kind
                titles[name] += 1  # a machine that was started again has several captures
                name += f" ({titles[name]})" if titles[name] > 1 else ""
                found.append(Link(name, href, kind))
        return found

    def _read(self, connection: Connection, place: int, run: int, left: int) -> int:
        columns = (
            artifacts.c.scenario,
            artifacts.c.number,
            artifacts.c.kind,
            artifacts.c.path,
            artifacts.c.title,
        )
        wanted = select(*columns).where(artifacts.c.run == run, artifacts.c.scenario.is_not(None))
        rows: Sequence[Row[int | None, int | None, str, str, str]] = []
        if left > 0:
            rows = connection.execute(wanted.limit(left + 1)).all()
        if not 0 < len(rows) <= left:
            bad = wanted.select_from(
                artifacts.join(
                    attempts,
                    and_(
                        attempts.c.run == artifacts.c.run,
                        attempts.c.scenario == artifacts.c.scenario,
                        attempts.c.number == artifacts.c.number,
                    ),
                )
            ).where(attempts.c.verdict.in_(_TELLING))
            rows = connection.execute(bad.limit(MAX_KEPT)).all()
        for scenario, number, kind, path, title in rows:
            self._kept[place, scenario or 0].append((number or 1, kind, path, title))
        for scenario in {row[0] for row in rows}:
            self._kept[place, scenario or 0].sort(key=lambda each: _ORDER.get(each[1], 9))
        return len(rows)
