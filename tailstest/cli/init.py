"""`tailstest init`: a new suite that works at once."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.suite.new_suite import create_suite


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Make a new suite in FOLDER, with one working scenario, that uses the bundled steps."""
    for file in create_suite(folder):
        click.echo(f"created {file}")
    click.echo(f"\nTry it:  tailstest run {folder / 'features'}")
