"""The command `tailstest`: a group of commands, and what a user sees when one of them fails."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from tailstest import __version__
from tailstest.core.errors import TailstestError
from tailstest.core.paths import state_folder

#: Command name to the module that holds it; a module is imported only when it is needed, so that
#: `tailstest steps` does not pay for libvirt or an OCR engine.
COMMANDS = {
    "run": "run",
    "plan": "plan",
    "boot": "boot",
    "vm": "vm",
    "match": "match",
    "review": "review",
    "report": "report",
    "merge": "merge",
    "history": "history",
    "compare": "compare",
    "bisect": "bisect",
    "triage": "triage",
    "flaky": "flaky",
    "slow": "slow",
    "gate": "gate",
    "site": "site",
    "store": "store",
    "notify": "notify",
    "publish": "publish",
    "lint": "lint",
    "steps": "steps",
    "host": "host",
    "image": "image",
    "profile": "profile",
    "checkpoints": "checkpoints",
    "capture": "capture",
    "init": "init",
}

#: Exit status when something other than the test or the product went wrong.
INFRASTRUCTURE = 3

#: Exit status when nobody reads the output any more, as of a shell; never that of success.
UNREAD = 128 + signal.SIGPIPE


class Commands(click.Group):
    """The group of all commands, each loaded on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called `cmd_name`, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"tailstest.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end quietly when the reader of what it prints (`| head`) has left.

        Click would end the program itself, in a way that looks like a mistake of ours.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What was said last cannot be flushed, and there is nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return UNREAD


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tailstest")
def tailstest() -> None:
    """Boot live ISO images in virtual machines and check what a person would check.

    Exit status: 0 all passed, 1 a scenario failed, 2 usage or set-up is wrong, 3 infrastructure
    trouble or an interrupted run.
    """


def main() -> None:
    """Run the command line; every error ends as one message and an exit status."""
    sys.exit(_status())


def _bug(report: str) -> str:
    """Keep the report of a mistake of ours; return what to say of it."""
    try:
        file = state_folder() / "last-crash.txt"
        file.write_text(report, encoding="utf-8")
    except (OSError, TailstestError):  # a full disk, say, which may be what brought it about
        return (
            "tailstest: this is a bug in tailstest, and no file could be written about it\n"
            f"  What to do: report it with these lines:\n{report}"
        )
    return (
        f"tailstest: this is a bug in tailstest; what happened is in {file}\n"
        "  What to do: report it with that file"
    )


def _status() -> int:
    try:
        status = tailstest.main(standalone_mode=False)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("tailstest: interrupted", err=True)
        return INFRASTRUCTURE
    except TailstestError as error:
        click.echo(f"tailstest: {error}", err=True)
        return error.exit_status
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        click.echo(f"tailstest: {error.filename or 'the host'}: {reason}", err=True)
        return INFRASTRUCTURE
    except (Exception, SystemExit):  # noqa: BLE001 - the last resort: a mistake of ours or
        # of a suite's file that ends the interpreter (`sys.exit()`, status 0, is no success)
        click.echo(_bug(traceback.format_exc()), err=True)
        return INFRASTRUCTURE
    return status if isinstance(status, int) else 0
