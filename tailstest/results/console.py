"""Where answers are printed: as wide as the terminal, plain where there is none."""

from __future__ import annotations

import io
import sys
import time

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailstest.results.shown import one_line
from tailstest.results.standing import Standing

#: Columns where no terminal says how many there are: a file, a log of CI.
WIDTH_OF_FILES = 160

STYLES = {
    Standing.PASSED: "green",
    Standing.FAILED: "bold red",
    Standing.ERRORED: "bold magenta",
    Standing.FLAKY: "bold yellow",
    Standing.KNOWN: "yellow",
    Standing.INCOMPLETE: "bold yellow",
    Standing.NOT_RUN: "dim",
    Standing.MANUAL: "cyan",
    Standing.SKIPPED: "dim",
}
SIGNS = {
    Standing.PASSED: "✓",
    Standing.FAILED: "✗",
    Standing.ERRORED: "!",
    Standing.FLAKY: "~",
    Standing.KNOWN: "k",
    Standing.INCOMPLETE: "?",
    Standing.NOT_RUN: "○",
    Standing.MANUAL: "☞",
    Standing.SKIPPED: "»",
}


class QuietConsole(Console):
    """A console whose reader may go away (`| head`); rich's own ends the program then."""

    def on_broken_pipe(self) -> None:
        """Print nothing more."""
        self.quiet = True


def answer_console() -> QuietConsole:
    """Return a console on standard output for text that may hold anything."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return QuietConsole(
        file=sys.stdout,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if sys.stdout.isatty() else WIDTH_OF_FILES,
    )


def plain_table(*columns: str, right: tuple[str, ...] = (), wide: str = "") -> Table:
    """Return an empty table.

    Args:
        right: columns of numbers.
        wide: the column that may be broken over lines; the others stay in one piece.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name != wide,
            overflow="fold" if name == wide else "ellipsis",
        )
    return table


def standing_text(standing: Standing) -> Text:
    """Return a standing in its colour, with a sign for those who see none."""
    return Text(f"{SIGNS[standing]} {standing.value}", STYLES[standing])


def safe(text: object, limit: int = 300) -> Text:
    """Return any text on one line, harmless in a terminal."""
    return Text(one_line(text, limit))


def day_and_time(seconds: float) -> str:
    """Return a time as people read it, "?" for one that no calendar has."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "?"
