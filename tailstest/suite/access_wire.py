"""How `tailstest vm` and a waiting run talk: JSON objects, one a line, over a Unix socket.

The run greets, the client asks once, the run answers until it is done. Bytes (what a command
writes, a picture) travel as base64 in lines of their own, so that no line is ever long.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import select
import socket
from collections.abc import Callable
from typing import Any

from tailstest.core.deadline import Deadline
from tailstest.core.errors import InfrastructureError

#: Version of this language; the first thing that a run says.
LANGUAGE = 1

#: Bytes of one line at most, and bytes of content that one line carries.
MAX_LINE, CHUNK = 1 << 20, 32 << 10

#: Milliseconds between two looks whether it is over, while the other side says nothing.
_LOOK = 200

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL | select.POLLRDHUP


class WireError(InfrastructureError):
    """The other side said something that is not of this language, or nothing in time."""


class PeerGone(WireError):
    """The other side has hung up."""


class Wire:
    """One end of a connection; one thread may send while another one receives.

    Args:
        connection: a connected socket; `close` closes it.
        check: called while waiting; what it raises ends the wait.
    """

    def __init__(self, connection: socket.socket, check: Callable[[], None] = lambda: None) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._check = check
        self._buffer = bytearray()
        self._searched = 0

    def send(self, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            PeerGone: nobody is there any more.
            WireError: it is too long.
        """
        data = memoryview(json.dumps(message).encode() + b"\n")
        if len(data) > MAX_LINE:
            raise WireError(f"a message of {len(data)} bytes is too long; {MAX_LINE} are allowed")
        while data:
            self._wait(select.POLLOUT, None)
            try:
                data = data[self._connection.send(data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise PeerGone("the other side has hung up") from error

    def send_bytes(self, name: str, data: bytes) -> None:
        """Send bytes of any length, as messages with the one key `name`."""
        for at in range(0, len(data), CHUNK):
            self.send({name: base64.b64encode(data[at : at + CHUNK]).decode("ascii")})

    def receive(self, within: float | None = None) -> dict[str, Any]:
        """Return the next message; wait for it.

        Args:
            within: seconds to wait; for ever if None.

        Raises:
            TimeoutError: none came in time.
            PeerGone: none will come.
            WireError: it is too long, or no JSON object.
        """
        deadline = None if within is None else Deadline.after(within)
        while (message := self._parsed()) is None:
            self._wait(select.POLLIN, deadline)
            self._read()
        return message

    def receive_now(self) -> dict[str, Any] | None:
        """Return the next message if it is there already; errors are those of `receive`."""
        message = self._parsed()
        if message is None and self._events(select.POLLIN, 0):
            self._read()
            message = self._parsed()
        return message

    def check_peer(self) -> None:
        """Raise PeerGone if the other side has hung up; what it said before does not matter."""
        if self._events(select.POLLRDHUP, 0) & _GONE:
            raise PeerGone("the other side has hung up")

    def send_last(self, message: dict[str, Any]) -> None:
        """Send a short message if that is possible at once, whatever `check` says."""
        with contextlib.suppress(OSError):
            self._connection.send(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _wait(self, event: int, deadline: Deadline | None) -> None:
        while not self._events(event, _LOOK):
            self._check()
            if deadline is not None and deadline.expired:
                raise TimeoutError(f"nothing was said for {deadline.seconds:.0f} s")
        self._check()

    def _events(self, event: int, milliseconds: int) -> int:
        poll = select.poll()
        poll.register(self._connection, event)
        return next((found for _file, found in poll.poll(milliseconds)), 0)

    def _read(self) -> None:
        try:
            new = self._connection.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            raise PeerGone("the other side has hung up") from error
        if not new:
            raise PeerGone("the other side has hung up")
        self._buffer += new

    def _parsed(self) -> dict[str, Any] | None:
        end = self._buffer.find(b"\n", self._searched)
        if max(end, len(self._buffer) if end < 0 else 0) > MAX_LINE:
            raise WireError(f"a message of more than {MAX_LINE} bytes was sent")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise WireError("something was sent that is no JSON") from error
        if not isinstance(message, dict):
            raise WireError("something was sent that is no JSON object")
        return message


def content(message: dict[str, Any], name: str) -> bytes:
    """Return the bytes that a message carries under `name`.

    Raises:
        WireError: they are not what `send_bytes` sends.
    """
    try:
        return base64.b64decode(message[name], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise WireError(f'the bytes of "{name}" were not sent as base64') from error
