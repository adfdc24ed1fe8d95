"""`tailstest run`: run scenarios."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tailstest.suite.launch import RunOptions, plan_run, run


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
) -> int:
    """Run the scenarios in PATHS: files, folders, or FILE:LINE (default: features)."""
    options = RunOptions(
        paths=paths or ("features",),
        image=image,
        tags=tags,
        name=name,
        output=output,
        stop=not keep_going,
        interactive=interactive,
        keep=keep,
        command=["tailstest", *sys.argv[1:]],
    )
    if dry_run:
        plan = plan_run(options)
        click.echo(plan.to_text())
        return 2 if plan.problems else 0
    return run(options)
