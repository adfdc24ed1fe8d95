"""Asking a waiting run for something: the other end of `suite.access`."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

import click

from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.core.text import printable, shortened
from tailstest.suite.access_wire import CHUNK, LANGUAGE, PeerGone, Wire, content
from tailstest.suite.waiting_runs import WaitingRun, unreachable

#: Seconds after which the user is told what he waits for.
_PATIENCE = 2.0

#: Characters of a message of the run that are shown.
_SHOWN = 10_000

#: Takes what is sent as bytes: its kind, and the bytes.
Take = Callable[[str, bytes], None]

#: Kinds of bytes that a run sends: of a command's two streams, or of anything else.
_KINDS = ("stdout", "stderr", "bytes")


def ask(
    run: WaitingRun, asked: dict[str, Any], take: Take, *, stdin: IO[bytes] | None = None
) -> dict[str, Any]:
    """Ask a run for something and wait until it is done.

    Args:
        asked: the request.
        take: called with the bytes that are sent meanwhile.
        stdin: given to the command, piece by piece.

    Returns:
        What the run says at the end.

    Raises:
        UsageError, InfrastructureError: what the run refuses to do, or the run has gone.
    """
    with _greeted(run) as wire:
        wire.send(asked)
        if asked.get("op") == "exec":
            threading.Thread(target=_feed, args=(wire, stdin), name="stdin", daemon=True).start()
        while True:
            message = wire.receive()
            for kind in _KINDS:
                if kind in message:
                    take(kind, content(message, kind))
            if "note" in message:
                warn(str(message["note"]))
            elif "error" in message:
                raise _refusal(message["error"])
            elif "done" in message:
                done = message["done"]
                return done if isinstance(done, dict) else {}


def warn(text: str) -> None:
    """Say something that is no part of the answer."""
    click.echo(f"tailstest: {printable(shortened(text, _SHOWN))}", err=True)


@contextlib.contextmanager
def _greeted(run: WaitingRun) -> Iterator[Wire]:
    try:
        wire = Wire(run.connect())
    except OSError as error:
        raise unreachable(run) from error
    try:
        try:
            hello = wire.receive(_PATIENCE)
        except TimeoutError:
            warn("another terminal is at work on the machine; waiting for it")
            hello = wire.receive()
        if hello.get("tailstest") != LANGUAGE:
            raise InfrastructureError(
                f"the run {printable(run.name)} is one of another version of tailstest",
                hint="use the tailstest that started it",
            )
        yield wire
    except PeerGone as error:
        raise unreachable(run) from error
    finally:
        wire.close()


def _feed(wire: Wire, stdin: IO[bytes] | None) -> None:
    """Send standard input to its end; ends by itself when the run has hung up."""
    with contextlib.suppress(TailstestError, OSError, ValueError):
        while stdin is not None and (data := _piece(stdin)):
            wire.send_bytes("stdin", data)
        wire.send({"end": True})


def _piece(stdin: IO[bytes]) -> bytes:
    try:
        file = stdin.fileno()
    except (OSError, io.UnsupportedOperation):
        return stdin.read(CHUNK)
    # Not through Python's buffer: its lock, held by a thread that waits, would crash our end.
    return os.read(file, CHUNK)


def given_stdin() -> IO[bytes] | None:
    """Return standard input if it comes from a file or a program, None if from a person."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return None
    return sys.stdin.buffer


def _refusal(said: Any) -> TailstestError:
    facts = said if isinstance(said, dict) else {}
    message, hint = (
        printable(shortened(str(facts.get(name, "")), _SHOWN)) for name in ("message", "hint")
    )
    kind = InfrastructureError if facts.get("status") == 3 else UsageError
    return kind(message or "the run could not do it", hint=hint)
