"""The socket to a guest's port: one thread that reads, many that send."""

from __future__ import annotations

import contextlib
import json
import secrets
import select
import socket
import threading
from collections.abc import Callable, Mapping, Sequence

from tailstest.core.deadline import Deadline, Watch
from tailstest.guest.answers import AgentInfo
from tailstest.guest.errors import GuestUnreachable
from tailstest.guest.exchange import Exchange, Store
from tailstest.guest.frames import FILLER, VERSION, Frame, FrameReader, Kind, encode

#: Seconds between two greetings of a guest that does not answer yet.
HELLO_INTERVAL = 0.5

#: Every how many greetings a filler goes along, in case a half frame stands before them.
FILLER_EVERY = 4


def line_closed() -> GuestUnreachable:
    """Return the error for a line that is gone."""
    return GuestUnreachable(
        "the line to the guest's agent was closed",
        hint="The machine was stopped or crashed; look at the last picture and the serial log.",
    )


def not_reading() -> GuestUnreachable:
    """Return the error for a guest that takes nothing."""
    return GuestUnreachable(
        "the guest's agent does not read what we send",
        hint="The agent is not running, or the guest hangs.",
    )


class Connection:
    """Frames over one socket. After `lost` became true it never works again."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        self._socket = sock
        self._epoch = 0
        self._next_request = 1
        self._exchanges: dict[int, Exchange] = {}
        self._lock = threading.Lock()  # guards what is above
        self._writing = threading.Lock()
        self._unsent = b""  # the rest of a frame that the socket did not take in time
        self.lost = False
        self._thread = threading.Thread(target=self._read, name="guest-agent", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the line; everything that waits fails."""
        with contextlib.suppress(OSError):  # the other side may have been faster
            self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._socket.close()

    # -- requests

    def greet(self, deadline: Deadline, watches: Sequence[Watch]) -> AgentInfo:
        """Greet with a new epoch until the agent answers; everything older is over.

        Raises:
            GuestUnreachable: no answer before the deadline, or the line was closed.
            GuestProtocolError: an answer that no agent of this version gives.
        """
        epoch = secrets.randbelow(2**32 - 1) + 1
        exchange = Exchange(self._sender(0, epoch), {}, watches)
        with self._lock:
            old, self._exchanges = self._exchanges, {0: exchange}
            self._epoch = epoch
            if self.lost:
                exchange.fail(line_closed())
        for other in old.values():
            other.fail(GuestUnreachable("the guest's agent was greeted anew meanwhile"))
        attempt = 0
        while True:
            attempt += 1
            self._say_hello(epoch, filler=attempt % FILLER_EVERY == 0)
            pause = Deadline.after(min(HELLO_INTERVAL, deadline.remaining))
            if exchange.wait(lambda: False, pause) and exchange.result is not None:
                return AgentInfo.parse(exchange.result)
            if deadline.expired:
                raise GuestUnreachable(
                    f"the agent in the guest did not answer in {deadline.seconds:.0f} seconds",
                    hint="Look at the screen: has the guest started, and does it run the agent?",
                )

    def _say_hello(self, epoch: int, *, filler: bool) -> None:
        """Greet if the line takes it at once; else it is full of greetings already."""
        payload = json.dumps({"version": VERSION, "filler": filler}).encode()
        hello = encode(Frame(Kind.HELLO, epoch, 0, payload))
        try:
            self._send_bytes((FILLER if filler else b"") + hello, Deadline.after(0.0))
        except GuestUnreachable:
            if self.lost:
                raise

    def open(
        self, stores: Mapping[Kind, Store], watches: Sequence[Watch]
    ) -> tuple[Exchange, Callable[[], None]]:
        """Return a new exchange and what to call when its caller is done with it."""
        with self._lock:
            request = self._next_request
            self._next_request = request % (2**32 - 1) + 1
            exchange = Exchange(self._sender(request, self._epoch), stores, watches)
            if self.lost:
                exchange.fail(line_closed())
            self._exchanges[request] = exchange

        def forget() -> None:
            with self._lock:
                if self._exchanges.get(request) is exchange:
                    del self._exchanges[request]

        return exchange, forget

    def _sender(self, request: int, epoch: int) -> Callable[[Kind, bytes, Deadline], None]:
        def send(kind: Kind, payload: bytes, deadline: Deadline) -> None:
            self._send_bytes(encode(Frame(kind, epoch, request, payload)), deadline)

        return send

    # -- sending

    def _send_bytes(self, data: bytes, deadline: Deadline) -> None:
        if not self._writing.acquire(timeout=deadline.remaining):
            raise not_reading()
        try:
            if not self._flush(deadline):
                raise not_reading()
            self._unsent = data
            if not self._flush(deadline):
                if len(self._unsent) == len(data):
                    self._unsent = b""  # nothing of it is on its way: not sent at all
                raise not_reading()
        finally:
            self._writing.release()

    def _flush(self, deadline: Deadline) -> bool:
        """Send what is unsent; return False when the socket did not take all of it in time."""
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        while self._unsent:
            try:
                count = self._socket.send(self._unsent, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                self._unsent = self._unsent[count:]
            except BlockingIOError:
                if deadline.expired:
                    return False
                poller.poll(max(1, int(min(deadline.remaining, 0.5) * 1000)))
            except OSError:
                self._lose()
                raise line_closed() from None
            if self.lost:
                raise line_closed()
        return True

    # -- reading

    def _read(self) -> None:
        reader = FrameReader()
        try:
            while data := self._socket.recv(65_536):
                for frame in reader.feed(data):
                    self._dispatch(frame)
        except OSError:
            pass  # a line that was cut; said to everyone who waits, below
        finally:
            self._lose()

    def _dispatch(self, frame: Frame) -> None:
        with self._lock:
            exchange = self._exchanges.get(frame.request)
            if frame.epoch != self._epoch or exchange is None:
                return
        exchange.receive(frame.kind, frame.payload)

    def _lose(self) -> None:
        with self._lock:
            self.lost = True
            exchanges = list(self._exchanges.values())
        for exchange in exchanges:
            exchange.fail(line_closed())
