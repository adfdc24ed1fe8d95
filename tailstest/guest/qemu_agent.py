"""QEMU's guest agent (qemu-ga): enough of its commands to run a script and to write a file.

Its language: https://www.qemu.org/docs/master/interop/qemu-ga-ref.html. A request and its answer
are one line of JSON each, in order and, in older versions, without numbers. So before the first
request, and after every one whose answer did not come, guest-sync-delimited tells what is old from
what is new: its answer has a number of ours, behind a byte that is never in JSON.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tailstest.core.deadline import Deadline, Watch, pause, poll
from tailstest.guest.errors import GuestProtocolError, GuestUnreachable, quoted
from tailstest.guest.qemu_answers import (
    check_allowed,
    ended,
    nonsense,
    number,
    parsed,
    refused,
)
from tailstest.guest.qemu_line import QEMU_AGENT_PORT, QemuLine

#: Seconds in which qemu-ga must answer for the first time, and any other time; before stretching.
READY_WITHIN = 120.0
ANSWER_WITHIN = 30.0

#: Seconds until an unanswered synchronisation is sent again, at first and at most; before
#: stretching. Those that nobody read yet stay in the port, and its last one is what we wait for.
PATIENCE = (1.0, 16.0)

#: Seconds between two questions whether a command has ended.
STATUS_INTERVAL = 0.1

#: Seconds before a line that was cut is opened again.
REOPEN_INTERVAL = 0.2

#: Bytes of a file that are sent with one request.
PIECE = 32 * 1024

#: Bytes of stray text that may come before an answer.
_NOISE_LIMIT = 1 << 20

_SENTINEL = b"\xff"

# The script's process leads a group of its own, so that all of it can be killed; qemu-ga shares
# its own group with what it starts. With standard error in standard output, their order stays.
_RUN = """
PATH=${PATH:-/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
exec 2>&1 </dev/null
command -v setsid >/dev/null 2>&1 && exec setsid sh -c "$1"
exec sh -c "$1"
"""


class QemuAgent:
    """QEMU's guest agent in one guest; for one thread.

    Args:
        connect: opens the socket of the port; called again after the line was cut. An OSError
            means that the port is not there yet.
        deadline_scale: how much slower than usual this host is (>= 1); stretches every limit.
        watches: called in every wait; one that raises ends it (the machine has stopped).

    Raises (every method):
        GuestUnreachable: an InfrastructureError; it does not answer in time, or cannot do it.
        GuestProtocolError: an InfrastructureError; the answer is not one of an honest agent.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        *,
        deadline_scale: float = 1.0,
        watches: Sequence[Watch] = (),
    ) -> None:
        self.line = QemuLine(connect, scale=deadline_scale, watches=watches)
        self._synced = False

    def wait_ready(self, deadline: Deadline | None = None) -> None:
        """Wait until the agent answers (120 s unless said), and see that it does what we need.

        Raises:
            SetupError: the image's agent lacks or blocks a command; names it.
        """
        deadline = deadline or self.line.deadline(READY_WITHIN)
        while True:
            self.line.open(deadline)
            try:
                self._sync(deadline)
                info = self.ask("guest-info", within=ANSWER_WITHIN)
                break
            except GuestProtocolError:
                raise
            except GuestUnreachable:
                if self.line.is_open or deadline.expired:
                    raise
                # Cut while we waited: a machine that is being started does that.
                pause(min(REOPEN_INTERVAL, deadline.remaining))
        check_allowed(info)

    def ask(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        within: float = ANSWER_WITHIN,
    ) -> Any:
        """Return what the agent answers to one command, of any type of JSON.

        Raises:
            GuestUnreachable: also when the agent refuses; says why.
        """
        deadline = self.line.deadline(within)
        if not self._synced:
            self._sync(deadline)
        self._synced = False
        request = {"execute": command, **({"arguments": dict(arguments)} if arguments else {})}
        if self.line.send(json.dumps(request).encode() + b"\n", deadline):
            answer = self._next_answer(deadline, command)
            if answer is not None:
                self._synced = True
                if "return" in answer:
                    return answer["return"]
                raise refused(command, answer["error"])
        raise GuestUnreachable(
            f"the QEMU guest agent did not answer {command}, in {deadline.seconds:.0f} seconds",
            hint="Look at the screen: does the guest hang?",
        )

    def execute(self, script: str, within: float = 60.0) -> tuple[int, bytes]:
        """Run a script of the guest's /bin/sh to its end; never raises because of its status.

        Args:
            within: seconds, stretched; the script is killed then, with everything it started.

        Returns:
            Its exit status (128 more than the signal that ended it), and what it wrote to standard
            output and standard error.
        """
        arguments = {
            "path": "/bin/sh",
            "arg": ["-c", _RUN, "sh", script],
            "capture-output": True,
        }
        answer = self.ask("guest-exec", arguments)
        pid = number(answer, "pid", "guest-exec", 1, 2**31 - 1)

        def look() -> tuple[int, bytes] | None:
            return ended(self.ask("guest-exec-status", {"pid": pid}))

        deadline = self.line.deadline(within)
        done = poll(look, deadline, interval=STATUS_INTERVAL, watches=self.line.watches)
        if done is not None:
            return done
        kill = {"path": "/bin/sh", "arg": ["-c", f"kill -9 -{pid}; kill -9 {pid}"]}
        self.ask("guest-exec", kill)
        raise GuestUnreachable(
            f"the command did not end within {deadline.seconds:.0f} seconds and was killed: "
            f"{quoted(script.strip(), 200)}"
        )

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file in the guest, in a folder that is there."""
        answer = self.ask("guest-file-open", {"path": path, "mode": "wb"})
        if type(answer) is not int:
            raise nonsense("guest-file-open", answer)
        handle = {"handle": answer}
        try:
            self._write(handle, data)
        except GuestUnreachable:
            if self._synced:  # else it does not answer, and waiting again would not help
                with contextlib.suppress(GuestUnreachable):
                    self.ask("guest-file-close", handle)
            raise
        self.ask("guest-file-close", handle)  # a full disk may show only here

    def _write(self, handle: dict[str, int], data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            piece = base64.b64encode(rest[:PIECE]).decode()
            answer = self.ask("guest-file-write", {**handle, "buf-b64": piece})
            rest = rest[number(answer, "count", "guest-file-write", 1, min(PIECE, len(rest))) :]

    def close(self) -> None:
        """Close the line; the agent goes on."""
        self._synced = False
        self.line.close()

    # -- parts of the above

    def _sync(self, deadline: Deadline) -> None:
        """Make sure that whatever comes next is new."""
        self._synced = False
        patience = PATIENCE[0]
        while True:
            fresh = secrets.randbelow(2**31 - 1) + 1
            request = {"execute": "guest-sync-delimited", "arguments": {"id": fresh}}
            # The sentinel also makes the agent forget half a request that came before.
            text = _SENTINEL + json.dumps(request).encode() + b"\n"
            turn = Deadline.after(min(patience * self.line.scale, deadline.remaining))
            if self.line.send(text, turn) and self._next_sync(turn, fresh):
                self._synced = True
                return
            if deadline.expired:
                raise GuestUnreachable(
                    f"nobody answered on the guest's port {QEMU_AGENT_PORT}, in "
                    f"{deadline.seconds:.0f} seconds",
                    hint="Has the image the package qemu-guest-agent, and has its service started?",
                )
            patience = min(patience * 2, PATIENCE[1])

    def _next_sync(self, deadline: Deadline, wanted: int) -> bool:
        """Skip lines until the answer to a synchronisation comes; False when it did not."""
        while (line := self.line.next_line(deadline, skip_long=True)) is not None:
            _before, found, text = line.rpartition(_SENTINEL)
            answer = parsed(text) if found else {}
            value = answer.get("return")
            if type(value) is int and value == wanted:
                return True
            if deadline.expired:  # there may always be one more line
                break
        return False

    def _next_answer(self, deadline: Deadline, command: str) -> dict[str, Any] | None:
        """Skip noise until an answer comes; None when it did not before the deadline."""
        noise = 0
        while (line := self.line.next_line(deadline)) is not None:
            answer = parsed(line)
            if "return" in answer or "error" in answer:
                return answer
            noise += len(line) + 1
            if noise > _NOISE_LIMIT:
                raise nonsense(command, line.decode("utf-8", "replace"))
            if deadline.expired:
                break
        return None
