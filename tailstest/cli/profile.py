"""`tailstest profile`: what is known about an image family, and whether a profile is right."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tailstest.core.errors import TailstestError, UsageError
from tailstest.machine.profile import FILE_NAME, load_profile, profiles_here


@click.group("profile")
def command() -> None:
    """Show what is known about a family of images; check profiles."""


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Print the profile NAME as JSON, with all defaults, and the machine that it gives."""
    profiles = profiles_here()
    if name not in profiles:
        raise UsageError(
            f'there is no profile "{name}"; there are: {", ".join(profiles)}',
            hint="profiles are folders in images/ with a file profile.toml",
        )
    profile = profiles[name]
    facts = profile.model_dump(mode="json")
    facts["machine"] = profile.definition().model_dump(mode="json")
    click.echo(json.dumps(facts, indent=2))


@command.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> int:
    """Check profiles (FILES, or all in images/); name file and key of what is wrong."""
    wanted = [file / FILE_NAME if file.is_dir() else file for file in files]
    wanted = wanted or sorted(Path("images").glob(f"*/{FILE_NAME}"))
    if not wanted:
        raise UsageError(
            "there is no profile to check here",
            hint=f"name a file, or go to a suite with images/NAME/{FILE_NAME}",
        )
    wrong = 0
    for file in wanted:
        try:
            load_profile(file)
        except TailstestError as error:
            wrong += 1
            click.echo(str(error), err=True)
        else:
            click.echo(f"{file}: right")
    return 2 if wrong else 0
