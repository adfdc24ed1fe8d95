"""`tailstest report`: write the report of a run again."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.results.outputs.writing import FORMATS, write_output
from tailstest.results.report import build_report
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder


@click.command("report")
@click.argument("run", default="latest")
@click.option(
    "--format",
    "forms",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    help="Also write cucumber.json or ctrf.json for other dashboards. Repeatable.",
)
def command(run: str, forms: tuple[str, ...]) -> None:
    """Write report.html and junit.xml of RUN (default: the latest), also of a killed one."""
    folder = RunFolder.find(run, Path("runs"))
    click.echo(f"report: {build_report(folder)}")
    if forms:
        told = load_run(folder)
        for form in dict.fromkeys(forms):
            click.echo(f"{form}: {write_output(form, told, folder)}")
