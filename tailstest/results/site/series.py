"""Figures over time, of one scenario or of whole runs, made for plots: few points, oldest first."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tailstest.core.verdict import WRONG, Verdict
from tailstest.results.site.lines import Cell, Line
from tailstest.results.site.window import Window
from tailstest.results.standing import BAD, Standing, counted, may_be_alike

#: Points of one plot: more than a screen of 400 pixels can tell apart are put together.
MAX_POINTS = 50
#: Runs over which a rate of flakes is taken: with fewer, one failure would jump to 20 %.
FLAKE_RUNS = 20


#: Kinds of machines of an attempt; an attempt: its kinds, and whether it passed.
_Kind = tuple[str, ...]
_Try = tuple[_Kind, bool]


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
    """Tell whether it failed on an image and a kind of machine on which it also passed."""
    failed: dict[int, set[_Kind]] = defaultdict(set)
    for cell in line.cells:
        if not cell.is_plain:
            for kind, passed in _tries(cell):
                if not passed:
                    failed[_image(cell, window)].add(kind)
    return bool(failed) and any(
        passed and any(may_be_alike(kind, other) for other in failed[image])
        for cell in line.cells
        if (image := _image(cell, window)) in failed
        for kind, passed in _tries(cell)
    )


def flake_rates(line: Line, window: Window) -> Series | None:
    """Return the share of attempts that failed where it also passed, 0 to 1.

    Each point looks back over `FLAKE_RUNS` runs. None if it never failed on an image and a kind of
    machine on which it passed.
    """
    if all(cell.is_plain for cell in line.cells) or not is_flaky(line, window):
        return None
    counts: dict[int, Counter[_Try]] = {}
    recent: deque[tuple[int, list[_Try]]] = deque()
    rates: list[float | None] = []
    cells = list(reversed(line.cells))
    for cell in cells:
        image, tries = _image(cell, window), _tries(cell)
        recent.append((image, tries))
        counts.setdefault(image, Counter()).update(tries)
        if len(recent) > FLAKE_RUNS:
            image, tries = recent.popleft()
            left = counts.pop(image) - Counter(tries)
            if left:
                counts[image] = left
        failed = passed = 0
        for of_image in counts.values():
            good = {
                kind for (kind, has_passed), number in of_image.items() if has_passed and number
            }
            for (kind, has_passed), number in of_image.items():
                passed += number if has_passed else 0
                if not has_passed and any(may_be_alike(kind, other) for other in good):
                    failed += number
        rates.append(failed / (failed + passed) if passed else None)
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
    passed = [
        each.seconds
        for each in cell.attempts
        if each.verdict is Verdict.PASSED and not each.person  # who needs no time
    ]
    return passed[-1] if passed else None


def _image(cell: Cell, window: Window) -> int:
    return window.runs[cell.run].info.comparable


def _tries(cell: Cell) -> list[_Try]:
    """Return the attempts that count and say something about image or test."""
    if not cell.attempts:
        return [((), True)]
    return [
        (each.machines, each.verdict is Verdict.PASSED)
        for each in counted(cell.attempts)
        if each.verdict is Verdict.PASSED or each.verdict in WRONG
    ]
