"""`tailstest vm`: act on the machine of a run that waits, from another terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from tailstest.cli.vm_client import ask, given_stdin, warn
from tailstest.core.errors import UsageError
from tailstest.core.text import printable
from tailstest.suite.access_requests import MAX_LINES, OUTPUT_LIMIT
from tailstest.suite.waiting_runs import NO_RUN, choose_run, waiting_runs

#: Exit status of `vm exec` when the command was killed at its time limit, as of timeout(1).
TIMED_OUT = 124

#: How a path inside the machine begins.
INSIDE = "vm:"

run_option = click.option(
    "--run", metavar="RUN", help="Which run: its folder or a part of its name."
)


@click.group("vm")
def command() -> None:
    """Act on the machine of a run that waits: `tailstest run --interactive` or `--keep`."""


@command.command("list")
def list_runs() -> None:
    """List the runs that wait with a machine to look at."""
    runs = waiting_runs()
    for run in runs:
        click.echo(run.describe())
    if not runs:
        warn(f"no run waits with a machine to look at; {NO_RUN}")


@command.command("exec", context_settings={"ignore_unknown_options": True})
@run_option
@click.option("--user", metavar="USER", help="Whose command it is (default: root).")
@click.option("--session", is_flag=True, help="In the environment of that user's desktop.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 86_400),
    default=600.0,
    show_default=True,
    help="Seconds until it is killed.",
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def execute(
    run: str | None, user: str | None, session: bool, timeout: float, words: tuple[str, ...]
) -> int:
    """Run a command inside and end with its exit status.

    A single argument is a text for the shell inside; several are a program and its arguments.
    Standard input is passed on unless it is a terminal. A signal ends with 128 and its number,
    the time limit with 124; trouble of tailstest itself with 2 or 3 and a message.
    """
    asked = {
        "op": "exec",
        "command": list(words),
        "user": user,
        "session": session,
        "timeout": timeout,
    }
    streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}

    def take(kind: str, data: bytes) -> None:
        if kind in streams:
            streams[kind].write(data)
            streams[kind].flush()

    done = ask(choose_run(run), asked, take, stdin=given_stdin())
    if done.get("timed_out"):
        warn(f"the command was killed at its time limit of {timeout:g} s")
        return TIMED_OUT
    if done.get("truncated"):
        raise UsageError(
            f"the command was killed because it wrote more than {OUTPUT_LIMIT >> 20} MiB",
            hint="let it write to a file inside, and fetch that with `tailstest vm cp`",
        )
    status = int(done.get("status", 0))
    return 128 - status if status < 0 else status


@command.command("cp")
@run_option
@click.argument("source")
@click.argument("target")
def copy(run: str | None, source: str, target: str) -> None:
    """Copy a file or folder from SOURCE to TARGET; one of them is inside: vm:/PATH.

    As with cp(1), a TARGET that is a folder gets it inside, and a file there is replaced.
    """
    if source.startswith(INSIDE) == target.startswith(INSIDE):
        raise UsageError(
            "one of SOURCE and TARGET must be inside the machine, and only one",
            hint="for example: tailstest vm cp vm:/var/log/syslog .",
        )
    if source.startswith(INSIDE):
        asked = {"op": "get", "source": source[len(INSIDE) :], "target": _absolute(target)}
    else:
        if not Path(source).exists():
            raise UsageError(f"there is no file or folder {source}")
        asked = {"op": "put", "source": _absolute(source), "target": target[len(INSIDE) :]}
    done = ask(choose_run(run), asked, _nothing)
    click.echo(f"copied to {printable(str(done.get('target', '')))}")


@command.command("shot")
@run_option
@click.argument("file", type=click.Path(path_type=Path), default=Path("shot.png"))
@click.option("--force", is_flag=True, help="Replace FILE.")
def shoot(run: str | None, file: Path, force: bool) -> None:
    """Write what the screen shows to FILE (default: shot.png) as PNG."""
    if not force:
        _refuse_existing(file)
    picture = bytearray()
    done = ask(choose_run(run), {"op": "shot"}, lambda _kind, data: picture.extend(data))
    if done.get("note"):
        warn(str(done["note"]))
    try:
        with file.open("wb" if force else "xb") as output:
            output.write(picture)
    except FileExistsError:  # somebody made it meanwhile
        _refuse_existing(file)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    click.echo(f"screen: {file} ({_number(done, 'width')} x {_number(done, 'height')})")


@command.command("tree")
@run_option
@click.option("--app", metavar="NAME", help="Only this application.")
def show_tree(run: str | None, app: str | None) -> None:
    """Print the accessibility tree of the desktop: the names that steps can use."""
    _show(
        run,
        {"op": "tree", "app": app or None},
        "no program tells what it shows; one that was started before anybody asked for the tree "
        "may have to be started again",
    )


@command.command("console")
@run_option
@click.option(
    "-n", "--lines", type=click.IntRange(1, MAX_LINES), default=40, show_default=True, metavar="N"
)
def show_console(run: str | None, lines: int) -> None:
    """Print the last lines of the serial console."""
    _show(run, {"op": "console", "lines": lines}, "nothing was printed on the serial console")


def _show(run: str | None, asked: dict[str, Any], nothing: str) -> None:
    """Print an answer that is text, safely; say `nothing` where there is none."""
    said = bytearray()
    ask(choose_run(run), asked, lambda _kind, data: said.extend(data))
    text = printable(said.decode("utf-8", "replace")).strip("\n")
    if text:
        click.echo(text)
    else:
        warn(nothing)


def _refuse_existing(file: Path) -> None:
    if os.path.lexists(file):
        raise UsageError(f"{file} exists", hint="choose another name, or replace it with --force")


def _absolute(path: str) -> str:
    """Return a path of this host for a process that stands elsewhere; links stay links."""
    return os.path.abspath(path)  # noqa: PTH100


def _number(done: dict[str, Any], name: str) -> int:
    value = done.get(name)
    return value if isinstance(value, int) else 0


def _nothing(_kind: str, _data: bytes) -> None:
    """Take bytes that nobody asked for."""
