"""What can be asked of a run that waits with a machine, and how it is answered."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from tailstest.core.deadline import Deadline
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.guest.channel import GuestChannel
from tailstest.guest.errors import GuestRefused
from tailstest.guest.running import RunningCommand
from tailstest.machine.desktop import Desktop
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.machine import Machine
from tailstest.suite.access_wire import Wire, WireError, content

#: Bytes that a command may write to each stream, and that a copied file or folder may have.
OUTPUT_LIMIT, COPY_LIMIT = 64 << 20, 1 << 30

#: Most lines of the console, and bytes of its end, that are looked at.
MAX_LINES, CONSOLE_LIMIT = 10_000, 512 << 10

#: Seconds, before scaling, until a system that is asked for something has to answer.
_READY = 20.0

#: Seconds, before scaling, that copying may take.
_COPY = 600.0

#: Seconds between two looks at the client while a command says nothing, before scaling.
_LOOK = 0.1

#: Most seconds a command may be given.
_LONGEST = 86_400.0


class Looked(Protocol):
    """As much of a session as is needed here."""

    @property
    def scenario(self) -> str:
        """Name of the scenario."""

    @property
    def image(self) -> Path | None:
        """What the machine was booted from."""

    @property
    def machine(self) -> Machine:
        """The machine that waits."""

    @property
    def desktop(self) -> Desktop:
        """Its desktop."""


class Request:
    """One request of a client.

    Args:
        asked: what the client sent.

    Raises (every method):
        UsageError: it is not asked for in a way that can be answered.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked

    def text(self, name: str) -> str:
        """Return a text that must be there."""
        value = self._asked.get(name)
        if not isinstance(value, str) or not value:
            raise UsageError(f'the request needs a text "{name}"')
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None."""
        return None if self._asked.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """Return whether something is wanted."""
        return self._asked.get(name) is True

    def number(self, name: str, most: float) -> float:
        """Return a number above 0."""
        value = self._asked.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f'the request needs a number "{name}"')
        if not (math.isfinite(value) and 0 < value <= most):
            raise UsageError(f'"{name}" must be above 0 and at most {most:g}')
        return float(value)

    def command(self) -> str | list[str]:
        """Return the command: a single word is a text for the guest's shell."""
        words = self._asked.get("command")
        if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
            raise UsageError('the request needs a list of texts "command"')
        return words[0] if len(words) == 1 else words


def answer(request: Request, wire: Wire, session: Looked, check: Callable[[], None]) -> None:
    """Do what is asked and send the answer; its last message has the key "done".

    Args:
        check: raises when the machine is needed for something else.

    Raises:
        TailstestError: it cannot be done; nobody has been told yet.
    """
    operation = request.text("op")
    if operation not in _OPERATIONS:
        raise UsageError(f'nobody knows how to do "{operation[:100]}"')
    done = _OPERATIONS[operation](request, wire, session, check)
    wire.send({"done": done})


def _execute(
    request: Request, wire: Wire, session: Looked, check: Callable[[], None]
) -> dict[str, Any]:
    command = request.command()
    # A person at a terminal means seconds of his own clock; the channel stretches them.
    within = request.number("timeout", _LONGEST) / session.machine.deadline_scale
    channel = _ready(session)
    with channel.start(
        command,
        user=request.optional_text("user"),
        session=request.flag("session"),
        within=within,
        limit=OUTPUT_LIMIT,
    ) as running:
        _follow(running, wire, check)
        done = running.wait(on_output=wire.send_bytes)
    return {
        "status": done.status,
        "timed_out": done.timed_out,
        "truncated": done.truncated,
        "seconds": done.seconds,
    }


def _follow(running: RunningCommand, wire: Wire, check: Callable[[], None]) -> None:
    """Carry input and output until the command has ended; raise if the client hangs up."""

    def watch() -> None:
        check()
        wire.check_peer()

    while running.running:
        watch()
        while (message := wire.receive_now()) is not None:
            if "stdin" in message:
                data = content(message, "stdin")
                running.send(data, on_output=wire.send_bytes, watches=[watch])
            elif "end" in message:
                running.close_stdin()
            else:
                raise WireError("something else than input was sent to a command")
        running.pump(_LOOK, wire.send_bytes)


def _put(
    request: Request, _wire: Wire, session: Looked, _check: Callable[[], None]
) -> dict[str, Any]:
    source, target = Path(request.text("source")), request.text("target")
    if not source.is_absolute() or not source.exists():
        raise UsageError(f"there is no file or folder {source}")
    channel = _ready(session)
    if target.endswith("/") or _is_folder(channel, target):
        target = f"{target.rstrip('/')}/{source.resolve().name}"
    if source.is_dir():
        channel.put_folder(source, target, within=_COPY)
    else:
        channel.put(source, target, source.stat().st_mode & 0o777, within=_COPY)
    return {"target": f"vm:{target}"}


def _get(
    request: Request, _wire: Wire, session: Looked, _check: Callable[[], None]
) -> dict[str, Any]:
    source, target = request.text("source"), Path(request.text("target"))
    if not target.is_absolute():
        raise UsageError(f"the path {target} is not absolute")
    if target.is_dir():
        name = PurePosixPath(source).name
        if name in {"", ".."}:
            raise UsageError(f"{source} has no name of its own", hint=f"say one: {target}/NAME")
        target /= name
    channel = _ready(session)
    if _is_folder(channel, source):
        channel.get_folder(source, target, limit=COPY_LIMIT, within=_COPY)
    else:
        channel.get(source, target, COPY_LIMIT, within=_COPY)
    return {"target": str(target)}


def _shoot(
    _request: Request, wire: Wire, session: Looked, _check: Callable[[], None]
) -> dict[str, Any]:
    machine, note = session.machine, ""
    if machine.state in {MachineState.RUNNING, MachineState.PAUSED}:
        frame = machine.screen.frame()
    elif machine.screen.last_frame is not None:
        frame = machine.screen.last_frame
        note = f"the machine is {machine.state}; this is the last picture of its screen"
    else:
        raise InfrastructureError(f"the machine is {machine.state}, and has no picture")
    with tempfile.TemporaryDirectory(prefix="tailstest-shot-") as folder:
        file = Path(folder) / "shot.png"
        frame.save(file)
        wire.send_bytes("bytes", file.read_bytes())
    return {"width": frame.width, "height": frame.height, "note": note}


def _show_tree(
    request: Request, wire: Wire, session: Looked, _check: Callable[[], None]
) -> dict[str, Any]:
    app = request.optional_text("app")
    # The desktop itself waits as long as a system may take to start; nobody wants that here.
    _ready(session)
    wire.send_bytes("bytes", session.desktop.dump(app).encode("utf-8", "replace"))
    return {}


def _show_console(
    request: Request, wire: Wire, session: Looked, _check: Callable[[], None]
) -> dict[str, Any]:
    lines = int(request.number("lines", MAX_LINES))
    end = session.machine.serial.text()[-CONSOLE_LIMIT:].rstrip()
    # Boot loaders end a line with both, in either order.
    found = re.split(r"\r*\n\r*", end)[-lines:]
    wire.send_bytes("bytes", "\n".join(found).encode("utf-8", "replace"))
    return {"file": str(session.machine.serial.path)}


def _ready(session: Looked) -> GuestChannel:
    """Return the channel; a system that does not answer is not waited for long."""
    scale = session.machine.deadline_scale
    channel = session.machine.reach_guest(Deadline.after(_READY, scale=scale))
    channel.wait_ready(Deadline.after(_READY, scale=scale))
    return channel


def _is_folder(channel: GuestChannel, path: str) -> bool:
    try:
        # With the dot a link to a folder is one, too.
        return channel.stat(f"{path.rstrip('/')}/.").kind == "folder"
    except GuestRefused:
        return False


_OPERATIONS: dict[str, Callable[[Request, Wire, Looked, Callable[[], None]], dict[str, Any]]] = {
    "exec": _execute,
    "put": _put,
    "get": _get,
    "shot": _shoot,
    "tree": _show_tree,
    "console": _show_console,
}
