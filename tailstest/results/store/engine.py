"""Connections to the store, and what its errors mean to a person."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.core.text import printable
from tailstest.results.store.address import check_driver, make_own_folder, shown_address
from tailstest.results.store.schema import make_tables, schema_of, upgrade_tables
from tailstest.results.store.sqlite_connection import PatientConnection, prepare
from tailstest.results.store.tables import SCHEMA

#: Seconds to wait for another writer. A writer holds the store for milliseconds; one that holds
#: it longer than this hangs.
PATIENCE = 15.0
#: Seconds that a run waits for it, whose machine waits meanwhile: once, then it does without.
PATIENCE_OF_A_RUN = PATIENCE

# Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: Extended codes of a write that had no room: the file may not grow (EFBIG, a limit) or the disk
#: has no space for it.
_NO_ROOM = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
)


class Store:
    """A store of results; use it as a context manager or call `close`.

    Args:
        url: from `store_address`.
        patience: seconds to wait for another writer.
        must_exist: do not make a store that is not there.

    Raises:
        UsageError: there is none, or its tables are of another version of this program.
        InfrastructureError: it cannot be reached, is damaged, locked, or its disk is full.
        SetupError: PostgreSQL is wanted, and its driver is not installed.
    """

    def __init__(self, url: URL, *, patience: float = PATIENCE, must_exist: bool = False) -> None:
        self.url = url
        self.name = shown_address(url)
        self.engine = self._engine(patience, must_exist)
        try:
            with self.told():
                self._check_schema(must_exist)
        except BaseException:
            self.close()
            raise

    @classmethod
    def upgraded(cls, url: URL) -> tuple[Store, str, Path | None]:
        """Open a store of an older version and bring its tables up to date.

        Returns:
            The store, the version it had, and the copy made of a SQLite file before, if it was
            changed at all.

        Raises:
            UsageError, InfrastructureError, SetupError: as for opening one.
        """
        store = cls.__new__(cls)
        store.url, store.name = url, shown_address(url)
        store.engine = store._engine(PATIENCE, must_exist=True)
        copy = None
        try:
            with store.told():
                with store.engine.connect() as connection:
                    before = schema_of(connection)
                if before and before < SCHEMA:
                    copy = store._copy(before)
                    with store.writing() as connection:
                        upgrade_tables(connection)
                store._check_schema(must_exist=True)
        except BaseException:
            store.close()
            raise
        return store, before, copy

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; may be called twice."""
        self.engine.dispose()

    @property
    def is_file(self) -> bool:
        """Whether it is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the store.

        Raises:
            InfrastructureError: the store fails meanwhile.
        """
        options = {} if self.is_file else {"isolation_level": "REPEATABLE READ"}
        with (
            self.told(),
            self.engine.connect().execution_options(**options) as connection,
        ):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection whose changes are on disk when the block ends, all or none.

        Raises:
            InfrastructureError: the store fails; nothing has changed.
        """
        options = {"is_writing": True}
        with (
            self.told(),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what the database says into an error for people."""
        try:
            yield
        except DBAPIError as error:
            raise _explained(error.orig or error, self.name) from error
        except sqlite3.Error as error:
            raise _explained(error, self.name) from error
        except SQLAlchemyError as error:
            raise InfrastructureError(f"the store {self.name}: {printable(str(error))}") from error

    def _engine(self, patience: float, must_exist: bool) -> Engine:
        if not self.is_file:
            check_driver()
            wait = max(2, round(patience))
            return create_engine(
                self.url,
                connect_args={
                    "connect_timeout": wait,
                    "options": f"-c lock_timeout={wait * 1000} -c statement_timeout=300000",
                },
                pool_pre_ping=True,
            )
        file = Path(str(self.url.database))
        self._check_file(file, must_exist)
        # Threads take turns (the recorder has a lock), so one connection may serve several.
        options = {
            "timeout": patience,
            "check_same_thread": False,
            "factory": PatientConnection,
        }
        engine = create_engine(self.url, connect_args=options)
        prepare(engine)
        return engine

    def _check_file(self, file: Path, must_exist: bool) -> None:
        try:
            if must_exist and not file.exists():
                raise UsageError(
                    f"there is no store {file} yet",
                    hint="`tailstest run` makes it, or add a run: tailstest store add RUN",
                )
            if file.is_dir():
                raise UsageError(f"the store {file} is a folder", hint="name a file in it")
            if not file.exists():
                make_own_folder(file)
                # Results hold names of hosts and paths; nobody else needs to read them.
                os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise InfrastructureError(
                f"the store {file} cannot be made: {error.strerror}",
                hint="make its folder, or say another place with --store",
            ) from error

    def _check_schema(self, must_exist: bool) -> None:
        with self.engine.connect() as connection:
            found = schema_of(connection)
        if not found:
            if must_exist and not self.is_file:
                raise UsageError(
                    f"there is no store in {self.name} yet",
                    hint="`tailstest run --store URL` makes it",
                )
            with self.writing() as connection:
                make_tables(connection)
                found = schema_of(connection)  # somebody may have been quicker
        if found > SCHEMA:
            raise UsageError(
                f"the store {self.name} was made by a newer tailstest (its tables are version "
                f"{found}, this one knows {SCHEMA})",
                hint="install that version here, or say another store with --store",
            )
        if found < SCHEMA:
            raise UsageError(
                f"the store {self.name} was made by an older tailstest (its tables are version "
                f"{found}, this one needs {SCHEMA})",
                hint="run once: tailstest store upgrade",
            )

    def _copy(self, version: str) -> Path | None:
        """Copy a SQLite store as it is, beside itself."""
        if not self.is_file:
            return None
        file = Path(str(self.url.database))
        copy = file.with_name(f"{file.name}.version-{version}")
        copy.unlink(missing_ok=True)
        with self.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("VACUUM INTO ?", (str(copy),))
        copy.chmod(0o600)
        return copy


def _explained(error: BaseException, name: str) -> TailstestError:
    code = getattr(error, "sqlite_errorcode", None)
    said = printable(str(error)).strip().splitlines()
    text = said[0] if said else type(error).__name__
    primary = code & 0xFF if code is not None else None
    if primary in _BUSY or getattr(error, "sqlstate", None) in ("55P03", "40P01"):
        return InfrastructureError(
            f"the store {name} is locked: another program has been writing to it for too long",
            hint="wait for it or end it, then try again",
        )
    if primary in _DAMAGED:
        return InfrastructureError(
            f"the store {name} is damaged, or no store at all: {text}",
            hint="move it away and add the runs whose folders you have: tailstest store add RUN",
        )
    if code in _NO_ROOM:
        return InfrastructureError(
            f"the store {name} cannot grow: the disk is full ({text})",
            hint="free some space, or run: tailstest store prune",
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return InfrastructureError(
            f"the store {name} cannot be opened for writing: {text}",
            hint="look at the permissions of the file and its folder, or say another --store",
        )
    return InfrastructureError(
        f"the store {name}: {text}", hint="look at the message; another place: --store URL"
    )
