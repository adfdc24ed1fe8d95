"""`tailstest checkpoints`: look at the saved machines from which scenarios go on, and tidy up."""

from __future__ import annotations

import time

import click

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.settings import load_settings
from tailstest.core.text import printable, shortened
from tailstest.results.wording import plural
from tailstest.suite.checkpoints.store import CheckpointStore, StoreEntry, checkpoints_folder


@click.group("checkpoints")
def command() -> None:
    """Look at the saved machines from which scenarios go on; remove them."""


@command.command("list")
def list_() -> None:
    """List all checkpoints, the most recently used ones first."""
    entries = _store().entries()
    for entry in entries:
        manifest = entry.manifest
        if manifest is None:
            click.echo(f"{entry.key[:8]}  unreadable; `tailstest checkpoints prune` removes it")
            continue
        click.echo(
            f"{entry.key[:8]}  {manifest.size / 1e6:5.0f} MB  {_age(entry.used):>8}  "
            f"spares {manifest.seconds:3.0f} s  {shortened(printable(manifest.steps[-1]), 60)}"
        )
    total = sum(entry.manifest.size for entry in entries if entry.manifest)
    count = plural(len(entries), "checkpoint")
    click.echo(f"{count}, {total / 1e6:.0f} MB, in {checkpoints_folder()}")


@command.command("show")
@click.argument("key")
def show(key: str) -> None:
    """Print what led to the checkpoint KEY (its beginning is enough), and what it holds."""
    entry = _entry(key)
    manifest = entry.manifest
    if manifest is None:
        raise InfrastructureError(
            f"the checkpoint {entry.key} cannot be read",
            hint="`tailstest checkpoints prune` removes it",
        )
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.made))
    click.echo(f"key       {manifest.key}")
    click.echo(f"made      {made}, in {printable(manifest.scenario)}")
    click.echo(f"spares    {manifest.seconds:.0f} s")
    click.echo(f"image     {printable(str(manifest.state.get('session', {}).get('image', '')))}")
    for name, file in manifest.files.items():
        click.echo(f"file      {name}, {file.size / 1e6:.1f} MB")
    for step in manifest.steps:
        click.echo(f"step      {printable(step)}")


@command.command("verify")
def verify() -> int:
    """Read all checkpoints and say which ones are damaged; these are not removed."""
    store, damaged = _store(), 0
    for entry in store.entries():
        try:
            store.verify(entry.key)
        except InfrastructureError as error:
            damaged += 1
            click.echo(f"{entry.key[:8]}  {error.message}", err=True)
        else:
            click.echo(f"{entry.key[:8]}  right")
    return 3 if damaged else 0


@command.command("prune")
@click.option("--all", "everything", is_flag=True, help="Remove every checkpoint.")
def prune(everything: bool) -> None:
    """Remove what cannot be read and what is too much; one that is in use stays."""
    removed = _store().prune(-1 if everything else None)
    click.echo(f"{len(removed)} checkpoints removed")


def _store() -> CheckpointStore:
    return CheckpointStore(checkpoints_folder(), load_settings().checkpoints_limit)


def _entry(beginning: str) -> StoreEntry:
    found = [entry for entry in _store().entries() if entry.key.startswith(beginning)]
    if len(found) != 1:
        many = "several checkpoints begin" if found else "no checkpoint begins"
        raise UsageError(
            f'{many} with "{beginning}"', hint="`tailstest checkpoints list` shows them"
        )
    return found[0]


def _age(used: float) -> str:
    minutes = max(0.0, time.time() - used) / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"
