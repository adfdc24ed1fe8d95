"""`tailstest host`: what this host can do."""

from __future__ import annotations

import json

import click

from tailstest.core.settings import load_settings
from tailstest.hypervisor.host_report import examine_host
from tailstest.lab.network.lab import why_no_lab


@click.command("host")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--fresh", is_flag=True, help="Measure again instead of using the last result.")
def command(as_json: bool, fresh: bool) -> None:
    """Show accelerator, speed, firmware and devices of this host."""
    report = examine_host(load_settings(), fresh=fresh)
    why_not = why_no_lab()
    if as_json:
        click.echo(json.dumps({**report.to_json(), "no_lab": why_not}, indent=2))
    else:
        click.echo(report.to_text())
        click.echo(f"{'Lab networks':<16}  {f'none: {why_not}' if why_not else 'possible'}")
