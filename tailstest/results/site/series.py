"""Figures over time, of one scenario or of whole runs, made for plots: few points, oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tailstest.core.verdict import WRONG, Verdict
from tailstest.results.site.lines import Cell, Line
from tailstest.results.site.window import Window
from tailstest.results.standing import BAD, Standing

#: Points of one plot: more than a screen of 400 pixels can tell apart are put together.
MAX_POINTS = 50
#: Runs over which a rate of flakes is taken: with fewer, one failure would jump to 20 %.
FLAKE_RUNS = 20


@dataclass(frozen=True)
class Curve:
    """One line of a plot.

    Attributes:
        kind: colour and shape: a standing, or "plain".
        values: one for each label; None where there is nothing to draw.
    """

    name: str
    kind: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Series:
    """What a plot and the table beside it show.

    Attributes:
        labels: of the points: when a run began, or the first and last of those put together; our
            own words, safe in a page.
        together: most runs that one point stands for.
    """

    labels: tuple[str, ...]
    curves: tuple[Curve, ...]
    together: int = 1


def durations(line: Line, window: Window) -> Series | None:
    """Return how long it took to pass, and where it failed; None if it never passed."""
    cells = [cell for cell in reversed(line.cells) if cell.seconds > 0]
    passed = [_seconds_passed(cell) for cell in cells]
    if not any(value is not None for value in passed):
        return None
    failed = [cell.seconds if cell.standing in BAD else None for cell in cells]
    labels = [window.runs[cell.run].day for cell in cells]
    curves = [Curve("passed", "passed", tuple(passed))]
    if any(value is not None for value in failed):
        curves.append(Curve("failed", "failed", tuple(failed)))
    return grouped(labels, curves, median)


def is_flaky(line: Line, window: Window) -> bool:
    """Tell whether it failed on an image on which it also passed."""
    failed = {
        _image(cell, window) for cell in line.cells if not cell.is_plain and _attempts(cell)[1]
    }
    return bool(failed) and any(
        _attempts(cell)[0] and _image(cell, window) in failed for cell in line.cells
    )


def flake_rates(line: Line, window: Window) -> Series | None:
    """Return the share of attempts that failed on images on which it also passed, 0 to 1.

    Each point looks back over `FLAKE_RUNS` runs. None if it never failed on an image on which it
    passed.
    """
    if all(cell.is_plain for cell in line.cells) or not is_flaky(line, window):
        return None
    counts: dict[int, list[int]] = {}
    recent: deque[tuple[int, int, int]] = deque()
    rates: list[float | None] = []
    cells = list(reversed(line.cells))
    for cell in cells:
        recent.append((_image(cell, window), *_attempts(cell)))
        _add(counts, recent[-1], 1)
        if len(recent) > FLAKE_RUNS:
            _add(counts, recent.popleft(), -1)
        failed = tried = 0
        for passed_there, failed_there in counts.values():
            if passed_there:
                failed += failed_there
                tried += passed_there + failed_there
        rates.append(failed / tried if tried else None)
    labels = [window.runs[cell.run].day for cell in cells]
    return grouped(labels, [Curve("flake rate", "flaky", tuple(rates))], max)


def run_counts(window: Window, kinds: Sequence[Standing]) -> Series:
    """Return how many scenarios of each run had one of these standings."""
    runs = list(reversed(window.runs))
    curves = [
        Curve(kind.value, kind.value, tuple(float(run.counts[kind]) for run in runs))
        for kind in kinds
    ]
    return grouped([run.day for run in runs], curves, max)


def run_times(window: Window) -> Series:
    """Return how long the runs took on the clock, in seconds."""
    runs = list(reversed(window.runs))
    curve = Curve("duration", "plain", tuple(run.seconds for run in runs))
    return grouped([run.day for run in runs], [curve], median)


def grouped(
    labels: Sequence[str],
    curves: Sequence[Curve],
    together: Callable[[list[float]], float],
    most: int = MAX_POINTS,
) -> Series:
    """Return a series of at most `most` points.

    Args:
        together: makes one value of those of several runs.
    """
    size = max(1, -(-len(labels) // most))
    parts = [range(at, min(at + size, len(labels))) for at in range(0, len(labels), size)]
    if size == 1:
        return Series(tuple(labels), tuple(curves))
    merged = []
    for curve in curves:
        values = []
        for part in parts:
            there = [value for at in part if (value := curve.values[at]) is not None]
            values.append(together(there) if there else None)
        merged.append(Curve(curve.name, curve.kind, tuple(values)))
    names = [
        labels[part[0]] if len(part) == 1 else f"{labels[part[0]]} to {labels[part[-1]]}"
        for part in parts
    ]
    return Series(tuple(names), tuple(merged), size)


def _seconds_passed(cell: Cell) -> float | None:
    if cell.is_plain:
        return cell.seconds
    passed = [each.seconds for each in cell.attempts if each.verdict is Verdict.PASSED]
    return passed[-1] if passed else None


def _image(cell: Cell, window: Window) -> int:
    """Return what makes attempts comparable: their image, or else their run."""
    image = window.runs[cell.run].info.image_id
    return -1 - cell.run if image is None else image


def _attempts(cell: Cell) -> tuple[int, int]:
    if cell.is_plain:
        return 1, 0
    verdicts = [each.verdict for each in cell.attempts]
    return verdicts.count(Verdict.PASSED), sum(verdict in WRONG for verdict in verdicts)


def _add(counts: dict[int, list[int]], one: tuple[int, int, int], sign: int) -> None:
    image, passed, failed = one
    both = counts.setdefault(image, [0, 0])
    both[0] += sign * passed
    both[1] += sign * failed
    if both == [0, 0]:
        del counts[image]
