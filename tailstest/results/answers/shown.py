"""Answers laid out for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tailstest.results.answers.compare import Comparison, Difference, ImageDifference
from tailstest.results.answers.flaky import Flake
from tailstest.results.answers.history import History
from tailstest.results.answers.proportion import Proportion
from tailstest.results.answers.slow import Slow
from tailstest.results.console import (
    SIGNS,
    STYLES,
    day_and_time,
    plain_table,
    safe,
    standing_text,
)
from tailstest.results.standing import Judged
from tailstest.results.store.reading import RunInfo
from tailstest.results.wording import duration, plural

#: Lines of one list; --json has all.
MAX_LISTED = 40


def show_history(console: Console, history: History) -> None:
    """Print the history of a scenario, the newest run first."""
    scenario = history.scenario
    console.print(Text.assemble((safe(scenario.title).plain, "bold")))
    console.print(Text(safe(scenario.location).plain, "dim"), soft_wrap=True)
    strip = Text("newest ")
    for entry in history.entries:
        strip.append(SIGNS[entry.judged.standing], STYLES[entry.judged.standing])
    console.print(strip.append(" oldest"))
    console.print()
    columns = ("", "when", "run", "image", "took", "attempts", "why")
    table = plain_table(*columns, right=("took", "attempts"), wide="why")
    for entry in history.entries:
        why = entry.judged.reason
        if entry.judged.suspect is not None:
            why = f"[{entry.judged.suspect}] {why}"
        if entry.person:
            why = f"by {entry.person}" + (f": {why}" if why else "")
        table.add_row(
            standing_text(entry.judged.standing),
            day_and_time(entry.run.started),
            safe(_run_name(entry.run), 60),
            safe(_image_name(entry.run), 40),
            duration(entry.seconds) if entry.seconds else "",
            str(entry.attempts),
            safe(why, 200),
        )
    console.print(table)
    console.print()
    rate = history.failing
    console.print(
        f"in {plural(history.runs, 'run')}; fails in {_percent(rate)} of those that said something"
    )
    if history.first_bad:
        good = history.last_good.run_id if history.last_good else "none in the store"
        console.print(
            Text(f"fails since {history.first_bad.run_id}; last good run: {good}", "bold red"),
            soft_wrap=True,
        )


def show_flakes(console: Console, flakes: Sequence[Flake], runs: int) -> None:
    """Print flaky scenarios, the least trustworthy first."""
    if not flakes:
        console.print(f"no scenario passed and failed on the same image in {plural(runs, 'run')}")
        return
    table = plain_table(
        "rate",
        "95% sure",
        "failed",
        "cost",
        "scenario",
        "last cause",
        right=("rate", "95% sure", "failed", "cost"),
        wide="last cause",
    )
    for flake in flakes[:MAX_LISTED]:
        table.add_row(
            f"{flake.rate.rate:.1%}",
            f"{flake.rate.low:.1%} to {flake.rate.high:.1%}",
            f"{flake.failed} of {flake.failed + flake.passed}",
            duration(flake.cost),
            safe(flake.scenario.title, 60),
            safe(_cause(flake), 200),
        )
    console.print(table)
    _more(console, len(flakes))
    total = duration(sum(flake.cost for flake in flakes))
    console.print()
    console.print(f"{plural(len(flakes), 'flaky scenario')} in {plural(runs, 'run')}, cost {total}")


def _cause(flake: Flake) -> str:
    return f"[{flake.last_suspect}] {flake.last_cause}" if flake.last_suspect else flake.last_cause


def show_slow(console: Console, slow: Sequence[Slow], runs: int, what: str) -> None:
    """Print what took most time."""
    if not slow:
        console.print(f"nothing passed in {plural(runs, 'run')}")
        return
    numbers = ("in all", "times", "mean", "longest", "change")
    table = plain_table(*numbers, what, right=numbers, wide=what)
    for one in slow:
        change = one.change
        worse = change is not None and change > 0.2
        table.add_row(
            duration(one.total),
            str(one.times),
            duration(one.mean),
            duration(one.longest),
            Text("" if change is None else f"{change:+.0%}", "bold red" if worse else ""),
            safe(one.title, 200),
        )
    console.print(table)
    console.print()
    console.print(f"in {plural(runs, 'run')}; change: against as many runs before them")


def show_comparison(console: Console, found: Comparison) -> None:
    """Print what differs between two runs."""
    for label, run in (("before", found.before), ("after", found.after)):
        console.print(
            f"{label:<7} {_run_name(run)}  {day_and_time(run.started)}  {_image_name(run)}",
            soft_wrap=True,
        )
    for title, style, differences in (
        ("newly failing", "bold red", found.newly_failing),
        ("new flakes", "bold yellow", found.new_flakes),
        ("newly passing", "green", found.newly_passing),
        ("slower", "yellow", found.slower),
        ("unclear: said something in one of them only", "yellow", found.unclear),
        ("only after", "dim", found.added),
        ("only before", "dim", found.removed),
    ):
        if differences:
            console.print()
            console.print(Text(f"{title}: {len(differences)}", style))
            _list(console, differences, title == "slower")
    console.print()
    console.print(f"{plural(found.same, 'scenario')} alike")
    if found.images is not None:
        show_images(console, found.images)
    for digest in found.images_unknown:
        console.print(f"what the image {digest[:16]} is made of was never read")


def _list(console: Console, differences: Sequence[Difference], with_times: bool) -> None:
    table = plain_table("before", "after", "scenario", "why", wide="why")
    for each in differences[:MAX_LISTED]:
        why = each.after.reason if each.after else ""
        if with_times:
            why = f"{duration(each.seconds_before)} before, {duration(each.seconds_after)} after"
        table.add_row(
            _cell(each.before), _cell(each.after), safe(each.scenario.title, 70), safe(why, 200)
        )
    console.print(table)
    _more(console, len(differences))


def show_images(console: Console, images: ImageDifference) -> None:
    """Print what differs between two images."""
    console.print()
    console.print(Text("the images", "bold"))
    old, new = images.kernel
    same = "the same" if old == new else f"{old or 'unknown'} → {new or 'unknown'}"
    console.print(f"  kernel: {same}", soft_wrap=True)
    if not images.has_packages:
        console.print("  packages: one of them has no list that is understood")
    for what, difference in (("package", images.packages), ("file", images.files)):
        rows = [
            *((name, f"{a} → {b}") for name, (a, b) in difference.changed.items()),
            *((name, f"new: {value}") for name, value in difference.added.items()),
            *((name, f"gone: {value}") for name, value in difference.removed.items()),
        ]
        if rows:
            verb = "differs" if len(rows) == 1 else "differ"
            console.print(f"  {plural(len(rows), what)} {verb}:")
        for name, said in rows[:MAX_LISTED]:
            console.print(f"    {safe(name)}  {safe(said)}", soft_wrap=True)
        _more(console, len(rows), "    ")


def _cell(judged: Judged | None) -> Text:
    return standing_text(judged.standing) if judged else Text("-", "dim")


def _run_name(run: RunInfo) -> str:
    return f"{run.run_id} ({run.release})" if run.release else run.run_id


def _image_name(run: RunInfo) -> str:
    if not run.image_digest:
        return "no image"
    return f"{run.image or 'image'} {run.image_digest[:8]}"


def _percent(rate: Proportion) -> str:
    return f"{rate.rate:.1%} (95% sure: {rate.low:.1%} to {rate.high:.1%})"


def _more(console: Console, number: int, indent: str = "") -> None:
    if number > MAX_LISTED:
        console.print(f"{indent}... and {number - MAX_LISTED} more, see --json")
