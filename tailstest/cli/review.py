"""`tailstest review`: accept or refuse what the screen showed instead of a reference."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.core.errors import UsageError
from tailstest.core.paths import bundled
from tailstest.results.review import Review
from tailstest.results.review_session import accept_many, review_one_by_one
from tailstest.results.run_folder import RunFolder
from tailstest.suite.suite_folder import SuiteFolder


@click.command("review")
@click.argument("run", default="latest")
@click.option("--images", type=click.Path(path_type=Path), help="The suite's images folder.")
@click.option("--list", "only_list", is_flag=True, help="List the candidates and end.")
@click.option("--accept", multiple=True, metavar="NAME", help="Accept this one (repeatable).")
@click.option("--accept-all", is_flag=True, help="Accept all that are undecided.")
@click.option("--refuse", multiple=True, metavar="NAME", help="Refuse this one (repeatable).")
def command(
    run: str,
    images: Path | None,
    only_list: bool,
    accept: tuple[str, ...],
    accept_all: bool,
    refuse: tuple[str, ...],
) -> int:
    """Show each candidate of RUN beside the old reference, and accept or refuse it."""
    review = Review(RunFolder.find(run, Path("runs")), [images] if images else _own_images())
    click.echo(f"all of them side by side: {review.write_page()}")
    for candidate in review.select(refuse):
        review.refuse(candidate)
        click.echo(f"refused: {candidate.key}")
    chosen = review.pending if accept_all else review.select(accept)
    if only_list:
        for candidate in review.candidates:
            click.echo(review.describe(candidate))
    elif chosen:
        written, errors = accept_many(review, chosen)
        for file in written:
            click.echo(f"written: {file}")
        for error in errors:
            click.echo(f"not accepted: {error}", err=True)
        return 2 if errors else 0
    elif not refuse:
        review_one_by_one(review, ask=lambda text: click.prompt(text, default=""), say=click.echo)
    return 0


def _own_images() -> list[Path]:
    own = SuiteFolder.of([Path.cwd()]).own_images
    packaged = bundled("images").resolve()
    # What is part of an installed package is not ours to change; in a checkout it is.
    if not own or (own[0].resolve() == packaged and "_bundled" in packaged.parts):
        raise UsageError(
            "this folder has no images/ of its own to put accepted references in",
            hint="start in the suite's folder, or say --images FOLDER",
        )
    return own
