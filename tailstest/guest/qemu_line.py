"""The port of QEMU's guest agent: lines in, lines out, bounded whatever the guest sends."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence

from tailstest.core.deadline import Deadline, Watch, poll
from tailstest.guest.errors import GuestProtocolError, GuestUnreachable

#: Name of the port inside the guest: the one at which qemu-ga listens unless told otherwise.
QEMU_AGENT_PORT = "org.qemu.guest_agent.0"

#: Seconds between two looks at the port.
LOOK_INTERVAL = 0.02

#: Bytes of the longest line that is taken from the guest; what we ask for is far shorter.
LINE_LIMIT = 1 << 20

#: Bytes that are taken from the port at once.
CHUNK = 65_536

#: Bytes that are kept of a line that is too long, while noise is skipped.
_KEPT = 1024


class QemuLine:
    """The socket of the port, as lines; for one thread.

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

    def deadline(self, seconds: float) -> Deadline:
        """Return a deadline `seconds` from now, stretched."""
        return Deadline.after(seconds, scale=self.scale)

    @property
    def is_open(self) -> bool:
        """Whether the port was open when it was last used."""
        return self._socket is not None

    def open(self, deadline: Deadline) -> None:
        """Open the port if it is not; wait until that is possible.

        Raises:
            GuestUnreachable: it could not be opened before the deadline.
        """
        if poll(self._try_to_open, deadline, interval=0.1, watches=self.watches) is None:
            raise GuestUnreachable(
                f"the port {QEMU_AGENT_PORT} of the machine cannot be opened, in "
                f"{deadline.seconds:.0f} seconds",
                hint='Is the machine running, and has it channel = "qemu-agent"?',
            )

    def _try_to_open(self) -> bool | None:
        if self._socket is None:
            try:
                self._socket = self._connect()
            except OSError:
                return None
            self._socket.setblocking(False)
        return True

    def send(self, data: bytes, deadline: Deadline) -> bool:
        """Send bytes; return False when the port did not take all of them before the deadline.

        Raises:
            GuestUnreachable: the port was closed.
        """
        rest = data

        def look() -> bool | None:
            nonlocal rest
            while rest:
                try:
                    rest = rest[self._opened().send(rest, socket.MSG_NOSIGNAL) :]
                except BlockingIOError:
                    return None
                except OSError:
                    raise self._lost() from None
            return True

        return poll(look, deadline, interval=LOOK_INTERVAL, watches=self.watches) is True

    def next_line(self, deadline: Deadline, *, skip_long: bool = False) -> bytes | None:
        """Wait for a line and return it without its end; None when the deadline passed.

        Args:
            skip_long: of a line that is too long, return the end instead of raising.

        Raises:
            GuestUnreachable: the port was closed.
            GuestProtocolError: an InfrastructureError; the line is longer than any that we ask for.
        """

        def look() -> bytes | None:
            line = self._take()
            if line is not None:
                return line
            self._read()
            line = self._take()
            if line is None and len(self._buffer) > LINE_LIMIT:
                if not skip_long:
                    self._buffer.clear()
                    raise GuestProtocolError(
                        f"the QEMU guest agent sent a line of more than {LINE_LIMIT} bytes"
                    )
                del self._buffer[:-_KEPT]
            return line

        return poll(look, deadline, interval=LOOK_INTERVAL, watches=self.watches)

    def _take(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _read(self) -> None:
        """Take what has come, without waiting and not more than a line may have."""
        while len(self._buffer) <= LINE_LIMIT:
            try:
                data = self._opened().recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                raise self._lost() from None
            if not data:
                raise self._lost()
            self._buffer += data

    def close(self) -> None:
        """Close the port; it is opened again when somebody waits for it."""
        port, self._socket = self._socket, None
        self._buffer.clear()
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
            f"the line to the QEMU guest agent ({QEMU_AGENT_PORT}) was closed",
            hint="The machine was stopped or crashed; look at the last picture.",
        )
