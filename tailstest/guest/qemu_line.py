"""The port of QEMU's guest agent: lines in, lines out, bounded whatever the guest sends."""

from __future__ import annotations

from tailstest.core.deadline import Deadline, poll
from tailstest.guest.errors import GuestProtocolError, GuestUnreachable
from tailstest.guest.port_socket import LOOK_INTERVAL, PortSocket

#: Name of the port inside the guest: the one at which qemu-ga listens unless told otherwise.
QEMU_AGENT_PORT = "org.qemu.guest_agent.0"

#: Bytes of the longest line that is taken from the guest; what we ask for is far shorter.
LINE_LIMIT = 1 << 20

#: Bytes that are taken from the port at once.
CHUNK = 65_536

#: Bytes that are kept of a line that is too long, while noise is skipped.
_KEPT = 1024


class QemuLine(PortSocket):
    """The socket of the port, as lines; for one thread. See `PortSocket` for its arguments."""

    def send(self, data: bytes, deadline: Deadline) -> bool:
        """Send bytes; return False when the port did not take all of them before the deadline.

        Raises:
            GuestUnreachable: the port was closed.
        """
        rest = data

        def look() -> bool | None:
            nonlocal rest
            while rest:
                taken = self._send_some(rest)
                if taken is None:
                    return None
                rest = rest[taken:]
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
            data = self._receive_some(CHUNK)
            if data is None:
                return
            self._buffer += data

    def close(self) -> None:
        """Close the port; it is opened again when somebody waits for it."""
        super().close()
        self._buffer.clear()  # half a line means nothing to who comes next

    def never_opened(self, seconds: float) -> GuestUnreachable:
        """Return the error for a port that could not be opened within some seconds."""
        return GuestUnreachable(
            f"the port {QEMU_AGENT_PORT} of the machine cannot be opened, in {seconds:.0f} seconds",
            hint='Is the machine running, and has it channel = "qemu-agent"?',
        )

    def was_closed(self) -> GuestUnreachable:
        """Return the error for a port that was closed at the other end."""
        return GuestUnreachable(
            f"the line to the QEMU guest agent ({QEMU_AGENT_PORT}) was closed",
            hint="The machine was stopped or crashed; look at the last picture.",
        )
