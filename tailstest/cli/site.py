"""`tailstest site`: pages over all runs of the store."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.cli.store_option import open_store, store_option, today
from tailstest.results.site.build import LAST, build_site
from tailstest.results.wording import plural

#: Where runs are when nobody says so.
RUNS = Path("runs")


@click.command("site")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the site: new, empty, or an older site, which is replaced.",
)
@click.option(
    "--runs",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of runs, or of one run, to link to; may be given again (default: runs).",
)
@click.option(
    "--last",
    type=click.IntRange(1),
    default=LAST,
    show_default=True,
    help="How many of the newest runs.",
)
@click.option("--public", is_flag=True, help="Let everybody on this host read it.")
@store_option
def command(
    output: Path, folders: tuple[Path, ...], last: int, public: bool, address: str | None
) -> None:
    """Write pages about the newest runs of the store: what is red, a matrix, trends, each scenario.

    They need no server and load nothing from elsewhere; open index.html.
    """
    if not folders and RUNS.is_dir():
        folders = (RUNS,)
    with open_store(address) as store:
        report = build_site(store, output, folders=folders, last=last, public=public, today=today())
    click.echo(
        f"{plural(report.scenarios, 'scenario')} in {plural(report.runs, 'run')}, "
        f"{plural(report.pages, 'file')}, {report.bytes / 1e6:.1f} MB; "
        f"folders of {plural(report.folders, 'run')} linked"
    )
    click.echo(f"site: {report.output / 'index.html'}")
