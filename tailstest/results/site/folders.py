"""The run folders that a user gave: which run each holds, and links to what is in them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from tailstest.core.errors import UsageError
from tailstest.results.run_folder import EVENTS_FILE, LATEST, REPORT_FILE, RunFolder
from tailstest.results.site.window import Window

#: Bytes of the first event of a run, which has its id and its environment.
_FIRST_EVENT = 1_000_000


class Link(NamedTuple):
    """A link of a page; `kind` is that of an artifact or "report"."""

    text: str
    href: str
    kind: str = ""


def find_folders(window: Window, given: Iterable[Path]) -> int:
    """Give the runs of a window their folders.

    Args:
        given: folders of runs, or folders that hold such.

    Returns:
        How many runs have one.

    Raises:
        UsageError: one of them is no folder.
    """
    by_run = {run.info.run_id: run for run in window.runs}
    for folder in given:
        for path in _run_folders(folder):
            run = by_run.get(_run_id(path)) or by_run.get(path.name)
            if run is not None and run.folder is None:
                run.folder = RunFolder.open(path)
    return sum(run.folder is not None for run in window.runs)


def link_to(folder: RunFolder, relative: str, start: Path) -> str:
    """Return the link from a page in `start` to a file of a run; "" when it is gone.

    Args:
        relative: as an event or the store names it; never followed out of the folder.
        start: the folder of the page when the site is in its place.
    """
    file = folder.file(relative)
    return _href(file, start) if file is not None else ""


def report_link(folder: RunFolder, start: Path) -> str:
    """Return the link to the report of a run; "" when there is none."""
    return link_to(folder, REPORT_FILE, start)


def _href(file: Path, start: Path) -> str:
    return quote(os.fsencode(os.path.relpath(file, start)))


def _run_folders(folder: Path) -> list[Path]:
    try:
        if not folder.is_dir():
            raise UsageError(
                f"{folder} is no folder",
                hint="name the folder of runs, or of one run, after --runs",
            )
        if (folder / EVENTS_FILE).is_file():
            return [folder.resolve()]
        inside = [path for path in folder.iterdir() if path.name != LATEST]
        return sorted(path.resolve() for path in inside if (path / EVENTS_FILE).is_file())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}") from error


def _run_id(folder: Path) -> str:
    try:
        with (folder / EVENTS_FILE).open("rb") as stream:
            first = json.loads(stream.readline(_FIRST_EVENT))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(first.get("run_id", "")) if isinstance(first, dict) else ""
