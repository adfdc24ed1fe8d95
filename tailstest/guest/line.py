"""The line to the agent of one guest: opened, greeted, and opened again when it was cut."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tailstest.core.deadline import POLL_INTERVAL, Deadline, Watch, pause
from tailstest.guest.answers import AgentInfo, Answer
from tailstest.guest.connection import Connection
from tailstest.guest.errors import (
    EpochUnknown,
    GuestProtocolError,
    GuestUnreachable,
    GuestUsageError,
)
from tailstest.guest.exchange import Exchange, Store
from tailstest.guest.frames import MAX_PAYLOAD, Kind

#: Seconds in which the agent must answer a small request, before stretching.
ANSWER_WITHIN = 20.0

#: Seconds in which a line that was greeted before must answer; else it is greeted anew.
STILL_THERE_WITHIN = 5.0

#: Seconds, before stretching, after which a socket on which no greeting is answered is opened anew.
REOPEN_AFTER = 15.0


@dataclass(frozen=True)
class Call:
    """A request that the agent has begun."""

    exchange: Exchange
    forget: Callable[[], None]

    def give_up(self) -> None:
        """Tell the agent, if it listens, that nobody waits for this any more."""
        with contextlib.suppress(GuestUnreachable):
            self.exchange.send(Kind.KILL, b"", Deadline.after(0.0))
        self.forget()


class Line:
    """Begins requests; safe for several threads.

    Args:
        connect: opens the socket of the guest's port; an OSError means "not there yet".
        scale: how much slower than usual the host is; stretches every limit.
        watches: called in every wait; one that raises ends it.
    """

    def __init__(
        self, connect: Callable[[], socket.socket], scale: float, watches: Sequence[Watch]
    ) -> None:
        self.scale = scale
        self.watches = tuple(watches)
        self._connect = connect
        self._lock = threading.RLock()  # held while greeting; guards what follows
        self._connection: Connection | None = None
        self._info: AgentInfo | None = None
        self._generation = 0  # counts greetings
        self._closed = False

    def deadline(self, seconds: float) -> Deadline:
        """Return a deadline `seconds` from now, stretched."""
        return Deadline.after(seconds, scale=self.scale)

    def wait_ready(self, deadline: Deadline) -> AgentInfo:
        """Return who answers; greet anew if the agent we knew does not.

        Raises:
            GuestUnreachable: nobody answered before the deadline.
        """
        with self._lock:
            if self._info is not None and self._connection is not None:
                soon = Deadline.after(min(STILL_THERE_WITHIN * self.scale, deadline.remaining))
                with contextlib.suppress(GuestUnreachable):
                    self._ask_once(self._connection, {"op": "ping"}, soon)
                    return self._info
            return self._greet(deadline)

    def _greet(self, deadline: Deadline) -> AgentInfo:
        self._info = None
        while True:
            connection = self._opened()
            try:
                if connection is not None:
                    soon = min(REOPEN_AFTER * self.scale, deadline.remaining)
                    self._info = connection.greet(Deadline.after(soon), self.watches)
                    self._generation += 1
                    return self._info
                for watch in self.watches:
                    watch()
            except GuestProtocolError:
                raise
            except GuestUnreachable as error:
                if deadline.expired and connection is not None and not connection.lost:
                    raise GuestUnreachable(
                        f"the agent in the guest did not answer in {deadline.seconds:.0f} seconds",
                        hint=error.hint,
                    ) from None
                if deadline.expired or connection is None:
                    raise
                # What was sent before there was an agent may be lost for good on this socket.
                connection.close()
                self._connection = None
            if deadline.expired:
                raise GuestUnreachable(
                    f"the port of the guest's agent cannot be opened, in {deadline.seconds:.0f} "
                    "seconds",
                    hint="Is the machine running, and does it have the agent's port?",
                )
            pause(min(2 * POLL_INTERVAL, deadline.remaining))

    def _opened(self) -> Connection | None:
        if self._closed:
            raise GuestUsageError("the channel to the guest was closed already")
        if self._connection is not None and self._connection.lost:
            self._connection.close()
            self._connection = None
        if self._connection is None:
            try:
                self._connection = Connection(self._connect())
            except OSError:
                return None
        return self._connection

    def begin(
        self,
        body: Mapping[str, object],
        deadline: Deadline,
        stores: Mapping[Kind, Store] | None = None,
    ) -> Call:
        """Send a request and wait until the agent has begun it or answered it.

        An agent that was restarted since it was greeted says so without doing anything; it is
        greeted and asked once more.

        Raises:
            GuestUnreachable: no answer before the deadline.
            TailstestError: what the agent answered.
        """
        payload = json.dumps(body).encode()
        if len(payload) > MAX_PAYLOAD:
            raise GuestUsageError(
                f"the command or path is too long: {len(payload)} bytes of {MAX_PAYLOAD}",
                hint="Put a long text into a file of the guest, or give it as input.",
            )
        connection, generation = self._ready(deadline, stale=0)
        try:
            return self._begin_once(connection, payload, deadline, stores or {})
        except EpochUnknown:
            connection, _ = self._ready(deadline, stale=generation)
        return self._begin_once(connection, payload, deadline, stores or {})

    def _ready(self, deadline: Deadline, *, stale: int) -> tuple[Connection, int]:
        """Return a greeted connection and the number of its greeting, which is not `stale`."""
        with self._lock:
            lost = self._connection is None or self._connection.lost
            if lost or self._info is None or self._generation == stale:
                self._greet(deadline)
            assert self._connection is not None
            return self._connection, self._generation

    def _begin_once(
        self,
        connection: Connection,
        payload: bytes,
        deadline: Deadline,
        stores: Mapping[Kind, Store],
    ) -> Call:
        exchange, forget = connection.open(stores, self.watches)
        call = Call(exchange, forget)
        try:
            exchange.send(Kind.REQUEST, payload, deadline)
            if not exchange.wait(lambda: exchange.started, deadline):
                raise too_late("answer", deadline)
        except BaseException:
            call.give_up()
            raise
        return call

    def _ask_once(
        self, connection: Connection, body: Mapping[str, object], deadline: Deadline
    ) -> bytes:
        call = self._begin_once(connection, json.dumps(body).encode(), deadline, {})
        return finish(call, deadline)

    def ask(self, body: Mapping[str, object], deadline: Deadline | None = None) -> Answer:
        """Send a small request and return its answer."""
        deadline = deadline or self.deadline(ANSWER_WITHIN)
        return Answer(finish(self.begin(body, deadline), deadline))

    def close(self) -> None:
        """Close the line; what waits on it fails."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.close()


def finish(call: Call, deadline: Deadline) -> bytes:
    """Wait for the result of a call, and return it.

    Raises:
        GuestUnreachable: it did not come before the deadline; the agent is told to stop.
    """
    try:
        if not call.exchange.wait(lambda: False, deadline):
            raise too_late("finish", deadline)
    except BaseException:
        call.give_up()
        raise
    call.forget()
    assert call.exchange.result is not None
    return call.exchange.result


def too_late(what: str, deadline: Deadline) -> GuestUnreachable:
    """Return the error for an agent that let a deadline pass."""
    return GuestUnreachable(
        f"the agent in the guest did not {what} within {deadline.seconds:.0f} seconds",
        hint="The guest hangs, is very slow, or its agent was stopped.",
    )
