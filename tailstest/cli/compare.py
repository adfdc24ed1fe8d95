"""`tailstest compare`: what differs between two runs."""

from __future__ import annotations

import click

from tailstest.cli.store_option import json_option, open_store, print_json, store_option, today
from tailstest.results.answers.compare import compare_runs
from tailstest.results.answers.shown import show_comparison
from tailstest.results.console import answer_console


@click.command("compare")
@click.argument("before")
@click.argument("after", default="latest")
@store_option
@json_option
def command(before: str, after: str, address: str | None, as_json: bool) -> None:
    """Show what differs between two runs, and between their images if they had two.

    BEFORE and AFTER (default: latest) are ids or their beginnings, releases, folders of runs,
    "latest" or "latest~1".
    """
    with open_store(address) as store:
        found = compare_runs(store, before, after, today=today())
    if as_json:
        print_json(found.to_json())
    else:
        show_comparison(answer_console(), found)
