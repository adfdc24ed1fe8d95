"""`tailstest image`: images known by name, and what an image can boot from."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tailstest.core.errors import TailstestError
from tailstest.core.paths import bundled
from tailstest.machine.profile import Profile, find_image, load_profiles
from tailstest.media.boot_report import inspect_image


@click.group("image")
def command() -> None:
    """List images known by name; show what an image can boot from."""


@command.command("list")
def list_images() -> None:
    """List the profiles: names that stand for an image."""
    for name, profile in _profiles().items():
        try:
            place = str(profile.image_path())
        except TailstestError as error:
            place = f"not there: {error.message}"
        click.echo(f"{name}\n    {profile.title}: {profile.description}\n    {place}")


@command.command("show")
@click.argument("image")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_image(image: str, as_json: bool) -> None:
    """Show what IMAGE (a file or a name) can boot from, without starting it."""
    path, _profile = find_image(image, _profiles(), Path.cwd())
    report = inspect_image(path)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.to_text())


def _profiles() -> dict[str, Profile]:
    own = Path("images")
    return load_profiles([bundled("images"), *([own] if own.is_dir() else [])])
