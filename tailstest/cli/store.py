"""`tailstest store`: look after the results that are kept over runs."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.cli.store_option import json_option, open_store, print_json, store_option
from tailstest.core.settings import load_settings
from tailstest.core.verdict import Verdict
from tailstest.results.answers.store_info import store_info
from tailstest.results.answers.store_shown import show_info, show_pruned
from tailstest.results.console import answer_console
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.adding import add_run
from tailstest.results.store.address import needed_address
from tailstest.results.store.by_hand import BY_HAND, record_by_hand
from tailstest.results.store.engine import Store
from tailstest.results.store.importing import import_files
from tailstest.results.store.marking import mark_kept, mark_release
from tailstest.results.store.reading import find_run, find_scenario
from tailstest.results.store.retention import Limits, compact, prune


@click.group("store")
def command() -> None:
    """Look after the results that are kept over runs."""


@command.command("info")
@click.option("--runs", "with_runs", type=click.IntRange(0), default=10, help="Runs to list.")
@store_option
@json_option
def info(with_runs: int, address: str | None, as_json: bool) -> None:
    """Say where the store is, what it holds, and which runs are the newest."""
    with open_store(address) as store:
        found = store_info(store, last=with_runs)
    if as_json:
        print_json(found.to_json())
    else:
        show_info(answer_console(), found)


@command.command("add")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@store_option
def add(runs: tuple[str, ...], address: str | None) -> None:
    """Add RUN (default: the latest) from its folder, also one that was killed."""
    folders = [RunFolder.find(run, Path("runs")) for run in runs or ("latest",)]
    with open_store(address, must_exist=False) as store:
        for folder in folders:
            was_there = add_run(store, load_run(folder), folder.path)
            click.echo(f"{folder.run_id}: {'written anew' if was_there else 'added'}")


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "run_id", default="", metavar="NAME", help="Name of the run.")
@click.option("--image-sha256", default="", metavar="DIGEST", help="The image that was tested.")
@click.option("--image-name", default="", metavar="NAME", help="What that image is called.")
@store_option
def import_(
    files: tuple[Path, ...], run_id: str, image_sha256: str, image_name: str, address: str | None
) -> None:
    """Add the results in FILES (JUnit XML or Cucumber JSON) as one run."""
    with open_store(address, must_exist=False) as store:
        done = import_files(
            store, files, run_id=run_id, image_digest=image_sha256, image_name=image_name
        )
    counted = ", ".join(f"{n} {verdict}" for verdict, n in done.run.counts.items() if n)
    click.echo(f"{done.run.run_id}: {'written anew' if done.was_there else 'added'}: {counted}")


@command.command("mark")
@click.argument("run")
@click.option("--release", metavar="NAME", help='The release that it stands for; "" for none.')
@click.option("--keep/--no-keep", default=None, help="Whether it stays, whatever its age.")
@store_option
def mark(run: str, release: str | None, keep: bool | None, address: str | None) -> None:
    """Say that RUN was the last word on a release, or must stay."""
    with open_store(address) as store:
        with store.reading() as connection:
            found = find_run(connection, run)
        if release is not None:
            mark_release(store, found, release)
            click.echo(f"{found.run_id}: {f'release {release}' if release else 'no release'}")
        if keep is not None:
            mark_kept(store, found, keep)
            click.echo(f"{found.run_id}: {'stays' if keep else 'may go'}")


@command.command("record")
@click.argument("run")
@click.argument("scenario")
@click.argument("verdict", type=click.Choice([verdict.value for verdict in BY_HAND]))
@click.option("--by", "person", required=True, metavar="NAME", help="Who did it.")
@click.option("--note", default="", metavar="TEXT", help="What was seen.")
@store_option
def record(
    run: str, scenario: str, verdict: str, person: str, note: str, address: str | None
) -> None:
    """Tell what came of a SCENARIO of RUN that a person did."""
    with open_store(address) as store:
        with store.reading() as connection:
            found, which = find_run(connection, run), find_scenario(connection, scenario)
        record_by_hand(store, found.id, which.id, Verdict(verdict), person=person, note=note)
    click.echo(f"{found.run_id}: {which.title}: {verdict}, by {person}")


@command.command("prune")
@click.option("--runs", type=click.IntRange(1), help="Keep the results of so many runs.")
@click.option("--days", type=click.FloatRange(0), help="Keep the results of so many days.")
@click.option("--file-runs", type=click.IntRange(1), help="Keep the files of so many runs.")
@click.option("--file-days", type=click.FloatRange(0), help="Keep the files of so many days.")
@click.option("--step-runs", type=click.IntRange(1), help="Keep single steps of so many runs.")
@click.option("--compact", "is_compact", is_flag=True, help="Give free room back to the disk.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@store_option
@json_option
def prune_(
    runs: int | None,
    days: float | None,
    file_runs: int | None,
    file_days: float | None,
    step_runs: int | None,
    is_compact: bool,
    dry_run: bool,
    address: str | None,
    as_json: bool,
) -> None:
    """Remove what is older or more than you say; nothing goes without a limit.

    Releases, runs marked to be kept, the newest run, and for each scenario that fails now the last
    good and the first bad run always stay.
    """
    limits = Limits(runs, days, file_runs, file_days, step_runs)
    with open_store(address) as store:
        found = prune(store, limits, is_trial=dry_run)
        if is_compact and not dry_run:
            compact(store)
    if as_json:
        print_json(vars(found) | {"dry_run": dry_run})
    else:
        show_pruned(answer_console(), found, is_trial=dry_run)


@command.command("upgrade")
@store_option
def upgrade(address: str | None) -> None:
    """Bring the tables of an older store up to date; a SQLite file is copied before."""
    url = needed_address(load_settings(Path.cwd()), address)
    store, before, copy = Store.upgraded(url)
    with store:
        if copy is not None:
            click.echo(f"as it was: {copy}")
        click.echo(f"{store.name}: its tables were version {before} and are up to date now")
