"""`tailstest bisect`: which image brought a failure."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import click

from tailstest.cli.store_option import json_option, print_json
from tailstest.core.errors import UsageError
from tailstest.core.interruption import sigterm_interrupts
from tailstest.results.console import answer_console
from tailstest.suite.bisecting.asking import new_bisection, resumed_bisection
from tailstest.suite.bisecting.search import STATUS, Bisection
from tailstest.suite.bisecting.shown import Steps, result_json, show_beginning, show_result


@click.command("bisect")
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option(
    "--scenario",
    "paths",
    multiple=True,
    metavar="PATH",
    help="What to run: FILE:LINE, a file or a folder. Repeatable; all of it must pass.",
)
@click.option("--tags", default="", metavar="EXPR", help="Only scenarios with these tags.")
@click.option("--name", default="", metavar="TEXT", help="Only scenarios with TEXT in their name.")
@click.option("--good", metavar="IMAGE", help="An image before all others that should be good.")
@click.option("--bad", metavar="IMAGE", help="An image behind all others that should be bad.")
@click.option(
    "--build",
    default="",
    metavar="COMMAND",
    help="Builds each image: {} or $BISECT_VERSION is what stands for IMAGE; it prints the "
    "path of the image as its last line.",
)
@click.option(
    "--build-limit",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="How long building one image may take (default: 7200).",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    metavar="P",
    help="How sure the answer must be (default: 0.95).",
)
@click.option(
    "--max-runs",
    type=click.IntRange(2),
    default=None,
    metavar="N",
    help="End without an answer after N runs (default: 100).",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder for its state and runs (new)."
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Go on with the bisection in FOLDER; only --max-runs may be given anew.",
)
@click.option("--store", metavar="URL|FILE|none", help="Where earlier results are looked up.")
@json_option
def command(
    images: tuple[str, ...],
    paths: tuple[str, ...],
    tags: str,
    name: str,
    good: str | None,
    bad: str | None,
    build: str,
    build_limit: float | None,
    confidence: float | None,
    max_runs: int | None,
    output: Path | None,
    resume: Path | None,
    store: str | None,
    as_json: bool,
) -> int:
    """Find the first of several IMAGEs, the oldest first, on which scenarios fail.

    Exit status: 0 found, 1 nothing to find (the newest is good, or the oldest is bad), 2 usage,
    3 trouble or not decided. An image that cannot be had or judged is left out.
    """
    if resume is not None:
        other = (images, paths, tags, name, good, bad, build, build_limit, confidence)
        if any(other) or output or store:
            raise UsageError(
                "--resume goes on with the question that was asked",
                hint="leave everything else but --max-runs out",
            )
        asked = resumed_bisection(resume, max_runs)
    else:
        every = (*([good] if good else []), *images, *([bad] if bad else []))
        asked = new_bisection(
            every,
            paths=paths or ("features",),
            tags=tags,
            name=name,
            build=build,
            build_limit=build_limit or 7200.0,
            confidence=confidence or 0.95,
            max_runs=max_runs or 100,
            output=output or _new_folder(),
            store=store,
        )
    console = answer_console()
    steps = Steps(console, asked.state)
    tell = (lambda _try, _answer: None) if as_json else steps
    if not as_json:
        show_beginning(console, asked.state, asked.folder, asked.notes)
    try:
        with sigterm_interrupts():
            result = Bisection(asked.state, asked.folder, asked.judge, tell).run()
    except KeyboardInterrupt:
        click.echo(f"go on with: tailstest bisect --resume {asked.folder}", err=True)
        raise
    if as_json:
        print_json(result_json(asked.state, result))
    else:
        show_result(console, asked.state, result)
    return STATUS[result.ending]


def _new_folder() -> Path:
    return Path("runs") / f"bisect-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
