"""`tailstest match`: judge a picture against a reference, without a machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tailstest.screen.match_files import match_files


@click.command("match")
@click.argument("frame", type=click.Path(path_type=Path))
@click.option(
    "--reference", required=True, type=click.Path(path_type=Path), help="Reference JSON or PNG."
)
@click.option("--json", "as_json", is_flag=True, help="Print every score as JSON.")
def command(frame: Path, reference: Path, as_json: bool) -> int:
    """Tell whether the picture FRAME shows a reference image.

    Exit status: 0 found, 1 not found, 2 a file cannot be used.
    """
    look = match_files(frame, reference)
    click.echo(json.dumps(look.to_json(), indent=2) if as_json else look.explain())
    return 0 if look.found else 1
