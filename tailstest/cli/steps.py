"""`tailstest steps`: the sentences that scenarios are made of."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tailstest.core.errors import UsageError
from tailstest.core.paths import bundled
from tailstest.suite.step_reference import describe_steps, to_markdown, to_text
from tailstest.suite.suite_folder import SuiteFolder


@click.command("steps")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="Print docs/steps.md.")
@click.argument("word", default="")
def command(form: str | None, word: str) -> None:
    """List all steps, or those whose text contains WORD."""
    try:
        folders = SuiteFolder.of([Path.cwd()]).step_folders
    except UsageError:
        folders = [bundled("steps")]
    steps = [step for step in describe_steps(folders) if word.lower() in step.text.lower()]
    if form == "json":
        click.echo(json.dumps([step.to_json() for step in steps], indent=2))
    elif form == "markdown":
        click.echo(to_markdown(steps), nl=False)
    else:
        click.echo(to_text(steps))
