"""The store in a real PostgreSQL server that lives as long as these tests."""

from __future__ import annotations

import datetime
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from site_tools import fill_store, record_two_runs, tree_of, troubles
from sqlalchemy import URL, create_engine, text
from store_tools import made_run, open_store

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.answers.compare import compare_runs
from tailstest.results.answers.flaky import flaky_scenarios
from tailstest.results.answers.forecast import forecast
from tailstest.results.answers.history import history_of
from tailstest.results.answers.slow import slow_ones
from tailstest.results.gate.judging import judge_runs
from tailstest.results.gate.policy import Policy
from tailstest.results.run_builder import load_run
from tailstest.results.site.build import build_site
from tailstest.results.store.adding import add_run
from tailstest.results.store.address import needed_address
from tailstest.results.store.by_hand import record_by_hand
from tailstest.results.store.engine import Store
from tailstest.results.store.image_contents import ImageContents, contents_of, write_contents
from tailstest.results.store.marking import mark_release
from tailstest.results.store.reading import find_run, find_scenario, newest_runs
from tailstest.results.store.retention import Limits, prune
from tailstest.results.store.schema import make_tables
from tailstest.results.store.tables import metadata

TODAY = datetime.date(2026, 11, 26)
#: Where Debian puts the server's programs, outside of PATH.
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="needs the package postgresql")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server that listens on a socket in a folder of its own, and nowhere else."""
    program = PROGRAMS[-1].parent
    # Short, because sockets have short names; and a place that another user may enter.
    folder = Path(mkdtemp(prefix="tt-pg-", dir="/tmp"))
    # The server refuses to run as root.
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        user = {"user": "postgres", "group": owner.pw_gid, "extra_groups": []}
    data = folder / "data"
    made = [program / "initdb", "-D", data, "-U", "qa", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **user)  # type: ignore[call-overload]
    quick = ["-c", "fsync=off", "-c", "listen_addresses=", "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [program / "postgres", "-D", data, *quick], cwd=folder, stderr=log, stdout=log, **user
        )
    try:
        ready = [program / "pg_isready", "-h", folder, "-U", "qa"]
        assert poll(
            lambda: subprocess.run(ready, check=False, capture_output=True).returncode == 0 or None,
            Deadline.after(120),
        ), (folder / "log").read_text()
        yield f"postgresql://qa@/postgres?host={folder}"
    finally:
        process.send_signal(signal.SIGINT)  # at once, whoever is connected
        process.wait(60)
        rmtree(folder)


@pytest.fixture
def store(server: str) -> Iterator[Store]:
    with Store(needed_address(Settings(), server)) as opened:
        yield opened
        with opened.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())


def new_database(server: str, name: str) -> URL:
    """Make an empty database on the server and return its address."""
    url = needed_address(Settings(), server)
    root = create_engine(url, isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    root.dispose()
    return url.set(database=name)


class Meanwhile(threading.Thread):
    """Does something beside the test."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action = action
        self._errors: list[BaseException] = []

    def run(self) -> None:
        try:
            self._action()
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            self._errors.append(error)

    def end(self) -> None:
        """Wait for it; raise what it raised."""
        self.join()
        if self._errors:
            raise self._errors[0]


def wait_until_somebody_waits(store: Store) -> None:
    """Wait until a transaction on the server waits for another one."""
    wanted = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    def look() -> bool | None:
        with store.engine.connect() as connection:
            return bool(connection.execute(wanted).scalar_one()) or None

    assert poll(look, Deadline.after(60))


def test_a_command_that_asks_finds_no_store_in_an_empty_database(server: str) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        Store(needed_address(Settings(), server), must_exist=True)


def test_migrations_make_the_same_tables(store: Store) -> None:
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_an_older_store_is_refused_then_upgraded(server: str) -> None:
    old = new_database(server, "old")
    engine = create_engine(old)
    with engine.begin() as connection:
        make_tables(connection, version="0001")
    engine.dispose()
    with pytest.raises(UsageError, match="older tailstest"):
        Store(old)
    store, before, copy = Store.upgraded(old)
    with store:
        assert (before, copy) == ("0001", None)
        add_run(store, made_run(1, {"a": "passed"}))


def test_every_answer_is_given(store: Store) -> None:
    names = {
        "キーボード": ["failed", "passed"],
        "b": "passed",
        "hand": "manual",
        "n\x00ul": "failed",
    }
    tags = {"hand": ["manual"]}
    first = made_run(1, {**names, "b": "failed"}, image="a", tags=tags)
    add_run(store, first)
    add_run(store, made_run(2, names, image="a", tags=tags, machines={"b": ["uefi usb"]}))
    assert add_run(store, first)
    with store.reading() as connection:
        old, hand = find_run(connection, "run-1"), find_scenario(connection, "hand")
        latest = find_run(connection, "latest")
    assert latest.run_id == "run-2"
    mark_release(store, old, "6.2")
    record_by_hand(store, latest.id, hand.id, Verdict.PASSED, person="Ana", note="")
    assert history_of(store, "hand", limit=9, today=TODAY).entries[0].person == "Ana"
    flakes, _runs = flaky_scenarios(store, last=10)
    assert {flake.scenario.name for flake in flakes} == {"キーボード", "b"}
    found = compare_runs(store, "6.2", "latest", today=TODAY)
    assert {each.scenario.name for each in found.newly_passing} == {"b"}
    assert slow_ones(store, last=5, count=5, of_steps=True)[0][0].title == "Then it works"
    assert forecast(store, ["features/b.feature#b", "?"]).unknown == ("?",)
    result = judge_runs(store, Policy(), ("latest",), TODAY)
    assert [rule.name for rule in result.rules if not rule.passed] == ["flakes"]
    pruned = prune(store, Limits(runs=1))
    assert pruned.kept == {"run-1": "release 6.2"}


def test_writers_at_once_lose_nothing(store: Store, server: str) -> None:
    def write(number: int) -> None:
        with Store(needed_address(Settings(), server)) as own:
            add_run(own, made_run(number, {f"s{n}": "failed" for n in range(30)}))

    writers = [Meanwhile(partial(write, number)) for number in range(6)]
    for each in writers:
        each.start()
    for each in writers:
        each.end()
    with store.reading() as connection:
        assert find_run(connection, "latest~5").run_id.startswith("run-")
    assert history_of(store, "s7", limit=9, today=TODAY).runs == 6


def test_who_finds_the_tables_half_made_waits_for_them(store: Store, server: str) -> None:
    fresh = new_database(server, "fresh")
    engine = create_engine(fresh)
    opened = Meanwhile(lambda: Store(fresh).close())
    with engine.begin() as connection:
        make_tables(connection)
        opened.start()
        wait_until_somebody_waits(store)
    opened.end()
    engine.dispose()
    with Store(fresh) as made:
        assert not add_run(made, made_run(1, {"a": "passed"}))


def test_an_image_that_two_runs_read_at_once_is_kept_once(store: Store) -> None:
    add_run(store, made_run(1, {"a": "passed"}, image="a"))
    with store.reading() as connection:
        image = find_run(connection, "latest").image_id
    assert image is not None
    contents = ImageContents("6.1", {"tor": "0.4.8"}, "/list", {"/a": (1, "x")})

    def write() -> None:
        with store.writing() as connection:
            write_contents(connection, image, contents)

    second = Meanwhile(write)
    with store.writing() as connection:
        write_contents(connection, image, contents)
        second.start()
        wait_until_somebody_waits(store)
    second.end()
    with store.reading() as connection:
        assert contents_of(connection, image) == contents


def test_who_reads_sees_one_state_of_the_store(store: Store) -> None:
    add_run(store, made_run(1, {"a": "failed"}))
    with store.reading() as connection:
        before = newest_runs(connection)
        add_run(store, made_run(2, {"a": "failed"}))
        assert newest_runs(connection) == before
    with store.reading() as connection:
        assert len(newest_runs(connection)) == 2


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    url = needed_address(Settings(), "postgresql://qa:secret@localhost:1/none")
    with pytest.raises(InfrastructureError) as error:
        Store(url, patience=1)
    assert "secret" not in str(error.value)
    assert "postgresql://qa:***@localhost:1/none" in str(error.value)


def test_a_site_says_the_same_from_either_kind_of_store(store: Store, tmp_path: Path) -> None:
    runs = record_two_runs(tmp_path)
    with open_store(tmp_path) as file:
        for run in runs:
            add_run(store, load_run(run), run.path)
        for each, name in ((store, "served"), (file, "kept")):
            fill_store(each)
            output = tmp_path / name / "site"
            build_site(each, output, folders=[tmp_path], today=TODAY, now=1_790_100_000.0)
    served, kept = tmp_path / "served" / "site", tmp_path / "kept" / "site"
    assert troubles(served) == []
    names = sorted(page.relative_to(kept) for page in kept.rglob("*.html"))
    assert names == sorted(page.relative_to(served) for page in served.rglob("*.html"))
    for name in names:
        assert tree_of(served / name).text_content() == tree_of(kept / name).text_content()
