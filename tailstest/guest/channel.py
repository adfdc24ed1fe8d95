"""What steps and machines may ask of a guest, whatever carries it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tailstest.core.deadline import Deadline
from tailstest.guest.answers import AgentInfo, Entry, FileStatus
from tailstest.guest.results import Completed
from tailstest.guest.running import DEFAULT_LIMIT, OnOutput, RunningCommand


class GuestChannel(Protocol):
    """Commands and files inside one guest; safe for several threads.

    Every time limit is in seconds and is stretched by the slowness of the host.

    Raises (every method):
        GuestUnreachable: an InfrastructureError; the agent does not answer in time.
        GuestProtocolError: an InfrastructureError; the answer is not one of an honest agent.
        GuestRefused: a CheckFailed; the guest could not do it.
        GuestPathMissing: a CheckFailed; a file, folder or program is not in the guest.
        GuestUsageError: a UsageError; the call can never work.
    """

    def wait_ready(self, deadline: Deadline | None = None) -> AgentInfo:
        """Wait until the agent answers (60 s unless said otherwise); say who it is.

        Call it after a start, a restart or the restoring of a saved state. When the agent we knew
        does not answer, it is greeted anew, and what ran through this channel is killed.
        """

    def ping(self) -> float:
        """Return the seconds that the agent took to answer."""

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
        """Run a command to its end; never raises because of its status.

        Args:
            command: a text for the guest's shell, or a program with its arguments.
            user: whose command it is; None is the agent's user, root.
            session: also use the environment of that user's graphical session.
            env: added to the environment.
            cwd: working folder; the user's home, or / for the agent's user, if None.
            within: time limit; the command is killed then, with everything it started.
            limit: bytes that it may write to each stream; above, it is killed.
            on_output: called with "stdout" or "stderr" and new bytes, in this thread.
        """

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
        """Write a file in the guest: all of it appears at once, or nothing does.

        Args:
            data: the content, or a file of the host.
            owner: a user of the guest; root if None.
            parents: make the folders above it that are missing.
        """

    def get(
        self, source: str, target: Path, limit: int = 64 << 20, *, within: float = 120.0
    ) -> None:
        """Copy a regular file of the guest to `target`: all of it, or nothing."""

    def read(self, source: str, limit: int = 1 << 20, *, within: float = 60.0) -> bytes:
        """Return the content of a regular file of the guest."""

    def put_folder(
        self, source: Path, target: str, *, user: str | None = None, within: float = 120.0
    ) -> None:
        """Copy what is in a folder of the host into a folder of the guest, which is made."""

    def get_folder(
        self,
        source: str,
        target: Path,
        *,
        user: str | None = None,
        limit: int = 64 << 20,
        within: float = 120.0,
    ) -> None:
        """Copy a folder of the guest to `target`, which must not exist yet; all or nothing."""

    def stat(self, path: str) -> FileStatus:
        """Return what a path in the guest is, without following a link."""

    def list_folder(self, path: str, limit: int = 10_000) -> list[Entry]:
        """Return the entries of a folder of the guest, sorted by name."""

    def set_clock(self, seconds: float) -> None:
        """Set the guest's clock to `seconds` since 1970."""

    def close(self) -> None:
        """Close the line. What runs in the guest goes on until somebody greets its agent."""
