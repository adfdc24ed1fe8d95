"""`tailstest capture`: what is in recorded network packets, and whether a machine leaked."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from tailstest.core.text import printable
from tailstest.lab.capture_check import LeaksUntilThen, check_capture
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.conversations import Conversations
from tailstest.lab.conversations_view import conversations_json, conversations_text
from tailstest.lab.leak import LeakReport
from tailstest.lab.leak_view import report_json, report_text
from tailstest.lab.policy import TEMPLATE, load_policy

#: Conversations that `show` prints unless all are wanted, and columns where there is no terminal.
MOST_SHOWN = 200
WIDE = 160

File = click.Path(path_type=Path)


@click.group("capture")
def command() -> None:
    """Look into recorded network packets (pcap, pcapng); find what leaked."""


@command.command("show")
@click.argument("file", type=File)
@click.option("--all", "everything", is_flag=True, help="Show every conversation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(file: Path, everything: bool, as_json: bool) -> None:
    """Show who talked to whom in the capture FILE."""
    talk = Conversations()
    talk.add(CaptureFile(file))
    if as_json:
        click.echo(json.dumps(conversations_json(talk, str(file)), indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    most = len(talk.found) if everything else MOST_SHOWN
    click.echo(conversations_text(talk, printable(str(file)), width, most))


@command.command("check")
@click.argument("file", type=File)
@click.option("--policy", type=File, required=True, help="What is allowed; see capture policy.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path, policy: Path, as_json: bool) -> int:
    """Check that the machine in the capture FILE sent nothing but what a policy allows.

    Exit status: 0 clean, 1 leak, 2 the capture or the policy is wrong, or proves nothing.
    """
    try:
        report = check_capture(file, load_policy(policy))
    except LeaksUntilThen as error:
        _print(error.report, file, as_json)
        raise
    _print(report, file, as_json)
    return 0 if report.clean else 1


@command.command("policy")
def policy() -> None:
    """Print a policy to begin with: what every network needs, and nothing else."""
    click.echo(TEMPLATE.read_text(encoding="utf-8"), nl=False)


def _print(report: LeakReport, file: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report_json(report, str(file)), indent=2))
    else:
        click.echo(report_text(report, printable(str(file))))
