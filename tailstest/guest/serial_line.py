"""A guest's serial port: bytes in, bytes out, and nothing taken for granted about either."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence

from tailstest.core.deadline import Deadline, Watch, pause, poll
from tailstest.core.text import printable
from tailstest.guest.errors import GuestUnreachable
from tailstest.guest.port_socket import LOOK_INTERVAL, PortSocket

#: Bytes of what came that are kept for searching; a longer answer is never asked for.
KEPT = 256 * 1024

#: Characters of what came that an error message shows.
SHOWN = 600

#: Bytes of a UART's first-in-first-out buffer, and the seconds in which a guest empties it.
FIFO = 16
FIFO_PAUSE = 0.002


class SerialLine(PortSocket):
    """The serial port of one guest; for one thread. See `PortSocket` for the other arguments.

    Args:
        connect: opens the socket.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        *,
        scale: float = 1.0,
        watches: Sequence[Watch] = (),
    ) -> None:
        super().__init__(connect, scale=scale, watches=watches)
        self._tail = b""  # the end of all that ever came, to show
        self._secrets: list[str] = []

    @property
    def pending(self) -> bytes:
        """What came and was not taken by `expect` or `discard`; the end of it if it is a lot."""
        return bytes(self._buffer)

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
                taken = self._send_some(rest[:FIFO] if gently else rest)
                if taken is None:
                    return None
                rest = rest[taken:]
                if gently:
                    pause(FIFO_PAUSE)
            return True

        poll(look, deadline, interval=LOOK_INTERVAL, watches=self.watches)

    def read(self) -> bool:
        """Take what has come, without waiting; return whether there was anything.

        Raises:
            GuestUnreachable: the port was closed.
        """
        data = self._receive_some(KEPT)
        if data is None:
            return False
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

    def never_opened(self, seconds: float) -> GuestUnreachable:
        """Return the error for a port that could not be opened within some seconds."""
        return GuestUnreachable(
            f"the guest's serial port cannot be opened, in {seconds:.0f} seconds",
            hint="Is the machine running, and does it have a serial port?",
        )

    def was_closed(self) -> GuestUnreachable:
        """Return the error for a port that was closed at the other end."""
        return GuestUnreachable(
            f"the guest's serial port was closed; {self.describe_seen()}",
            hint="The machine was stopped or crashed; look at the last picture.",
        )
