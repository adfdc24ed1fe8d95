"""`tailstest host`: what this host can do."""

from __future__ import annotations

import json

import click

from tailstest.core.settings import load_settings
from tailstest.hypervisor.host_report import examine_host


@click.command("host")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--fresh", is_flag=True, help="Measure again instead of using the last result.")
def command(as_json: bool, fresh: bool) -> None:
    """Show accelerator, speed, firmware and devices of this host."""
    report = examine_host(load_settings(), fresh=fresh)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.to_text())
