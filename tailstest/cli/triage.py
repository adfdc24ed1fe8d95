"""`tailstest triage`: whose trouble are the failures of a run?"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import click

from tailstest.cli.store_option import json_option, open_store, print_json, store_option, today
from tailstest.core.errors import UsageError
from tailstest.core.interruption import sigterm_interrupts
from tailstest.results.answers.last_good import failed_run
from tailstest.results.console import answer_console, safe
from tailstest.suite.suite_folder import SuiteFolder
from tailstest.suite.triage.checkouts import Checkouts
from tailstest.suite.triage.deciding import Kind
from tailstest.suite.triage.shown import show_triage
from tailstest.suite.triage.trying import Triage


@click.command("triage")
@click.argument("run", default="latest")
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    default=Path("features"),
    help="The suite, or a folder in it (default: features).",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 100),
    default=1,
    metavar="N",
    help="Run each scenario N times in each way; both outcomes in one way mean a flake.",
)
@click.option(
    "--thorough", is_flag=True, help="Run all four ways, also those that no longer decide."
)
@click.option("--output", type=click.Path(path_type=Path), help="Folder for its runs (new).")
@store_option
@json_option
def command(
    run: str,
    suite: Path,
    repeat: int,
    thorough: bool,
    output: Path | None,
    address: str | None,
    as_json: bool,
) -> int:
    """Run what failed in RUN (default: latest) again, four ways, and say whose trouble it is.

    As it was; with the last good suite; with the last good image; with both. The answer is
    product, test, infrastructure or flake. Exit status: 0 each failure has an answer (or nothing
    failed), 3 one has none.
    """
    root = SuiteFolder.of([suite]).root
    with open_store(address) as store, store.reading() as connection:
        failed = failed_run(connection, run, today())
    console = answer_console()
    if not failed.failures:
        if as_json:
            print_json({"run": failed.run.run_id, "failures": []})
        else:
            console.print(f"nothing failed in {safe(failed.run.run_id)}")
        return 0
    folder = (output or _new_folder()).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"the folder {folder} is not empty", hint="name a new one with --output")
    with sigterm_interrupts(), Checkouts(root, folder / "suites") as checkouts:
        found = Triage(
            failed,
            checkouts,
            folder,
            repeat=repeat,
            is_thorough=thorough,
            tell=(lambda _text: None) if as_json else console.print,
        ).run()
    if as_json:
        print_json(
            {
                "run": failed.run.run_id,
                "folder": str(folder),
                "failures": [each.to_json() for each in found],
            }
        )
    else:
        show_triage(console, found)
    return 3 if any(each.decision.kind is Kind.UNDECIDED for each in found) else 0


def _new_folder() -> Path:
    return Path("runs") / f"triage-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
