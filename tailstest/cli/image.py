"""`tailstest image`: images known by name, and what an image can boot from."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import click

from tailstest.core.errors import TailstestError, UsageError
from tailstest.core.interruption import sigterm_interrupts
from tailstest.core.text import printable
from tailstest.machine.profile import find_image, live_builder, profiles_here
from tailstest.media.boot_report import inspect_image
from tailstest.media.iso_tree import IsoTree


@click.group("image")
def command() -> None:
    """List images known by name, show what one can boot from, build our own."""


@command.command("list")
def list_images() -> None:
    """List the profiles: names that stand for an image."""
    for name, profile in profiles_here().items():
        try:
            built = "built when it is needed"
            place = built if profile.image.recipe else str(profile.image_path())
        except TailstestError as error:
            place = f"not there: {error.message}"
        click.echo(f"{name}\n    {profile.title}: {profile.description}\n    {place}")


@command.command("show")
@click.argument("image")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_image(image: str, as_json: bool) -> None:
    """Show what IMAGE (a file or a name) can boot from, without starting it."""
    path, _profile = find_image(image, profiles_here(), Path.cwd())
    report = inspect_image(path)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.to_text())


@command.command("files")
@click.argument("image")
def files(image: str) -> None:
    """List the files of IMAGE (a file or a name), by the names that a live system would use."""
    path, _profile = find_image(image, profiles_here(), Path.cwd())
    with IsoTree(path) as tree:
        for entry in sorted(tree.entries(), key=lambda each: each.path):
            mark = "/" if entry.kind == "folder" else ""
            target = f" -> {printable(entry.target)}" if entry.kind == "link" else ""
            click.echo(f"{entry.size:>12}  {printable(entry.path)}{mark}{target}")
        click.echo(f"{tree.names} names", err=True)


@command.command("build")
@click.argument("name")
@click.option("--variant", default="", help="Another image over the same base; ONE+OTHER is both.")
@click.option("--recipe", type=click.Path(file_okay=False, path_type=Path), help="Its recipe.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Copy it there.")
def build_image(name: str, variant: str, recipe: Path | None, output: Path | None) -> None:
    """Build the live image of the profile NAME from Debian packages, if anything changed.

    Prints where it is. The first build needs the network and takes a minute or two; afterwards
    packages come from a cache.
    """
    started = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s  {text}", err=True)

    with sigterm_interrupts():
        image = live_builder(recipe or _recipe_of(name), say).build(variant)
    if output is not None:
        image = _copied(image, output)
    click.echo(str(image))


def _recipe_of(name: str) -> Path:
    profiles = profiles_here()
    with_recipe = {each: profile for each, profile in profiles.items() if profile.image.recipe}
    if name not in with_recipe:
        known = ", ".join(with_recipe)
        what = "is not built here" if name in profiles else "is not known"
        raise UsageError(f'the image "{name}" {what}; can be built: {known}')
    return with_recipe[name].folder / with_recipe[name].image.recipe


def _copied(image: Path, output: Path) -> Path:
    """Copy the image; whoever looks at `output` sees all of it or nothing new."""
    part = output.with_name(f".{output.name}.part")
    try:
        shutil.copyfile(image, part)
        part.replace(output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    return output
