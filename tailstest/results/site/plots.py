"""Plots as SVG inside a page: axes with titles, shapes besides colours, no script, no style of
their own. Hundreds are drawn in a second, which no library for plots does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from tailstest.results.shown import shown
from tailstest.results.site.series import Curve, Series

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 88, 12, 14, 46
#: Lines of the grid, about.
_TICKS = 4
#: Steps between ticks that people read easily: of numbers, and of seconds on the clock.
_STEPS = (1, 2, 5, 10)
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
#: Shapes of points, drawn from where the pen is; what is not listed gets a dot.
_SHAPES = {
    "failed": "-4-4l8 8m0-8l-8 8",
    "errored": "-4-4h8v8h-8z",
    "flaky": "0-5l5 9h-10z",
    "known": "0-5l5 5l-5 5l-5-5z",
    "incomplete": "-4 0h8m-4-4v8",
}
_DOT = "-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0z"


def plot_with_figures(
    series: Series,
    title: str,
    caption: str,
    *,
    id: str,
    y_title: str,
    form: Callable[[float], str],
    tick: Callable[[float], str] | None = None,
    is_time: bool = False,
) -> Markup:
    """Return a plot with its key and a table of its figures; see `line_plot`.

    Args:
        caption: of the table.
        form: writes a value in the table; what it writes is put into the page as it is.
        tick: writes one beside the axis; as in the table without.
    """
    title += "; the table below has the figures"
    plot = line_plot(series, title, id=id, y_title=y_title, form=tick or form, is_time=is_time)
    return legend(series) + plot + figures(series, caption, form)


def figures(series: Series, caption: str, form: Callable[[float], str]) -> Markup:
    """Return the figures of a plot as a table that can be opened."""
    if series.together > 1:
        caption += f"; each row is of up to {series.together} runs"
    said = escape(caption)
    heads = "".join(f'<th scope="col" class="n">{escape(c.name)}</th>' for c in series.curves)
    columns = [
        [f'<td class="n">{"–" if each is None else form(each)}</td>' for each in c.values]
        for c in series.curves
    ]
    rows = "".join(
        f'<tr><th scope="row">{label}</th>{"".join(cells)}</tr>'
        for label, *cells in zip(series.labels, *columns, strict=True)
    )
    return Markup(
        '<details class="more"><summary>The figures as a table</summary>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{said}">'
        f'<table class="table small"><caption><span>{said}</span></caption>'
        f'<thead><tr><th scope="col">Run</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></details>"
    )


def line_plot(
    series: Series,
    title: str,
    *,
    id: str,
    y_title: str,
    form: Callable[[float], str],
    top: float | None = None,
    is_time: bool = False,
) -> Markup:
    """Return a plot.

    Args:
        title: what a screen reader says it is.
        id: unique in the page.
        y_title: of the upright axis, with its unit.
        form: writes a value beside the axis.
        top: end of the upright axis; the largest value decides without.
        is_time: values are seconds; ticks are at whole minutes and hours.
    """
    values = [value for curve in series.curves for value in curve.values if value is not None]
    ticks = _ticks(top if top is not None else max(values, default=0.0), is_time)
    highest = ticks[-1]

    def x(at: int) -> float:
        width, gaps = WIDTH - LEFT - RIGHT, len(series.labels) - 1
        return LEFT + (at * width / gaps if gaps > 0 else width / 2)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(value, highest) / highest)

    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{id}">'
        f'<title id="{id}">{escape(shown(title))}</title>'
    ]
    for tick in ticks:
        at = y(tick)
        parts.append(
            f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">'
            f"{escape(form(tick)) if tick else 0}</text>"
        )
    parts.append(_axis_titles(series, y_title))
    for curve in series.curves:
        parts.append(_curve(curve, x, y))
    parts.append("</svg>")
    return Markup("".join(parts))


def clock_tick(seconds: float) -> str:
    """Return a duration as it stands beside an axis: "0.5 s", "45 s", "30 min", "1 h 30 min"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min")) if n)


def legend(series: Series) -> Markup:
    """Return what the shapes of a plot stand for; "" where there is only one."""
    if len(series.curves) < 2:
        return Markup("")
    items = [
        f'<li class="v-{_slug(curve.kind)}"><svg viewBox="-6 -6 12 12" width="14" height="14" '
        f'aria-hidden="true"><path class="mark m-{_slug(curve.kind)}" '
        f'd="M0 0m{_SHAPES.get(curve.kind, _DOT)}"/></svg>{escape(curve.name)}</li>'
        for curve in series.curves
    ]
    return Markup(f'<ul class="key">{"".join(items)}</ul>')


def _axis_titles(series: Series, y_title: str) -> str:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    first = series.labels[0].partition(" to ")[0] if series.labels else ""
    last = series.labels[-1].rpartition(" to ")[2] if len(series.labels) > 1 else ""
    low = HEIGHT - BOTTOM + 18
    return (
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
        f'<text class="tick" x="{LEFT}" y="{low}">{escape(first)}</text>'
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{low}" text-anchor="end">{escape(last)}</text>'
        f'<text class="name" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">runs, the oldest first</text>'
        f'<text class="name" transform="translate(12 {middle}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_title)}</text>'
    )


def _curve(curve: Curve, x: Callable[[int], float], y: Callable[[float], float]) -> str:
    """Return a line with its points; failures are points alone, nothing leads from one to next."""
    points = [
        (f"{x(at):.1f}", f"{y(value):.1f}")
        for at, value in enumerate(curve.values)
        if value is not None
    ]
    slug, shape = _slug(curve.kind), _SHAPES.get(curve.kind, _DOT)
    marks = "".join(f"M{a} {b}m{shape}" for a, b in points)
    line = ""
    if curve.kind != "failed" or None not in curve.values:
        line = f'<path class="line m-{slug}" d="M{"L".join(f"{a} {b}" for a, b in points)}"/>'
    if not points:
        return ""
    return f'<g class="v-{slug}">{line}<path class="mark m-{slug}" d="{marks}"/></g>'


def _slug(kind: str) -> str:
    return kind.replace(" ", "-")


def _ticks(top: float, is_time: bool) -> Sequence[float]:
    """Return where to draw lines: at round values, the first 0, the last at `top` or above."""
    if not top > 0 or not math.isfinite(top):
        return (0.0, 1.0)
    rough = top / _TICKS
    step = next((float(each) for each in _SECONDS if each >= rough), 0.0) if is_time else 0.0
    if not step or rough < 1:
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * each for each in _STEPS if power * each >= rough * 0.999)
    count = max(1, math.ceil(top / step - 1e-9))
    return [step * at for at in range(count + 1)]
