"""Where the store is: a URL, a file, or the user's own place."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tailstest.core.errors import SetupError, UsageError
from tailstest.core.paths import data_folder
from tailstest.core.settings import Settings

NONE = "none"
FILE_NAME = "results.sqlite3"
#: The only driver of PostgreSQL that is tested.
_POSTGRESQL_DRIVER = "postgresql+psycopg"
_EXAMPLES = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"


def store_address(settings: Settings, wanted: str | None = None) -> URL | None:
    """Return where results are kept.

    Args:
        settings: the field `store` counts where nothing is wanted.
        wanted: what `--store` said: a URL, the path of a SQLite file, "none", or None.

    Returns:
        None when results are not to be kept.

    Raises:
        UsageError: the text is no address of a store.
    """
    text = settings.store if wanted is None else wanted
    if text == NONE:
        return None
    if not text:
        return _file(Path(platformdirs.user_data_dir("tailstest")) / FILE_NAME)
    if "://" not in text:
        return _file(Path(text).absolute())
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise UsageError("the address of the store is no URL", hint=f"use {_EXAMPLES}") from error
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:" or url.query:
            raise UsageError("a SQLite store needs a file and nothing else", hint=_EXAMPLES)
        return _file(Path(url.database).absolute())
    if url.get_backend_name() == "postgresql":
        return url.set(drivername=_POSTGRESQL_DRIVER)
    raise UsageError(
        f'the store cannot be a "{url.get_backend_name()}"; SQLite and PostgreSQL are known',
        hint=f"use {_EXAMPLES}",
    )


def needed_address(settings: Settings, wanted: str | None = None) -> URL:
    """Return the same for commands that cannot do without a store.

    Raises:
        UsageError: it is switched off, or no address.
    """
    url = store_address(settings, wanted)
    if url is None:
        raise UsageError(
            "there is no store: it is switched off",
            hint='say --store URL; the setting or variable TAILSTEST_STORE is "none"',
        )
    return url


def make_own_folder(file: Path) -> None:
    """Make the user's data folder, if a store's file is to be in it; nobody else's folder.

    Raises:
        UsageError: it cannot be made.
    """
    if file.parent == Path(platformdirs.user_data_dir("tailstest")):
        data_folder()


def shown_address(url: URL) -> str:
    """Return the address as people may see it: a file's path, or a URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True).replace(_POSTGRESQL_DRIVER, "postgresql")


def check_driver() -> None:
    """Make sure that PostgreSQL can be spoken to.

    Raises:
        SetupError: psycopg is not installed.
    """
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise SetupError(
            "a store in PostgreSQL needs the Python package psycopg",
            hint='run: pip install "tailstest[postgresql]"',
        ) from error


def _file(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))
