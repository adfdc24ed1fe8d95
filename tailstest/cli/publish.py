"""`tailstest publish`: the state of the suite where people look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tailstest.cli.store_option import day, open_store, store_option
from tailstest.results.forges.forge import State, Status, marker_of, put_note
from tailstest.results.forges.place import KINDS, find_place, needed_commit, needed_request
from tailstest.results.gate.judging import judge_runs
from tailstest.results.gate.markdown import gate_markdown
from tailstest.results.gate.policy import load_policy
from tailstest.results.publish.badge import badge_svg
from tailstest.results.publish.feed import feed_news, feed_xml
from tailstest.results.publish.links import checked_link, with_link
from tailstest.results.publish.metrics import write_metrics
from tailstest.results.publish.summary import summary_of
from tailstest.results.whole_file import write_whole
from tailstest.results.wording import plural

_PATH = click.Path(path_type=Path)


@click.group("publish")
def command() -> None:
    """Show the state of the suite: badge, feed, metrics, states of commits, notes on requests."""


@command.command("badge")
@click.argument("file", type=_PATH)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--label", default="tailstest", help="What stands on the left.")
@store_option
def badge(file: Path, runs: tuple[str, ...], label: str, address: str | None) -> None:
    """Write an SVG picture that says how RUNs (default: the latest) went to FILE."""
    with open_store(address) as store:
        summary = summary_of(store, runs or ("latest",), day(None))
    write_whole(file, badge_svg(label, summary.words, summary.state), private=False)
    click.echo(f"{file}: {summary.words}")


@command.command("feed")
@click.argument("file", type=_PATH)
@click.option("--title", default="tailstest", help="Of the feed.")
@click.option("--link", default="", metavar="URL", help="Of a report; {run} stands for the run.")
@click.option("--own-url", default="", metavar="URL", help="Where the feed will be found.")
@click.option("--last", type=click.IntRange(1, 500), default=30, help="Runs to look at.")
@click.option("--images", multiple=True, metavar="PATTERN", help="Images that are one line.")
@click.option("--every", is_flag=True, help="Also runs in which nothing changed.")
@store_option
def feed(
    file: Path,
    title: str,
    link: str,
    own_url: str,
    last: int,
    images: tuple[str, ...],
    every: bool,
    address: str | None,
) -> None:
    """Write an Atom feed of the runs in which something changed to FILE."""
    checked_link(link), checked_link(own_url)
    with open_store(address) as store:
        news = feed_news(store, day(None), last=last, images=images, every=every)
    write_whole(file, feed_xml(news, title=title, link=link, own=own_url), private=False)
    click.echo(f"{file}: {plural(len(news), 'run')}")


@command.command("metrics")
@click.argument("file", type=_PATH)
@store_option
def metrics(file: Path, address: str | None) -> None:
    """Write metrics of the newest run on each image for Prometheus to FILE (*.prom)."""
    with open_store(address) as store:
        images = write_metrics(store, file, day(None))
    click.echo(f"{file}: {plural(images, 'image')}")


def _forge_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--forge", "kind", type=click.Choice(KINDS), help="Kind of the server."),
            click.option("--url", default="", help="Of the server (GitHub: of its interface)."),
            click.option("--project", default="", help="Number, or OWNER/NAME."),
            click.option("--token-file", type=_PATH, help="Private file with the token."),
            click.option("--context", default="tailstest", help="Name of the check."),
            click.option("--link", default="", metavar="URL", help="Of the report."),
        )
    ):
        function = option(function)
    return function


@command.command("status")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--commit", default="", metavar="SHA", help="The commit to mark.")
@click.option("--policy", "policy_file", type=_PATH, help="Let the gate decide.")
@click.option("--pending", is_flag=True, help="Say that it goes on; needs no run.")
@_forge_options
@store_option
def status(
    runs: tuple[str, ...],
    commit: str,
    policy_file: Path | None,
    pending: bool,
    kind: str | None,
    url: str,
    project: str,
    token_file: Path | None,
    context: str,
    link: str,
    address: str | None,
) -> None:
    """Mark a commit with what RUNs (default: the latest) came to.

    What is not said is taken from the variables of GitLab CI, Gitea and GitHub Actions.
    """
    place = find_place(
        kind=kind or "", url=url, project=project, commit=commit, token_file=token_file
    )
    where = needed_commit(place)
    marker_of(context)
    checked_link(link)
    state, text = State.PENDING, "going on"
    if not pending:
        policy = load_policy(policy_file) if policy_file is not None else None
        with open_store(address) as store:
            summary = summary_of(store, runs or ("latest",), day(None))
            state, text = summary.state, summary.words
            if policy is not None:
                result = judge_runs(store, policy, runs or ("latest",), day(None))
                state = State.SUCCESS if result.passed else State.FAILURE
                text = f"{result.headline}; {summary.words}"
    place.open().set_status(where, Status(state, text, context, link))
    click.echo(f"{where}: {state}: {text}")


@command.command("note")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--policy", "policy_file", type=_PATH, required=True, help="Of the gate.")
@click.option("--request", type=click.IntRange(1), help="Number of the merge or pull request.")
@_forge_options
@store_option
def note(
    runs: tuple[str, ...],
    policy_file: Path,
    request: int | None,
    kind: str | None,
    url: str,
    project: str,
    token_file: Path | None,
    context: str,
    link: str,
    address: str | None,
) -> None:
    """Write what the gate says of RUNs (default: the latest) on a merge or pull request.

    Said again, it brings its own note up to date.
    """
    place = find_place(
        kind=kind or "", url=url, project=project, request=request or 0, token_file=token_file
    )
    number = needed_request(place)
    checked_link(link)
    marker_of(context)
    policy = load_policy(policy_file)
    with open_store(address) as store:
        result = judge_runs(store, policy, runs or ("latest",), day(None))
    done = put_note(place.open(), number, with_link(gate_markdown(result), link), context)
    click.echo(f"note on request {number}: {done}")
