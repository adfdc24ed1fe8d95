"""A port of a guest as a stream socket of the host: opening, waiting, sending, closing."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from tailstest.core.deadline import Deadline, Watch, poll
from tailstest.guest.errors import GuestUnreachable

#: Seconds between two looks at the port: a request and its answer take a few of them.
LOOK_INTERVAL = 0.02


class PortSocket(ABC):
    """The socket of one port; for one thread.

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
            raise self.never_opened(deadline.seconds)

    def close(self) -> None:
        """Close the port; it is opened again when somebody waits for it."""
        port, self._socket = self._socket, None
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()

    @abstractmethod
    def never_opened(self, seconds: float) -> GuestUnreachable:
        """Return the error for a port that could not be opened within some seconds."""

    @abstractmethod
    def was_closed(self) -> GuestUnreachable:
        """Return the error for a port that was closed at the other end."""

    def _send_some(self, data: bytes) -> int | None:
        """Return how many bytes the port took now; None if it takes nothing at the moment."""
        try:
            return self._opened().send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return None
        except OSError:
            raise self._lost() from None

    def _receive_some(self, most: int) -> bytes | None:
        """Return what has come, up to `most` bytes; None if nothing has."""
        try:
            data = self._opened().recv(most)
        except BlockingIOError:
            return None
        except OSError:
            raise self._lost() from None
        if not data:
            raise self._lost()
        return data

    def _try_to_open(self) -> bool | None:
        if self._socket is None:
            try:
                self._socket = self._connect()
            except OSError:
                return None
            self._socket.setblocking(False)
        return True

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise self._lost()
        return self._socket

    def _lost(self) -> GuestUnreachable:
        self.close()
        return self.was_closed()
