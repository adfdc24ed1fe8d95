"""`tailstest history`: what became of one scenario."""

from __future__ import annotations

import click

from tailstest.cli.store_option import json_option, open_store, print_json, store_option, today
from tailstest.results.answers.history import history_of
from tailstest.results.answers.shown import show_history
from tailstest.results.console import answer_console


@click.command("history")
@click.argument("scenario")
@click.option("--limit", type=click.IntRange(1), default=30, help="Runs to show (default: 30).")
@store_option
@json_option
def command(scenario: str, limit: int, address: str | None, as_json: bool) -> None:
    """Show what became of SCENARIO run after run: its id, FILE:LINE or a part of its name."""
    with open_store(address) as store:
        history = history_of(store, scenario, limit=limit, today=today())
    if as_json:
        print_json(history.to_json())
    else:
        show_history(answer_console(), history)
