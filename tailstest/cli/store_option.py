"""What the commands that ask the store have in common."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import click

from tailstest.core.errors import UsageError
from tailstest.core.settings import load_settings
from tailstest.results.store.address import needed_address
from tailstest.results.store.engine import Store

store_option = click.option(
    "--store",
    "address",
    metavar="URL|FILE",
    help="Where the results are (default: the user's own store).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def open_store(address: str | None, *, must_exist: bool = True) -> Store:
    """Open the store that a command means.

    Raises:
        UsageError, SetupError, InfrastructureError: there is none, or it cannot be used.
    """
    return Store(needed_address(load_settings(Path.cwd()), address), must_exist=must_exist)


def print_json(value: Any) -> None:
    """Print a value as JSON that any terminal can show."""
    click.echo(json.dumps(value, indent=2))


def today() -> datetime.date:
    """Return the day that it is here."""
    return datetime.date.today()


def day(text: str | None) -> datetime.date:
    """Return the day that a user gave, else today.

    Raises:
        UsageError: it is no day.
    """
    if text is None:
        return today()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f'"{text}" is no day', hint="write it as 2026-12-31") from error
