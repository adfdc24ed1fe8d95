"""`tailstest report`: write the report of a run again."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.results.report import build_report
from tailstest.results.run_folder import RunFolder


@click.command("report")
@click.argument("run", default="latest")
def command(run: str) -> None:
    """Write report.html and junit.xml of RUN (default: the latest), also of a killed one."""
    folder = RunFolder.find(run, Path("runs"))
    click.echo(f"report: {build_report(folder)}")
