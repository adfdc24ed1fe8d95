"""A guest's serial port: bytes in, bytes out, and nothing taken for granted about either."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Sequence

from tailstest.core.deadline import Deadline, Watch, pause, poll
from tailstest.core.text import printable
from tailstest.guest.errors import GuestUnreachable

#: Seconds between two looks at the port: a request and its answer take a few of them.
LOOK_INTERVAL = 0.02

#: Bytes of what came that are kept for searching; a longer answer is never asked for.
KEPT = 256 * 1024

#: Characters of what came that an error message shows.
SHOWN = 600

#: Bytes of a UART's first-in-first-out buffer, and the seconds in which a guest empties it.
FIFO = 16
FIFO_PAUSE = 0.002


class SerialLine:
    """The serial port of one guest, as a stream socket of the host; for one thread.

    Args:
        connect: opens the socket; called again after the line was cut. An OSError means that the
            port is not there yet.
        scale: how much slower than usual this host is (>= 1); stretches every limit.
        watches: called in every wait; one that raises ends it (the machine has stopped).
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        *,
        scale: float = 1.0,
        watches: Sequence[Watch] = (),
    ) -> None:
        self.scale = scale
        self.watches = tuple(watches)
        self._connect = connect
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._tail = b""  # the end of all that ever came, to show
        self._secrets: list[str] = []

    def deadline(self, seconds: float) -> Deadline:
        """Return a deadline `seconds` from now, stretched."""
        return Deadline.after(seconds, scale=self.scale)

    @property
    def is_open(self) -> bool:
        """Whether the port was open when it was last used."""
        return self._socket is not None

    @property
    def pending(self) -> bytes:
        """What came and was not taken by `expect` or `discard`; the end of it if it is a lot."""
        return bytes(self._buffer)

    def open(self, deadline: Deadline) -> None:
        """Open the port if it is not; wait until that is possible.

        Raises:
            GuestUnreachable: it could not be opened before the deadline.
        """
        if poll(self._try_to_open, deadline, interval=0.1, watches=self.watches) is None:
            raise GuestUnreachable(
                f"the guest's serial port cannot be opened, in {deadline.seconds:.0f} seconds",
                hint="Is the machine running, and does it have a serial port?",
            )

    def _try_to_open(self) -> bool | None:
        if self._socket is None:
            try:
                self._socket = self._connect()
            except OSError:
                return None
            self._socket.setblocking(False)
        return True

    def send(self, data: bytes, deadline: Deadline, *, gently: bool = False) -> None:
        """Send bytes; what the port does not take before the deadline is dropped.

        A guest that takes nothing will not answer either, which is for the caller to notice.

        Args:
            gently: not more at once than a UART holds, for a guest that loses characters.

        Raises:
            GuestUnreachable: the port was closed.
        """
        rest = data

        def look() -> bool | None:
            nonlocal rest
            while rest:
                self.read()  # a port whose output nobody takes may stop taking input
                slice_ = rest[:FIFO] if gently else rest
                try:
                    rest = rest[self._opened().send(slice_, socket.MSG_NOSIGNAL) :]
                except BlockingIOError:
                    return None
                except OSError:
                    raise self._lost() from None
                if gently:
                    pause(FIFO_PAUSE)
            return True

        poll(look, deadline, interval=LOOK_INTERVAL, watches=self.watches)

    def read(self) -> bool:
        """Take what has come, without waiting; return whether there was anything.

        Raises:
            GuestUnreachable: the port was closed.
        """
        try:
            data = self._opened().recv(KEPT)
        except BlockingIOError:
            return False
        except OSError:
            raise self._lost() from None
        if not data:
            raise self._lost()
        self._buffer += data
        del self._buffer[:-KEPT]
        self._tail = (self._tail + data)[-4 * SHOWN :]
        return True

    def expect(self, pattern: re.Pattern[bytes], deadline: Deadline) -> re.Match[bytes] | None:
        """Wait until the pattern is in what has come; take everything up to its end.

        Returns:
            The match, or None when the deadline passed.

        Raises:
            GuestUnreachable: the port was closed.
        """

        def look() -> re.Match[bytes] | None:
            self.read()
            found = pattern.search(bytes(self._buffer))
            if found is not None:
                del self._buffer[: found.end()]
            return found

        return poll(look, deadline, interval=LOOK_INTERVAL, watches=self.watches)

    def discard(self) -> None:
        """Forget what has come."""
        self._buffer.clear()

    def hide(self, secret: str) -> None:
        """Never show this text in what was seen."""
        if secret:
            self._secrets.append(secret)

    def seen(self) -> str:
        """Return the end of what has come, safe to show."""
        text = printable(self._tail.decode("utf-8", "replace"))
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = text.replace("\\x0d", "").strip()
        return f"...{text[-SHOWN:]}" if len(text) > SHOWN else text

    def describe_seen(self) -> str:
        """Return the end of a sentence about what came from the port."""
        seen = self.seen()
        return f"what was seen on the serial port: {seen}" if seen else "nothing came from it"

    def close(self) -> None:
        """Close the port; it is opened again when somebody waits for it."""
        port, self._socket = self._socket, None
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise self._lost()
        return self._socket

    def _lost(self) -> GuestUnreachable:
        self.close()
        return GuestUnreachable(
            f"the guest's serial port was closed; {self.describe_seen()}",
            hint="The machine was stopped or crashed; look at the last picture.",
        )
