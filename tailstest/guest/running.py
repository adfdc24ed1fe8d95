"""Commands in the guest: starting them, talking to them, waiting for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tailstest.core.deadline import Deadline, Watch
from tailstest.guest.answers import Answer
from tailstest.guest.errors import GuestUsageError
from tailstest.guest.exchange import ByteStore, Store
from tailstest.guest.frames import CHUNK, Kind
from tailstest.guest.line import ANSWER_WITHIN, Call, Line, finish, too_late
from tailstest.guest.results import Completed

#: Bytes that a command may write to each of its two streams, unless the caller knows better.
DEFAULT_LIMIT = 16 << 20

#: Seconds that the host waits longer than the guest, before stretching.
GRACE = 15.0

#: Called with "stdout" or "stderr" and new bytes, in the thread that waits.
OnOutput = Callable[[str, bytes], None]


class RunningCommand:
    """A command that was started and not waited for yet; as a context manager it is killed.

    Attributes:
        argv: the program and its arguments.
    """

    def __init__(
        self, line: Line, call: Call, argv: tuple[str, ...], stores: Stores, hard: Deadline
    ) -> None:
        self.argv = argv
        self._line = line
        self._call = call
        self._stores = stores
        self._hard = hard
        self._completed: Completed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self._call.give_up()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet, as far as we know."""
        return not self._call.exchange.over

    def send(
        self, data: bytes, *, on_output: OnOutput | None = None, watches: Sequence[Watch] = ()
    ) -> None:
        """Write to its standard input; waits while the command does not read.

        Args:
            watches: called while waiting; one that raises ends the wait.

        Raises:
            GuestUnreachable: not all of it was taken before the command's time limit.
        """
        chunks = (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
        all_watches = [*watches, *([lambda: self._deliver(on_output)] if on_output else [])]
        if not self._call.exchange.send_stream(chunks, self._hard, all_watches):
            self._fail("take its input")

    def close_stdin(self) -> None:
        """Tell it that no more input comes."""
        if self.running:
            self._call.exchange.send(Kind.END, b"", self._hard)

    def read_stdout(self, timeout: float) -> bytes:
        """Return what it wrote since the last call; wait up to `timeout` seconds for something.

        Empty when nothing came in time, or when it has ended and everything was read.
        """
        store = self._stores.stdout
        self._call.exchange.wait(lambda: store.has_new, self._line.deadline(timeout))
        with self._call.exchange.changed:
            return store.take()

    def read_line(self, timeout: float) -> bytes:
        """Return the next whole line of its standard output, with its newline.

        When it has ended, what is left is returned; empty when no whole line came in time.
        """
        exchange, store = self._call.exchange, self._stores.stdout
        found = b""

        def has_line() -> bool:
            nonlocal found
            found = found or store.take(line=True)
            return bool(found)

        exchange.wait(has_line, self._line.deadline(timeout))
        with exchange.changed:
            return found if found or not exchange.over else store.take()

    def pump(self, timeout: float, on_output: OnOutput) -> None:
        """Hand out what it wrote since the last call; wait up to `timeout` seconds for something.

        For a caller that has to look after other things meanwhile; others use `wait`.
        """
        stores = self._stores
        self._call.exchange.wait(lambda: stores.has_undelivered, self._line.deadline(timeout))
        self._deliver(on_output)

    def kill(self) -> None:
        """Kill it with everything it started; `wait` then returns how it ended."""
        if self.running:
            self._call.exchange.send(Kind.KILL, b"", self._line.deadline(ANSWER_WITHIN))

    def wait(self, within: float | None = None, *, on_output: OnOutput | None = None) -> Completed:
        """Wait for its end and return what it did; may be called again.

        Args:
            within: seconds after which it is killed, before its own time limit.

        Raises:
            GuestUnreachable: the agent did not report in time.
        """
        if self._completed is None:
            self._completed = self._wait(within, on_output)
        return self._completed

    def _wait(self, within: float | None, on_output: OnOutput | None) -> Completed:
        killed = within is not None and not self._ends(self._line.deadline(within), on_output)
        if killed:
            self.kill()
            self._hard = self._line.deadline(GRACE)
        if not self._ends(self._hard, on_output):
            self._fail("report the end of a command")
        completed = self._read_result(finish(self._call, self._hard), killed)
        if on_output:
            self._deliver(on_output)
        return completed

    def _ends(self, deadline: Deadline, on_output: OnOutput | None) -> bool:
        """Wait for the end and deliver output meanwhile; return whether the end came."""
        exchange = self._call.exchange
        if on_output is None:
            return exchange.wait(lambda: False, deadline)
        while not exchange.over and not deadline.expired:
            exchange.wait(
                lambda: self._stores.has_undelivered, deadline, [lambda: self._deliver(on_output)]
            )
        return exchange.over

    def _deliver(self, on_output: OnOutput | None) -> None:
        with self._call.exchange.changed:
            new = self._stores.undelivered()
        for name, data in new:
            if data and on_output is not None:
                on_output(name, data)

    def _fail(self, what: str) -> None:
        self._call.give_up()
        raise too_late(what, self._hard)

    def _read_result(self, payload: bytes, killed: bool) -> Completed:
        answer = Answer(payload)
        return Completed(
            argv=self.argv,
            status=answer.integer("status", -255, 255),
            stdout=bytes(self._stores.stdout.data),
            stderr=bytes(self._stores.stderr.data),
            seconds=answer.number("seconds"),
            timed_out=answer.flag("timed_out") or killed,
            truncated=answer.flag("truncated"),
            background=answer.flag("background"),
        )


class Stores:
    """The output of a command, and how much of it was given to `on_output`."""

    def __init__(self, limit: int) -> None:
        self.stdout = ByteStore(limit)
        self.stderr = ByteStore(limit)
        self._delivered = [0, 0]

    @property
    def has_undelivered(self) -> bool:
        """Whether `undelivered` would return something."""
        return [len(self.stdout.data), len(self.stderr.data)] != self._delivered

    def undelivered(self) -> list[tuple[str, bytes]]:
        """Return what came since the last call."""
        new = []
        for number, (name, store) in enumerate((("stdout", self.stdout), ("stderr", self.stderr))):
            new.append((name, bytes(store.data[self._delivered[number] :])))
            self._delivered[number] = len(store.data)
        return new


def as_argv(command: str | Sequence[str]) -> tuple[str, ...]:
    """Return the argument list; a text is given to the guest's shell.

    Raises:
        GuestUsageError: it is empty, or holds a NUL.
    """
    argv = ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command)
    if not argv or not argv[0] or (isinstance(command, str) and not command.strip()):
        raise GuestUsageError("the command for the guest is empty")
    if any("\0" in word for word in argv):
        raise GuestUsageError("the command for the guest holds a NUL character")
    return argv


def start_command(
    line: Line,
    command: str | Sequence[str],
    *,
    user: str | None,
    session: bool,
    stdin: bool,
    env: Mapping[str, str] | None,
    cwd: str | None,
    within: float,
    limit: int,
    stdout: Store | None = None,
) -> RunningCommand:
    """Start a command in the guest; see `GuestChannel.start`.

    Args:
        stdout: takes standard output instead of memory.
    """
    argv = as_argv(command)
    if session and user is None:
        raise GuestUsageError("a graphical session belongs to a user: say whose")
    if not (math.isfinite(within) and within > 0) or limit < 0:
        raise GuestUsageError("a command needs a time limit above 0 and a byte limit from 0 on")
    body: dict[str, object] = {
        "op": "run",
        "argv": list(argv),
        "user": user,
        "session": session,
        "stdin": stdin,
        "env": dict(env or {}),
        "cwd": cwd,
        "within": within * line.scale,
        "limit": limit,
    }
    stores = Stores(limit)
    call = line.begin(
        body,
        line.deadline(ANSWER_WITHIN),
        {Kind.STDOUT: stdout or stores.stdout, Kind.STDERR: stores.stderr},
    )
    return RunningCommand(line, call, argv, stores, line.deadline(within + GRACE))
