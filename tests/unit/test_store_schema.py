"""The tables, their versions, and stores that cannot be used."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from store_tools import made_run, open_store

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.settings import Settings
from tailstest.results.store.adding import add_run
from tailstest.results.store.address import needed_address, shown_address
from tailstest.results.store.engine import PATIENCE, Store
from tailstest.results.store.reading import find_run
from tailstest.results.store.schema import MIGRATIONS, make_tables
from tailstest.results.store.sqlite_connection import PatientConnection
from tailstest.results.store.tables import CODES, SCHEMA, metadata


def old_store(file: Path, version: str) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        make_tables(connection, version=version)
    engine.dispose()


def test_migrations_make_exactly_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_newest_migration_is_the_version_that_the_program_knows() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA


def test_codes_of_verdicts_never_change() -> None:
    assert {str(verdict): code for verdict, code in CODES.items()} == {
        "passed": 0,
        "failed": 1,
        "errored": 2,
        "incomplete": 3,
        "skipped": 4,
        "not run": 5,
        "manual": 6,
    }


def test_a_new_store_is_private(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    assert stat.S_IMODE((tmp_path / "store.sqlite3").stat().st_mode) == 0o600


def test_an_older_store_is_refused_then_upgraded_with_all_that_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite3"
    old_store(file, "0001")
    with sqlite3.connect(file) as raw:
        raw.execute(
            "INSERT INTO scenarios (digest, key, name, feature, location) "
            "VALUES ('d', 'f#old', 'old', 'f', 'f:1')"
        )
    with pytest.raises(UsageError, match="older tailstest") as refused:
        open_store(tmp_path)
    assert refused.value.hint == "run once: tailstest store upgrade"
    store, before, copy = Store.upgraded(needed_address(Settings(), str(file)))
    with store, store.reading() as connection:
        assert before == "0001"
        assert connection.execute(text("SELECT name FROM scenarios")).scalar() == "old"
        assert connection.execute(text("SELECT count(*) FROM image_packages")).scalar() == 0
    assert copy is not None
    with sqlite3.connect(copy) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    with open_store(tmp_path) as again:
        add_run(again, made_run(1, {"a": "passed"}))


def test_a_store_that_is_up_to_date_is_left_alone_by_an_upgrade(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    store, before, copy = Store.upgraded(
        needed_address(Settings(), str(tmp_path / "store.sqlite3"))
    )
    store.close()
    assert (before, copy) == (SCHEMA, None)


def test_a_newer_store_is_refused_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite3"
    open_store(tmp_path).close()
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    for opened in (
        lambda: open_store(tmp_path),
        lambda: Store.upgraded(needed_address(Settings(), str(file))),
    ):
        with pytest.raises(UsageError, match="newer tailstest"):
            opened()
    with sqlite3.connect(file) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"no database " * 1000, "damaged"), (b"SQLite format 3\x00" + b"\xff" * 4000, "damaged")],
)
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "store.sqlite3"
    file.write_bytes(content)
    with pytest.raises(InfrastructureError, match=what) as error:
        open_store(tmp_path)
    assert str(file) in error.value.message
    assert "store add" in error.value.hint
    assert file.read_bytes() == content


def test_damage_in_the_middle_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {f"{n:04d}": "passed" for n in range(300)}))
    file = tmp_path / "store.sqlite3"
    data = bytearray(file.read_bytes())
    data[4096 * 3 :] = b"\xa5" * (len(data) - 4096 * 3)
    file.write_bytes(bytes(data))
    with pytest.raises(InfrastructureError, match="damaged"), open_store(tmp_path) as store:
        add_run(store, made_run(2, {"a": "passed"}))


def test_a_locked_store_is_named_after_the_patience(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_store(tmp_path, patience=0.05) as store:
        with pytest.raises(InfrastructureError, match="locked"):
            add_run(store, made_run(1, {"a": "passed"}))
        other.execute("ROLLBACK")
        add_run(store, made_run(1, {"a": "passed"}))


def test_who_waits_for_another_writer_hears_of_ctrl_c(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"a": "passed"}))
        other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        ctrl_c = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
        began = time.monotonic()
        ctrl_c.start()
        with pytest.raises(KeyboardInterrupt):
            add_run(store, made_run(2, {"a": "passed"}))
        assert time.monotonic() - began < PATIENCE / 3
        other.execute("ROLLBACK")
        with store.reading() as connection:
            assert find_run(connection, "latest").run_id == "run-1"
        add_run(store, made_run(2, {"a": "passed"}))


def test_a_commit_waits_for_readers_where_there_is_no_other_way(tmp_path: Path) -> None:
    """Some file systems cannot do write-ahead logs; there a reader hinders who commits."""
    file = tmp_path / "x.sqlite3"
    reader = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    reader.execute("CREATE TABLE x (y)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM x").fetchall()
    writer = sqlite3.connect(file, 20.0, factory=PatientConnection, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO x VALUES (1)")
    later = threading.Timer(0.3, reader.execute, ("COMMIT",))
    later.start()
    writer.commit()
    later.join()
    assert reader.execute("SELECT y FROM x").fetchall() == [(1,)]


def test_statements_without_a_cursor_of_their_own_are_patient_too(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite3"
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("CREATE TABLE x (y)")
    holder.execute("BEGIN EXCLUSIVE")
    waiting = sqlite3.connect(file, 20.0, factory=PatientConnection, isolation_level=None)
    later = threading.Timer(0.5, holder.execute, ("COMMIT",))
    later.start()
    assert waiting.execute("SELECT * FROM x").fetchall() == []
    later.join()


def test_a_reader_is_not_hindered_by_a_writer(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"a": "passed"}))
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_store(tmp_path, patience=0.05) as store, store.reading() as connection:
        assert find_run(connection, "latest").run_id == "run-1"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://host/x", "SQLite and PostgreSQL"),
        ("://", "no URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///x?mode=ro", "needs a file"),
    ],
)
def test_addresses_that_are_none(address: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        needed_address(Settings(), address)


def test_a_password_is_never_shown() -> None:
    url = needed_address(Settings(), "postgresql://qa:secret@db.example/results")
    assert shown_address(url) == "postgresql://qa:***@db.example/results"
    assert "secret" not in repr(Settings(store="postgresql://qa:secret@db.example/results"))


def test_a_command_that_asks_does_not_make_a_store(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        open_store(tmp_path, must_exist=True)
    assert not (tmp_path / "store.sqlite3").exists()


def test_asking_loads_no_migrations() -> None:
    code = "import sys, tailstest.cli.history; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
