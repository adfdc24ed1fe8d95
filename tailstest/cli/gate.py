"""`tailstest gate`: may this image be released?"""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.cli.store_option import day, open_store, print_json, store_option
from tailstest.results.console import answer_console
from tailstest.results.gate.judging import judge_runs
from tailstest.results.gate.markdown import gate_markdown
from tailstest.results.gate.page import write_gate_page
from tailstest.results.gate.policy import load_policy
from tailstest.results.gate.shown import show_gate


@click.command("gate")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--policy",
    "policy_file",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML file with what must have been shown.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    help="What to print.",
)
@click.option("--page", type=click.Path(path_type=Path), help="Also write a page to this file.")
@click.option("--day", "on", metavar="DAY", help="Judge as of this day (default: today).")
@store_option
def command(
    runs: tuple[str, ...],
    policy_file: Path,
    form: str,
    page: Path | None,
    on: str | None,
    address: str | None,
) -> int:
    """Judge RUNs of one image (default: the latest) by a policy.

    Exit status: 0 the image may be released, 1 it must not.
    """
    policy = load_policy(policy_file)
    with open_store(address) as store:
        result = judge_runs(store, policy, runs or ("latest",), day(on))
    if page is not None:
        write_gate_page(page, result)
    if form == "json":
        print_json(result.to_json())
    elif form == "markdown":
        click.echo(gate_markdown(result), nl=False)
    else:
        show_gate(answer_console(), result)
    return 0 if result.passed else 1
