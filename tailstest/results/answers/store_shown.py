"""What the store says about itself, laid out for people."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tailstest.results.answers.store_info import StoreInfo
from tailstest.results.console import day_and_time, plain_table, safe
from tailstest.results.store.reading import RunInfo
from tailstest.results.store.retention import Pruned
from tailstest.results.wording import exit_meaning, plural

_MEGABYTE = 1_000_000


def show_info(console: Console, info: StoreInfo) -> None:
    """Print where the store is and what it holds."""
    size = "" if info.size is None else f", {info.size / _MEGABYTE:.1f} MB"
    console.print(f"{info.name}{size}, tables of version {info.schema}", soft_wrap=True)
    console.print(
        ", ".join(
            f"{number:,} {name.removesuffix('s') if number == 1 else name}"
            for name, number in info.counts.items()
        )
    )
    if not info.newest:
        return
    console.print()
    table = plain_table("run", "when", "image", "release", "host", "how it ended", wide="image")
    for run in info.newest:
        image = f"{run.image or ''} {run.image_digest[:8]}".strip() or "-"
        table.add_row(
            safe(run.run_id, 60),
            day_and_time(run.started),
            safe(image, 80),
            safe(run.release, 30),
            safe(run.hostname, 30),
            _ending(run),
        )
    console.print(table)


def show_pruned(console: Console, found: Pruned, *, is_trial: bool) -> None:
    """Print what was removed, or would be."""
    verb = "would be" if is_trial else "were"
    megabytes = found.bytes / _MEGABYTE
    console.print(f"{plural(len(found.runs), 'run')} {verb} removed")
    console.print(
        f"the files of {plural(len(found.files_of), 'run')} {verb} removed ({megabytes:.1f} MB)"
    )
    console.print(f"the steps of {plural(len(found.steps_of), 'run')} {verb} removed")
    for run, reason in found.kept.items():
        console.print(f"stays: {safe(run)} ({safe(reason)})", soft_wrap=True)
    for problem in found.problems:
        console.print(Text(f"not removed: {safe(problem)}", "yellow"), soft_wrap=True)


def _ending(run: RunInfo) -> Text:
    if not run.is_finished:
        return Text("no end: going on, or killed", "yellow")
    if run.interrupted:
        return Text("interrupted", "yellow")
    if run.exit_status is None:
        return Text("-")
    return Text(exit_meaning(run.exit_status), "green" if run.exit_status == 0 else "red")
