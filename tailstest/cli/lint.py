"""`tailstest lint`: find mistakes without a machine."""

from __future__ import annotations

import click

from tailstest.core.text import printable
from tailstest.suite.lint import lint


@click.command("lint")
@click.argument("paths", nargs=-1)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
def command(paths: tuple[str, ...], strict: bool) -> int:
    """Check features in PATHS (default: features), their steps and reference images.

    Exit status: 0 nothing found, 2 mistakes found (with --strict also for warnings).
    """
    findings = lint(paths or ("features",))
    for finding in findings:
        click.echo(printable(str(finding)))
    errors = sum(finding.level == "error" for finding in findings)
    click.echo(f"{errors} errors, {len(findings) - errors} warnings")
    return 2 if errors or (strict and findings) else 0
