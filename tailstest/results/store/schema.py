"""The version of a store's tables, and the way to the newest one (alembic)."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection, inspect, text

_VERSION_TABLE = "alembic_version"
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def schema_of(connection: Connection) -> str:
    """Return the version of the tables, "" when there are none."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return ""
    found = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()
    return str(found or "")


def make_tables(connection: Connection, *, version: str = "head") -> None:
    """Make all tables in an empty store, or those of an older version."""
    _upgrade(connection, version)


def upgrade_tables(connection: Connection) -> None:
    """Bring tables of an older version up to date, within the transaction of the connection."""
    _upgrade(connection, "head")


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
