"""Connections to a SQLite store: safe against power cuts, and patient with another writer."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event

from tailstest.core.deadline import Deadline, pause

T = TypeVar("T")

#: Seconds that SQLite may wait by itself: Python hears of a signal (Ctrl-C) only between two waits.
_STEP = 0.1
#: Seconds between two waits; where it sees a deadlock SQLite does not wait at all.
_BETWEEN = 0.01
#: Waiting does not help a reader that wants to write what somebody has changed since it read
#: (https://www.sqlite.org/rescode.html#busy_snapshot).
_IN_VAIN = sqlite3.SQLITE_BUSY_SNAPSHOT


class PatientConnection(sqlite3.Connection):
    """A connection that waits for other writers in short steps, so that Ctrl-C ends the wait.

    Args:
        database: the file.
        timeout: seconds to wait in all.
        options: as for `sqlite3.connect`.
    """

    def __init__(self, database: str, timeout: float = 5.0, **options: Any) -> None:
        self._patience = timeout
        super().__init__(database, timeout=min(timeout, _STEP), **options)

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor that is as patient."""
        return super().cursor(factory or _PatientCursor)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run a statement; the original would make a cursor that is not patient."""
        return self.cursor().execute(sql, parameters)

    def commit(self) -> None:
        """Commit; a transaction whose COMMIT found the file busy is still open."""
        self.patiently(super().commit)

    def patiently(self, action: Callable[[], T]) -> T:
        """Return what `action` returns; it is tried again while somebody else has the file.

        Raises:
            sqlite3.OperationalError: somebody has had it for too long, or something else is wrong.
        """
        deadline = Deadline.after(self._patience)
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                code = error.sqlite_errorcode
                if code & 0xFF != sqlite3.SQLITE_BUSY or code == _IN_VAIN or deadline.expired:
                    raise
            pause(min(_BETWEEN, deadline.remaining))


class _PatientCursor(sqlite3.Cursor):
    """Tries single statements again; many at once are part of a transaction that has its turn."""

    connection: PatientConnection

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run a statement."""
        run = super().execute
        return self.connection.patiently(lambda: run(sql, parameters))


def prepare(engine: Engine) -> None:
    """Let an engine begin transactions as a store needs them, and lose none."""
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)


def _set_up(connection: Any, _record: object) -> None:
    """Prepare a connection: we begin transactions ourselves, and none is lost."""
    connection.isolation_level = None
    # Readers and a writer do not hinder one another (https://www.sqlite.org/wal.html). Where a
    # file system cannot do that, SQLite keeps its old way, which is slower and as safe.
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with contextlib.suppress(sqlite3.OperationalError):  # somebody is writing; next time
            connection.execute("PRAGMA journal_mode = WAL")
    # On disk when a transaction ends: a killed process or a power cut takes nothing back.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -65536")


def _begin(connection: Connection) -> None:
    # A writer asks for its turn at once: two that read first and write later would end in "locked".
    is_writing = connection.get_execution_options().get("is_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
