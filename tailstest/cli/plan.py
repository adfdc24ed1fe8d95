"""`tailstest plan`: what a run would do, and why."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.cli.choosing_option import choosing_of, choosing_options
from tailstest.cli.store_option import json_option, print_json
from tailstest.core.settings import load_settings
from tailstest.results.console import answer_console
from tailstest.results.store.address import store_address
from tailstest.suite.expectation import forecast_of
from tailstest.suite.planned import planned_json, show_planned
from tailstest.suite.run_options import RunOptions
from tailstest.suite.run_plan import chosen_plan


@click.command("plan")
@click.argument("paths", nargs=-1)
@click.option("--image", metavar="FILE|NAME", help="The image under test.")
@click.option("--tags", default="", metavar="EXPR", help='For example "@slow and not @fragile".')
@click.option("--name", default="", metavar="TEXT", help="Only scenarios with TEXT in their name.")
@click.option("--shard", default="", metavar="K/N", help="Only the K-th of N parts.")
@click.option(
    "--durations",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --shard: cut by these durations; what this command printed with --json before.",
)
@click.option("--why", is_flag=True, help="Say why each scenario is or is not in the plan.")
@click.option("--store", metavar="URL|FILE|none", help="Where earlier durations are looked up.")
@choosing_options
@json_option
def command(
    paths: tuple[str, ...],
    image: str | None,
    tags: str,
    name: str,
    shard: str,
    durations: Path | None,
    why: bool,
    store: str | None,
    chosen_by: Path | None,
    git_branch: str | None,
    git_tag: str | None,
    changed_since: str | None,
    changed: tuple[str, ...],
    as_json: bool,
) -> int:
    """List what `tailstest run` with the same options would do, in that order.

    Exit status: 0 it can run, 2 something in it is wrong.
    """
    paths = paths or ("features",)
    options = RunOptions(
        paths=paths,
        image=image,
        tags=tags,
        name=name,
        shard=shard,
        durations=durations,
        store=store,
        choosing=choosing_of(paths, chosen_by, git_branch, git_tag, changed_since, changed),
    )
    plan, chosen = chosen_plan(options)
    address = store_address(load_settings(plan.suite.root), store)
    before = forecast_of(plan, address)
    if as_json:
        print_json(planned_json(plan, chosen, before))
    else:
        show_planned(answer_console(), plan, chosen, before, with_reasons=why)
    return 2 if plan.problems else 0
