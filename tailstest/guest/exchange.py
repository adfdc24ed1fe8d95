"""One request and everything that the guest answers to it."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import IO, Protocol

from tailstest.core.deadline import Deadline, Watch
from tailstest.core.errors import TailstestError
from tailstest.guest.answers import parse_error
from tailstest.guest.errors import GuestProtocolError
from tailstest.guest.frames import MAX_PAYLOAD, WINDOW, Kind

#: Sends a frame's kind and payload for this request before the deadline.
Send = Callable[[Kind, bytes, Deadline], None]

#: Seconds between two calls of the watches while nothing arrives.
WATCH_INTERVAL = 0.25


class Store(Protocol):
    """Where the bytes of one stream go; called by the thread that reads the line."""

    def add(self, data: bytes) -> None:
        """Keep bytes; raises GuestProtocolError above the limit, OSError if the disk is full."""


class ByteStore:
    """Bytes in memory; also remembers how many of them were read."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self._limit = limit
        self._taken = 0

    def add(self, data: bytes) -> None:
        """Keep bytes."""
        if len(self.data) + len(data) > self._limit:
            raise over_limit(self._limit)
        self.data += data

    @property
    def has_new(self) -> bool:
        """Whether there are bytes that `take` did not return yet."""
        return len(self.data) > self._taken

    def take(self, *, line: bool = False) -> bytes:
        """Return the bytes that came since the last call; with `line` at most one whole line."""
        end = len(self.data)
        if line:
            end = self.data.find(b"\n", self._taken) + 1 or self._taken
        new = bytes(self.data[self._taken : end])
        self._taken = end
        return new


class FileStore:
    """Bytes in an open file, with their digest."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self.size = 0
        self.digest = hashlib.blake2b()
        self.limit = limit
        self._file = file

    def add(self, data: bytes) -> None:
        """Write bytes."""
        self.size += len(data)
        if self.size > self.limit:
            raise over_limit(self.limit)
        self.digest.update(data)
        self._file.write(data)


def over_limit(limit: int) -> GuestProtocolError:
    """Return the error for a guest that sends more than it was asked for."""
    return GuestProtocolError(f"the guest's agent sent more than the limit of {limit} bytes")


class Exchange:
    """The state of one request; filled by the reader's thread, waited for by the caller's."""

    def __init__(
        self, send: Send, stores: Mapping[Kind, Store], watches: Sequence[Watch] = ()
    ) -> None:
        self.changed = threading.Condition()
        self.started = False
        self.result: bytes | None = None
        self.failure: TailstestError | None = None
        self._send = send
        self._stores = stores
        self._watches = watches
        self._outstanding = 0

    @property
    def over(self) -> bool:
        """Whether nothing will come any more."""
        return self.result is not None or self.failure is not None

    def receive(self, kind: int, payload: bytes) -> None:
        """Take a frame from the guest."""
        with self.changed:
            if self.over:
                return
            try:
                self._take(kind, payload)
            except GuestProtocolError as error:
                self.failure = error
            except (OSError, ValueError) as error:  # ValueError: the file was closed meanwhile
                self.failure = GuestProtocolError(f"cannot keep what the guest sends: {error}")
            self.changed.notify_all()

    def _take(self, kind: int, payload: bytes) -> None:
        if kind in (Kind.RESULT, Kind.HELLO_ANSWER):
            self.result = payload
        elif kind == Kind.ERROR:
            self.failure = parse_error(payload)
        elif kind == Kind.STARTED:
            self.started = True
        elif kind == Kind.CREDIT:
            count = struct.unpack(">I", payload)[0] if len(payload) == 4 else WINDOW + 1
            if count > self._outstanding:
                raise GuestProtocolError("the guest's agent says it took more than we sent")
            self._outstanding -= count
        else:
            store = self._stores.get(Kind(kind)) if kind in _STREAMS else None
            if store is None:
                raise GuestProtocolError(f"the guest's agent sent a frame of kind {kind} here")
            store.add(payload)

    def fail(self, error: TailstestError) -> None:
        """End the request, unless it is over already."""
        with self.changed:
            if not self.over:
                self.failure = error
            self.changed.notify_all()

    def wait(
        self, ready: Callable[[], bool], deadline: Deadline, watches: Sequence[Watch] = ()
    ) -> bool:
        """Wait until `ready` holds or the request is over; return False when the time is up.

        Raises:
            TailstestError: what ended the request, or what a watch raised.
        """
        all_watches = (*self._watches, *watches)
        while True:
            with self.changed:
                done = ready() or self.over
                if not done and not deadline.expired:
                    slice_ = min(deadline.remaining, WATCH_INTERVAL)
                    self.changed.wait(slice_)
                    done = ready() or self.over
            for watch in all_watches:
                watch()
            if self.failure is not None:
                raise self.failure
            if done or deadline.expired:
                return done

    def send(self, kind: Kind, payload: bytes, deadline: Deadline) -> None:
        """Send a frame that belongs to this request.

        Raises:
            GuestUnreachable: the guest does not read, or the line is closed.
        """
        self._send(kind, payload, deadline)

    def send_stream(
        self, chunks: Iterable[bytes], deadline: Deadline, watches: Sequence[Watch] = ()
    ) -> bool:
        """Send bytes as fast as the guest takes them; return False when the time is up.

        Stops early, with True, when the request is over before everything was sent: a command
        need not read all of its input.
        """
        for chunk in chunks:
            assert len(chunk) <= MAX_PAYLOAD
            fits = partial(self._has_credit, len(chunk))
            if not self.wait(fits, deadline, watches):
                return False
            if self.over:
                return True
            with self.changed:
                self._outstanding += len(chunk)
            self.send(Kind.DATA, chunk, deadline)
        return True

    def _has_credit(self, count: int) -> bool:
        return self._outstanding + count <= WINDOW


_STREAMS = frozenset({Kind.STDOUT, Kind.STDERR, Kind.CONTENT})
