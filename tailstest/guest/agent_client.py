"""The channel to the agent in a guest."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tailstest.core.deadline import Deadline, Watch
from tailstest.guest.answers import AgentInfo, Entry, FileStatus, parse_listing
from tailstest.guest.errors import GuestUsageError
from tailstest.guest.exchange import ByteStore
from tailstest.guest.folders import get_folder, put_folder
from tailstest.guest.frames import Kind
from tailstest.guest.line import ANSWER_WITHIN, Line, finish
from tailstest.guest.results import Completed
from tailstest.guest.running import DEFAULT_LIMIT, OnOutput, RunningCommand, start_command
from tailstest.guest.transfer import checked_path, get_file, put_file, read_file

#: Seconds that an agent may take to answer for the first time, before stretching.
READY_WITHIN = 60.0

#: Bytes that one entry of a folder's listing may take: a letter, 255 of a name, a NUL.
ENTRY_SIZE = 257


class AgentClient:
    """A `GuestChannel` over a socket; see there for what its methods do.

    Args:
        connect: opens the socket of the guest's port; called again after the line was cut. An
            OSError means that the port is not there yet.
        deadline_scale: how much slower than usual this host is (>= 1); stretches every limit.
        watches: called in every wait; one that raises ends it (the machine has stopped).
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        *,
        deadline_scale: float = 1.0,
        watches: Sequence[Watch] = (),
    ) -> None:
        self._line = Line(connect, deadline_scale, watches)

    def wait_ready(self, deadline: Deadline | None = None) -> AgentInfo:
        """Wait until the agent answers; say who it is."""
        return self._line.wait_ready(deadline or self._line.deadline(READY_WITHIN))

    def ping(self) -> float:
        """Return the seconds that the agent took to answer."""
        started = time.monotonic()
        self._line.ask({"op": "ping"})
        return time.monotonic() - started

    def run(
        self,
        command: str | Sequence[str],
        *,
        user: str | None = None,
        session: bool = False,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        within: float = 60.0,
        limit: int = DEFAULT_LIMIT,
        on_output: OnOutput | None = None,
    ) -> Completed:
        """Run a command to its end; never raises because of its status."""
        started = start_command(
            self._line,
            command,
            user=user,
            session=session,
            stdin=bool(stdin),
            env=env,
            cwd=cwd,
            within=within,
            limit=limit,
        )
        with started as running:
            if stdin:
                running.send(stdin, on_output=on_output)
                running.close_stdin()
            return running.wait(on_output=on_output)

    def start(
        self,
        command: str | Sequence[str],
        *,
        user: str | None = None,
        session: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        within: float = 600.0,
        limit: int = DEFAULT_LIMIT,
    ) -> RunningCommand:
        """Start a command and return at once; its standard input is open."""
        return start_command(
            self._line,
            command,
            user=user,
            session=session,
            stdin=True,
            env=env,
            cwd=cwd,
            within=within,
            limit=limit,
        )

    def put(
        self,
        data: bytes | Path,
        target: str,
        mode: int = 0o644,
        *,
        owner: str | None = None,
        parents: bool = False,
        within: float = 120.0,
    ) -> None:
        """Write a file in the guest: all of it appears at once, or nothing does."""
        put_file(self._line, data, target, mode=mode, owner=owner, parents=parents, within=within)

    def get(
        self, source: str, target: Path, limit: int = 64 << 20, *, within: float = 120.0
    ) -> None:
        """Copy a regular file of the guest to `target`: all of it, or nothing."""
        get_file(self._line, source, target, limit=limit, within=within)

    def read(self, source: str, limit: int = 1 << 20, *, within: float = 60.0) -> bytes:
        """Return the content of a regular file of the guest."""
        return read_file(self._line, source, limit=limit, within=within)

    def put_folder(
        self, source: Path, target: str, *, user: str | None = None, within: float = 120.0
    ) -> None:
        """Copy what is in a folder of the host into a folder of the guest, which is made."""
        put_folder(self._line, source, target, user=user, within=within)

    def get_folder(
        self,
        source: str,
        target: Path,
        *,
        user: str | None = None,
        limit: int = 64 << 20,
        within: float = 120.0,
    ) -> None:
        """Copy a folder of the guest to `target`, which must not exist yet."""
        get_folder(self._line, source, target, user=user, limit=limit, within=within)

    def stat(self, path: str) -> FileStatus:
        """Return what a path in the guest is, without following a link."""
        return FileStatus.read(self._line.ask({"op": "stat", "path": checked_path(path)}))

    def list_folder(self, path: str, limit: int = 10_000) -> list[Entry]:
        """Return the entries of a folder of the guest, sorted by name."""
        store = ByteStore(limit * ENTRY_SIZE)
        body = {"op": "list", "path": checked_path(path), "limit": limit}
        deadline = self._line.deadline(ANSWER_WITHIN)
        finish(self._line.begin(body, deadline, {Kind.CONTENT: store}), deadline)
        return parse_listing(bytes(store.data))

    def set_clock(self, seconds: float) -> None:
        """Set the guest's clock to `seconds` since 1970."""
        if not math.isfinite(seconds) or seconds < 0:
            raise GuestUsageError("the guest's clock is set to seconds since 1970")
        self._line.ask({"op": "set_clock", "seconds": seconds})

    def close(self) -> None:
        """Close the line. What runs in the guest goes on until somebody greets its agent."""
        self._line.close()
