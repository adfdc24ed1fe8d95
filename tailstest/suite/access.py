"""Lets other terminals act on the machine of a run that waits: the server of `tailstest vm`."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.core.text import shortened
from tailstest.suite.access_requests import Looked, Request, answer
from tailstest.suite.access_wire import LANGUAGE, PeerGone, Wire, WireError
from tailstest.suite.waiting_runs import WaitingRun

#: Seconds for a client to say what it wants.
_ASKED_WITHIN = 10.0

#: Seconds between two looks whether it is over.
_LOOK = 0.2

#: Seconds that the end waits for a request that cannot be broken off (a file is copied).
_PATIENCE = 15.0

#: Clients that may stand in line; they are served one after the other.
_LINE = 8

#: Characters of an error that are sent.
_SAID = 8000


class _LetGo(InfrastructureError):
    """The machine is needed, or goes away."""


class MachineAccess:
    """Serves requests while it is entered; one thread, one request at a time.

    Args:
        session: whose machine is looked at. Nothing else may touch it, but inside `exclusive`.
        run: how this run is called and where it is asked.
    """

    def __init__(self, session: Looked, run: WaitingRun) -> None:
        self.run = run
        self._session = session
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to listen.

        Raises:
            InfrastructureError: the socket cannot be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.run.address))
            self.run.address.chmod(0o600)
            listener.listen(_LINE)
            listener.settimeout(_LOOK)
            # Last: who finds the note finds somebody who answers.
            self.run.write()
        except OSError as error:
            listener.close()
            self.run.remove()
            raise InfrastructureError(
                f"cannot listen for other terminals at {self.run.address}: {error.strerror}"
            ) from error
        self._listener = listener
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="access", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Break off what is going on, and vanish."""
        self._stop.set()
        self.run.remove()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
        if self._listener is not None:
            self._listener.close()

    @contextlib.contextmanager
    def exclusive(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Keep requests away meanwhile.

        Args:
            waiting: called if one has to be waited for first.
        """
        if not self._turn.acquire(blocking=False):
            waiting()
            self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    def _serve(self, listener: socket.socket) -> None:
        while not self._stop.is_set():
            try:
                connection, _nobody = listener.accept()
            except OSError:  # nobody came for a while, or the one who came has left
                continue
            wire = Wire(connection, self._check)
            try:
                # Trouble with one client is no trouble of the run.
                with contextlib.suppress(WireError, TimeoutError, _LetGo):
                    self._answer(wire)
            finally:
                wire.close()

    def _answer(self, wire: Wire) -> None:
        try:
            wire.send({"tailstest": LANGUAGE})
            request = Request(wire.receive(_ASKED_WITHIN))
            with self._my_turn(wire):
                answer(request, wire, self._session, self._check)
        except (PeerGone, TimeoutError):
            raise
        except TailstestError as error:
            self._refuse(wire, error)
        except OSError as error:
            said = f"{error.filename or 'the host'}: {error.strerror}"
            self._refuse(wire, InfrastructureError(said))
        except Exception as error:  # noqa: BLE001 - the run must not end because of a request
            self._refuse(
                wire, InfrastructureError(f"a bug in tailstest: {type(error).__name__}: {error}")
            )

    @contextlib.contextmanager
    def _my_turn(self, wire: Wire) -> Iterator[None]:
        if not self._turn.acquire(blocking=False):
            wire.send({"note": "the prompt of the run is at work on the machine; waiting for it"})
            while not self._turn.acquire(timeout=_LOOK):
                self._check()
                wire.check_peer()
        try:
            yield
        finally:
            self._turn.release()

    def _refuse(self, wire: Wire, error: TailstestError) -> None:
        # What the guest could not do is not the failure of a check here.
        status = 3 if isinstance(error, InfrastructureError) else 2
        said: dict[str, Any] = {
            "status": status,
            "message": shortened(error.message, _SAID),
            "hint": shortened(error.hint, _SAID),
        }
        if isinstance(error, _LetGo):
            wire.send_last({"error": said})
        else:
            wire.send({"error": said})

    def _check(self) -> None:
        if self._stop.is_set():
            raise _LetGo("the run has let its machine go")


@contextlib.contextmanager
def open_access(
    session: Looked,
    folder: Path,
    state: str,
    say: Callable[[str], None],
) -> Iterator[MachineAccess | None]:
    """Serve requests meanwhile; None, after telling why, if that cannot be: it is only a help.

    Args:
        folder: of the run.
        state: see `WaitingRun`.
        say: told about trouble.
    """
    with contextlib.ExitStack() as stack:
        access: MachineAccess | None = None
        try:
            run = WaitingRun.of_this_process(folder, session.scenario, session.image, state)
            access = stack.enter_context(MachineAccess(session, run))
        except TailstestError as error:
            say(f"other terminals cannot reach the machine: {error}")
        yield access
