"""`tailstest flaky`: which scenarios cannot be trusted."""

from __future__ import annotations

import click

from tailstest.cli.store_option import json_option, open_store, print_json, store_option
from tailstest.results.answers.flaky import flaky_scenarios
from tailstest.results.answers.shown import show_flakes
from tailstest.results.console import answer_console


@click.command("flaky")
@click.option("--last", type=click.IntRange(1), default=100, help="Runs to look at (default: 100).")
@store_option
@json_option
def command(last: int, address: str | None, as_json: bool) -> None:
    """List scenarios that passed and failed on the same image: how often, at what cost, why."""
    with open_store(address) as store:
        flakes, runs = flaky_scenarios(store, last=last)
    if as_json:
        print_json({"runs": runs, "flaky": [flake.to_json() for flake in flakes]})
    else:
        show_flakes(answer_console(), flakes, runs)
