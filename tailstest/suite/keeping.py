"""Keeping the machine of a scenario after its end, until a person has seen enough."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO

from tailstest.core.deadline import Deadline, poll
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict
from tailstest.suite.access import MachineAccess
from tailstest.suite.session import Session

#: Seconds between two looks whether somebody has pressed Enter.
_LOOK = 0.2


class Keeping:
    """Holds the machine of a session that has nothing more to do.

    Args:
        session: whose machine is held.
        suspended: keeps the progress display away meanwhile.
        open_access: lets other terminals reach the machine meanwhile.
        stdin, stdout: the terminal by default.
    """

    def __init__(
        self,
        session: Session,
        suspended: Callable[[], AbstractContextManager[None]],
        open_access: Callable[[], AbstractContextManager[MachineAccess | None]],
        *,
        stdin: IO[str] | None = None,
        stdout: IO[str] | None = None,
    ) -> None:
        self._session = session
        self._suspended = suspended
        self._open_access = open_access
        self._stdin = stdin or sys.__stdin__
        self._stdout = stdout or sys.__stdout__

    def hold(self, verdict: Verdict) -> None:
        """Return when Enter was pressed, or SIGINT or SIGTERM came; none of them is trouble.

        Args:
            verdict: of the scenario, for the message.
        """
        with self._suspended():
            self._session.turn_to_a_machine()
            if not self._session.has_machine:
                self._say("There is no machine to keep: this scenario started none.")
                return
            self._session.end_film(verdict)
            with _signals() as told, self._open_access():
                self._say(self._how_to_look(verdict))
                poll(
                    lambda: (told.is_set() or self._is_enter_pressed()) or None,
                    Deadline(math.inf),
                    interval=_LOOK,
                )

    def _how_to_look(self, verdict: Verdict) -> str:
        viewer = self._session.machine.viewer_socket
        watch = f", or remote-viewer vnc+unix://{viewer}" if viewer else ""
        return (
            f"The machine of “{printable(self._session.scenario)}” ({verdict.value}) is kept until "
            f"Enter or Ctrl-C. In another terminal: tailstest vm exec, cp, shot, tree or console"
            f"{watch}"
        )

    def _is_enter_pressed(self) -> bool:
        """Tell whether a line was entered; the end of the input is no answer."""
        stdin = self._stdin
        if stdin is None:
            return False
        try:
            file = stdin.fileno()
            if stdin.isatty() and os.tcgetpgrp(file) != os.getpgrp():
                return False  # we are in the background; what is typed is meant for others
            if not select.select([file], [], [], 0)[0]:
                return False
            line = os.read(file, 4096)
        except (OSError, ValueError):
            line = b""
        if not line:
            self._stdin = None
        return b"\n" in line

    def _say(self, text: str) -> None:
        if self._stdout is not None:
            self._stdout.write(text + "\n")
            self._stdout.flush()


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """Let SIGINT and SIGTERM set an event, instead of ending the run as an interrupted one."""
    told = threading.Event()
    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *_: told.set())
    except ValueError:
        pass  # not the main thread: whoever started us deals with signals
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
