"""`tailstest merge`: put several runs together."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.results.merging import merge_runs
from tailstest.results.run_folder import RunFolder


@click.command("merge")
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the whole; it must be new or empty.",
)
def command(runs: tuple[str, ...], output: Path) -> int:
    """Put RUNS of one plan and one image together: shards, and what was run again.

    Each scenario counts once, with all attempts at it; one that no run has is "not run". The exit
    status is that of the whole.
    """
    status = merge_runs([RunFolder.find(run, Path("runs")) for run in runs], output)
    click.echo(f"report: {output / 'report.html'}")
    click.echo(f"exit status {status}")
    return status
