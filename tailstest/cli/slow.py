"""`tailstest slow`: what takes the time."""

from __future__ import annotations

import click

from tailstest.cli.store_option import json_option, open_store, print_json, store_option
from tailstest.results.answers.shown import show_slow
from tailstest.results.answers.slow import slow_ones
from tailstest.results.console import answer_console


@click.command("slow")
@click.option("--last", type=click.IntRange(1), default=20, help="Runs to look at (default: 20).")
@click.option("--count", type=click.IntRange(1, 500), default=20, help="How many to list.")
@click.option("--steps", "of_steps", is_flag=True, help="Steps, over all scenarios.")
@store_option
@json_option
def command(last: int, count: int, of_steps: bool, address: str | None, as_json: bool) -> None:
    """List the scenarios that took most time, and whether they became slower."""
    with open_store(address) as store:
        slow, runs = slow_ones(store, last=last, count=count, of_steps=of_steps)
    if as_json:
        print_json({"runs": runs, "slow": [one.to_json() for one in slow]})
    else:
        show_slow(answer_console(), slow, runs, "step" if of_steps else "scenario")
