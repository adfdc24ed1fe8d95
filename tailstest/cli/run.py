"""`tailstest run`: run scenarios."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tailstest.cli.choosing_option import choosing_of, choosing_options
from tailstest.core.interruption import sigterm_interrupts
from tailstest.suite.expectation import expected_time
from tailstest.suite.launch import run
from tailstest.suite.repeating import RETRIED, Repeating
from tailstest.suite.run_options import RunOptions
from tailstest.suite.run_plan import plan_run


@click.command("run")
@click.argument("paths", nargs=-1)
@click.option("--image", metavar="FILE|NAME", help="The image under test.")
@click.option("--tags", default="", metavar="EXPR", help='For example "@slow and not @fragile".')
@click.option("--name", default="", metavar="TEXT", help="Only scenarios with TEXT in their name.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder of the run (default: in runs/)."
)
@click.option("--dry-run", is_flag=True, help="Show what would run, without a machine.")
@click.option("--keep-going/--stop", default=True, help="After a scenario that does not pass.")
@click.option("--interactive", is_flag=True, help="Stop at a failed step, machine alive.")
@click.option(
    "--keep",
    is_flag=True,
    help="Hold the machine of the last scenario, or of the first that fails, until Enter.",
)
@click.option(
    "--checkpoints/--no-checkpoints",
    default=True,
    help="Let scenarios go on from where others with the same beginning got.",
)
@click.option(
    "--late-patch",
    multiple=True,
    metavar="SOURCE=GUESTPATH",
    help="Put a changed file or folder into the guest at each start, to try a fix. Repeatable.",
)
@click.option(
    "--late-patch-git",
    metavar="RANGE",
    help="The same with all files that changed in A..B, or since A in the working tree.",
)
@click.option(
    "--late-patch-tree",
    multiple=True,
    metavar="FOLDER=GUESTPATH",
    help="For --late-patch-git: which folder of a repository stands for which of the guest.",
)
@click.option(
    "--store",
    metavar="URL|FILE|none",
    help="Where results are kept over runs (default: the user's own store).",
)
@click.option(
    "--product-commit",
    default="",
    metavar="TEXT",
    help="What the image was built from; kept with the results.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    help="Run N scenarios beside one another, each with its own machine (default: 1).",
)
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS|FILE",
    help="Run scenarios on the workers of this Dask scheduler, on one host or many.",
)
@click.option(
    "--shard",
    default="",
    metavar="K/N",
    help="Run the K-th of N parts, in N jobs; `tailstest merge` puts their results together.",
)
@click.option(
    "--durations",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --shard: cut by these durations; what `tailstest plan --json` printed before.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=1,
    metavar="N",
    help="Run each scenario N times, to see whether it can be trusted.",
)
@click.option(
    "--until-failure",
    is_flag=True,
    help="Repeat each scenario until it does not pass, with --repeat N times at most.",
)
@click.option(
    "--retry",
    type=click.IntRange(0, 20),
    default=0,
    metavar="N",
    help="Run what failed or is incomplete up to N times more. Failed and passed is flaky.",
)
@click.option(
    "--retry-for",
    type=click.Choice(list(RETRIED)),
    default="any",
    help="For --retry: only what failed (product), or is incomplete (infrastructure).",
)
@choosing_options
def command(
    paths: tuple[str, ...],
    image: str | None,
    tags: str,
    name: str,
    output: Path | None,
    dry_run: bool,
    keep_going: bool,
    interactive: bool,
    keep: bool,
    checkpoints: bool,
    late_patch: tuple[str, ...],
    late_patch_git: str | None,
    late_patch_tree: tuple[str, ...],
    store: str | None,
    product_commit: str,
    workers: int,
    scheduler: str,
    shard: str,
    durations: Path | None,
    repeat: int,
    until_failure: bool,
    retry: int,
    retry_for: str,
    chosen_by: Path | None,
    git_branch: str | None,
    git_tag: str | None,
    changed_since: str | None,
    changed: tuple[str, ...],
) -> int:
    """Run the scenarios in PATHS: files, folders, or FILE:LINE (default: features)."""
    paths = paths or ("features",)
    options = RunOptions(
        paths=paths,
        image=image,
        tags=tags,
        name=name,
        output=output,
        stop=not keep_going,
        interactive=interactive,
        keep=keep,
        checkpoints=checkpoints,
        late_patch=late_patch,
        late_patch_git=late_patch_git,
        late_patch_trees=late_patch_tree,
        store=store,
        product_commit=product_commit,
        workers=workers,
        scheduler=scheduler,
        shard=shard,
        durations=durations,
        repeating=Repeating(repeat, retry, until_failure, RETRIED[retry_for]),
        choosing=choosing_of(paths, chosen_by, git_branch, git_tag, changed_since, changed),
        command=["tailstest", *sys.argv[1:]],
    )
    if dry_run:
        plan = plan_run(options)
        click.echo(plan.to_text())
        before = expected_time(plan, options)
        if before:
            click.echo(before)
        return 2 if plan.problems else 0
    with sigterm_interrupts():
        return run(options)
