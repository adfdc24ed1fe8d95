"""`tailstest notify`: tell people what changed."""

from __future__ import annotations

from pathlib import Path

import click

from tailstest.cli.store_option import day, json_option, open_store, print_json, store_option
from tailstest.core.errors import InfrastructureError
from tailstest.results.run_folder import recorded_id
from tailstest.results.telling.config import load_notify_config
from tailstest.results.telling.message import body_of, title_of
from tailstest.results.telling.news import Change, news_of
from tailstest.results.telling.sending import Delivery, Sender
from tailstest.results.wording import plural


@click.command("notify")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML file that says whom to tell.",
)
@click.option("--always", is_flag=True, help="Send also when nothing changed.")
@click.option("--link", default="", metavar="URL", help="Of the report; {run} stands for the run.")
@click.option("--against", default="", metavar="RUN", help="Compare with this run.")
@click.option("--dry-run", is_flag=True, help="Print the message, send nothing.")
@store_option
@json_option
def command(
    runs: tuple[str, ...],
    config_file: Path,
    always: bool,
    link: str,
    against: str,
    dry_run: bool,
    address: str | None,
    as_json: bool,
) -> None:
    """Tell people what changed in RUNs (default: the latest) since the last time on this image.

    Nothing is sent when nothing changed. Several RUNs are one whole: shards, or kinds of machines.
    """
    config = load_notify_config(config_file)
    sender = None if dry_run else Sender(config, config_file.parent)
    with open_store(address) as store:
        news = news_of(
            store,
            runs or ("latest",),
            day(None),
            images=config.compare.images,
            branches=config.compare.branches,
            against=against,
        )
    if as_json and dry_run:
        print_json(news.to_json())
        return
    if sender is None:
        click.echo(title_of(news, config.title, tuple(Change)))
        click.echo()
        click.echo(
            body_of(news, tuple(Change), link=link or config.link, listed=config.listed), nl=False
        )
        return
    failed, told = [], []
    folders = {run_id: Path(name) for name in runs if (run_id := recorded_id(Path(name)))}
    for delivery in sender.send(news, link=link, always=always, folders=folders):
        told.append(vars(delivery))
        if delivery.trouble:
            failed.append(delivery.service)
        if not as_json:
            click.echo(f"{delivery.service}: {_words(delivery)}")
    if as_json:
        print_json({**news.to_json(), "deliveries": told})
    if failed:
        raise InfrastructureError(
            f"not everybody could be told: {', '.join(failed)}",
            hint="see the reason above; run the same command again, or look after the service",
        )


def _words(delivery: Delivery) -> str:
    if not delivery.wanted:
        return "nothing changed that it wants to know, nothing sent"
    if delivery.trouble:
        return f"NOT sent in {plural(delivery.attempts, 'attempt')}: {delivery.trouble}"
    return "sent"
