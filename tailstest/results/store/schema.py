"""The version of a store's tables, and the way to the newest one (alembic)."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text

from tailstest.results.store.tables import SCHEMA

_VERSION_TABLE = "alembic_version"
#: Number of the lock of PostgreSQL that those take who make or change the tables: "tailstes" in
#: ASCII, so that nobody else who uses the database has the same by chance.
_LOCK = int.from_bytes(b"tailstes", "big")
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def schema_of(connection: Connection) -> str:
    """Return the version of the tables, "" when there are none."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return ""
    found = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()
    return str(found or "")


def make_tables(connection: Connection, *, version: str = "head") -> None:
    """Make all tables in an empty store, or those of an older version.

    Who comes while somebody else is at it waits, and then does nothing.
    """
    _take_turn(connection)
    if not schema_of(connection):
        _upgrade(connection, version)


def upgrade_tables(connection: Connection) -> None:
    """Bring tables of an older version up to date, within the transaction of the connection.

    Who comes while somebody else is at it waits, and then does nothing.
    """
    _take_turn(connection)
    if schema_of(connection) < SCHEMA:
        _upgrade(connection, "head")


def _take_turn(connection: Connection) -> None:
    """Wait until nobody else makes or changes the tables; holds until the transaction ends.

    Writers of SQLite take turns as it is. PostgreSQL lets two of them make the same table, and the
    second one fails when the first one is done.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def _upgrade(connection: Connection, version: str) -> None:
    # Most commands never need it, and it costs half a second to load.
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, version)
