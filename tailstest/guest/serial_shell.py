"""A shell on a guest's serial port: commands, their output, and files, past any noise."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tailstest.core.deadline import Deadline, Watch, pause, poll
from tailstest.core.text import printable, shortened
from tailstest.guest.errors import (
    GuestProtocolError,
    GuestRefused,
    GuestUnreachable,
    GuestUsageError,
)
from tailstest.guest.serial_line import SerialLine
from tailstest.guest.serial_requests import Requests, digest

#: Seconds in which a shell must answer for the first time, before stretching.
READY_WITHIN = 120.0

#: Seconds that sending a command or a file, or fetching output, may take besides the command
#: itself: for each of them, and for each MiB.
OVERHEAD = 60.0
SECONDS_PER_MIB = 120.0

#: Bytes that a command may write.
OUTPUT_LIMIT = 8 << 20

#: Bytes that may be sent to the guest at once.
UPLOAD_LIMIT = 4 << 20

#: Bytes of output that are fetched at once: the most, and the least when answers come damaged.
BLOCK = (12 * 1024, 96)

#: How often a whole file is sent before we give up.
UPLOAD_TRIES = 3

#: Seconds between two looks whether the image's shell has taken the place of the initrd's.
INITRD_INTERVAL = 1.0

#: Folders of the guest that are in memory.
FOLDERS = ("/run", "/dev/shm", "/tmp")


@dataclass(frozen=True)
class _Status:
    """How far a command is."""

    status: int | None
    size: int


class SerialShell:
    """A root shell on the serial port of one guest; for one thread.

    It may be of any kind (bash, dash, busybox, zsh, fish), echo, show prompts, and share the port
    with messages of the kernel; but nobody else may read from it, such as a getty that systemd
    starts for console=ttyS0. It is replaced by a plain /bin/sh. Nothing but files in a folder in
    memory is left in the guest.

    Args:
        connect: opens the socket that is the guest's serial port; called again after the line was
            cut. An OSError means that it is not there yet.
        deadline_scale: how much slower than usual this host is (>= 1); stretches every limit.
        watches: called in every wait; one that raises ends it (the machine has stopped).
        folders: folders of the guest; the first one that can be written keeps files for a moment.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        *,
        deadline_scale: float = 1.0,
        watches: Sequence[Watch] = (),
        folders: Sequence[str] = FOLDERS,
    ) -> None:
        self.line = SerialLine(connect, scale=deadline_scale, watches=watches)
        self._requests = Requests(self.line, folders)
        self._ready = False

    def wait_ready(self, deadline: Deadline | None = None) -> None:
        """Wait until a shell answers, and make it one that we can use (120 s unless said).

        Call it when the boot menu is behind us: what is sent here would be keys there. Call it
        again after the guest was started again or its shell has ended.

        Raises:
            GuestUnreachable: an InfrastructureError; no shell answered. It says what was seen.
            SetupError: the image lacks what is needed for this.
        """
        deadline = deadline or self.line.deadline(READY_WITHIN)
        self._ready = False
        in_initrd = False
        while True:
            self.line.open(deadline)
            try:
                self._requests.wait_marker(deadline)
                self._ready = self._requests.prepare(deadline)
            except GuestUnreachable:
                if in_initrd and deadline.expired:
                    break
                if self.line.is_open or deadline.expired:
                    raise
                continue  # cut while we waited: a machine that is being started does that
            if self._ready:
                return
            in_initrd = True
            if deadline.expired:
                break
            pause(min(INITRD_INTERVAL, deadline.remaining))
        raise GuestUnreachable(
            f"only the initrd's shell answered on the guest's serial port, in "
            f"{deadline.seconds:.0f} seconds; {self.line.describe_seen()}"
        )

    def run(
        self, command: str, within: float = 60.0, *, limit: int = OUTPUT_LIMIT
    ) -> tuple[int, bytes]:
        """Run a script of the guest's /bin/sh to its end; never raises because of its status.

        It has no terminal and no standard input, and is a process of its own: what it changes of
        its environment is gone afterwards. A child in the background goes on, but what it still
        writes to the command's output is lost.

        Args:
            command: the script; any text without NUL, also of several lines.
            within: seconds, stretched; the command is killed then.
            limit: bytes that it may write to its output; the command is killed soon after.

        Returns:
            Its exit status, and what it wrote to standard output and standard error.

        Raises:
            GuestUnreachable: an InfrastructureError; the shell does not answer, or the command
                did not end in time.
            GuestRefused: a CheckFailed; it wrote too much.
            GuestUsageError: a UsageError; the call can never work.
        """
        if not command.strip() or "\0" in command:
            raise GuestUsageError("a command for the guest is a text without NUL that is not empty")
        if not 0 < limit <= OUTPUT_LIMIT:
            raise GuestUsageError(f"a command may write up to {OUTPUT_LIMIT} bytes")
        name = self._send(command.encode("utf-8", "surrogateescape"))
        try:
            self._ask("start", name)
            ended = self._wait(name, self.line.deadline(within), command, limit)
            return ended.status or 0, self._fetch(name, ended.size)
        finally:
            self._forget(name)

    def upload(self, data: bytes) -> str:
        """Send bytes to the guest; return the path of the file there, in a private folder.

        Raises:
            GuestUnreachable: an InfrastructureError; the shell does not answer, or what arrives is
                damaged again and again.
            GuestUsageError: a UsageError; more than 4 MiB, for which the line is too slow.
        """
        name = self._send(data)
        return self._ask("where", name)

    def remove(self, path: str) -> None:
        """Remove a file that `upload` made, if the shell answers at once."""
        self._forget(PurePosixPath(path).parent.name)

    def close(self) -> None:
        """Close the line; the shell goes on."""
        self._ready = False
        self.line.close()

    # -- parts of the above

    def _ask(self, *words: object, deadline: Deadline | None = None) -> str:
        if not self._ready:
            raise GuestUsageError("call wait_ready() before the shell on the serial port is used")
        return self._requests.ask(*words, deadline=deadline or self.line.deadline(OVERHEAD))

    def _transfer_deadline(self, size: int) -> Deadline:
        return self.line.deadline(OVERHEAD + SECONDS_PER_MIB * size / (1 << 20))

    def _send(self, data: bytes) -> str:
        """Send bytes, verified; return the name that they have for requests."""
        if len(data) > UPLOAD_LIMIT:
            raise GuestUsageError(
                f"{len(data)} bytes are too many for a serial port (at most {UPLOAD_LIMIT})"
            )
        code = base64.b64encode(data).decode()
        deadline = self._transfer_deadline(len(data))
        for _ in range(UPLOAD_TRIES):
            name = secrets.token_hex(4)
            size = self._requests.piece
            for start in range(0, len(code), size):
                piece = code[start : start + size]
                self._ask("piece", name, f"{start:08d}", piece, deadline=deadline)
            if self._ask("join", name, deadline=deadline) == digest(data):
                return name
            self._forget(name)
        raise GuestUnreachable(
            "what is sent to the guest's serial port arrives damaged",
            hint="Is the folder for temporary files in the guest full?",
        )

    def _status(self, name: str) -> _Status:
        answer = self._ask("status", name)
        found = re.fullmatch(r"(\d{1,3}|-) (\d{1,12})", answer)
        if found is None:
            raise GuestProtocolError(f"the shell answered nonsense: {_short(answer)}")
        return _Status(None if found[1] == "-" else int(found[1]), int(found[2]))

    def _wait(self, name: str, deadline: Deadline, command: str, limit: int) -> _Status:
        last = _Status(None, 0)

        def look() -> _Status | None:
            nonlocal last
            last = self._status(name)
            return last if last.status is not None or last.size > limit else None

        ended = poll(look, deadline, interval=0.1, watches=self.line.watches)
        if ended is None or ended.status is None:
            self._ask("stop", name)
        if last.size > limit:
            raise GuestRefused(f"the command wrote more than {limit} bytes: {_short(command)}")
        if ended is not None:
            return ended
        head = self._fetch(name, min(last.size, BLOCK[0]))
        wrote = printable(head.decode("utf-8", "replace")).strip()
        raise GuestUnreachable(
            f"the command did not end within {deadline.seconds:.0f} seconds and was killed: "
            f"{_short(command)}; it wrote first: {shortened(wrote, 500) or 'nothing'}"
        )

    def _fetch(self, name: str, size: int) -> bytes:
        """Return the first `size` bytes of output, in blocks that shrink when they get damaged."""
        data = bytearray()
        block, failures = BLOCK[0], 0
        deadline = self._transfer_deadline(size)
        while len(data) < size:
            count = min(block, size - len(data))
            words = ("get", name, len(data) + 1, count)
            answer = self._requests.ask_once(*words, deadline=deadline, attempt=failures)
            part = _decoded(answer)
            if part is not None and len(part) == count:
                data += part
                block, failures = min(2 * block, BLOCK[0]), 0
            elif deadline.expired:
                raise GuestUnreachable(
                    "the output of the command cannot be fetched: answers of the shell on the "
                    f"serial port come damaged; {self.line.describe_seen()}"
                )
            else:
                block, failures = max(block // 2, BLOCK[1]), failures + 1
        return bytes(data)

    def _forget(self, name: str) -> None:
        """Remove the files of a command, if that works at once; they are in memory."""
        with contextlib.suppress(GuestUnreachable):
            self._requests.ask_once("forget", name, deadline=self.line.deadline(1.0))


def _decoded(answer: str | None) -> bytes | None:
    try:
        return None if answer is None else base64.b64decode(answer, validate=True)
    except (binascii.Error, ValueError):
        return None


def _short(text: str) -> str:
    return f"'{shortened(printable(text), 200)}'"
