"""What goes and what stays."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from results_sample import Sample
from sqlalchemy import func, select
from store_tools import START, made_run, open_store

from tailstest.core.errors import UsageError
from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.store import retention
from tailstest.results.store.adding import add_run
from tailstest.results.store.engine import Store
from tailstest.results.store.marking import mark_kept, mark_release
from tailstest.results.store.reading import find_run, newest_runs
from tailstest.results.store.retention import Limits, compact, prune
from tailstest.results.store.run_rows import forget_run
from tailstest.results.store.tables import attempts, runs, steps


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def left(store: Store) -> list[str]:
    with store.reading() as connection:
        return [run.run_id for run in reversed(newest_runs(connection))]


def test_by_count_and_nothing_without_a_limit(store: Store) -> None:
    for number in range(6):
        add_run(store, made_run(number, {"a": "passed"}))
    assert prune(store, Limits()).runs == []
    assert prune(store, Limits(runs=2), is_trial=True).runs == ["run-3", "run-2", "run-1", "run-0"]
    assert len(left(store)) == 6
    prune(store, Limits(runs=2))
    assert left(store) == ["run-4", "run-5"]
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(attempts)).scalar() == 2
        assert connection.execute(select(func.count()).select_from(steps)).scalar() == 2
    compact(store)


def test_by_age_counted_from_the_newest_run_when_nobody_wrote_for_long(store: Store) -> None:
    for number in (0, 24 * 5, 24 * 10):  # hours
        add_run(store, made_run(number, {"a": "passed"}))
    assert time.time() - START > 20 * 86_400
    assert prune(store, Limits(days=7)).runs == ["run-0"]


def test_a_clock_far_ahead_does_not_empty_the_store(store: Store) -> None:
    now = time.time()
    for number, started in enumerate((now - 2 * 86_400, now - 86_400, now + 900 * 86_400)):
        add_run(store, made_run(number, {"a": "passed"}, started=started))
    assert prune(store, Limits(days=30)).runs == []


def test_releases_kept_ones_the_newest_and_living_runs_stay(store: Store) -> None:
    now = time.time()
    for number in range(5):
        alive = number == 3
        started = now - 3600 * (5 - number)
        add_run(store, made_run(number, {"a": "passed"}, started=started, is_finished=not alive))
    with store.reading() as connection:
        release, kept = find_run(connection, "run-0"), find_run(connection, "run-1")
    mark_release(store, release, "6.2")
    mark_kept(store, kept, True)
    found = prune(store, Limits(days=0))
    assert found.runs == ["run-2"]
    assert found.kept == {
        "run-0": "release 6.2",
        "run-1": "marked to be kept",
        "run-3": "it may be going on",
    } | ({"run-4": "the newest run"} if "run-4" in found.kept else {})
    with store.reading() as connection, pytest.raises(UsageError, match="marked as release"):
        mark_release(store, find_run(connection, "latest"), "6.2")


def test_the_last_good_and_the_first_bad_run_of_what_fails_now_stay(store: Store) -> None:
    for number, verdict in enumerate(["passed", "passed", "failed", "failed", "failed", "failed"]):
        add_run(store, made_run(number, {"a": verdict, "b": "passed"}))
    found = prune(store, Limits(runs=1))
    assert found.kept == {
        "run-1": "the last good run of a scenario that fails",
        "run-2": "the first bad run of a scenario that fails",
    }
    assert left(store) == ["run-1", "run-2", "run-5"]


def test_steps_go_before_results(store: Store) -> None:
    for number in range(4):
        add_run(store, made_run(number, {"a": "passed"}))
    assert prune(store, Limits(step_runs=1)).steps_of == ["run-2", "run-1", "run-0"]
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(steps)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(attempts)).scalar() == 4


def recorded(base: Path, store: Store) -> RunFolder:
    folder, events = RunFolder.create(base / "runs"), Events()
    with attach(events, folder, Settings()):
        Sample(folder, events).whole()
    add_run(store, load_run(folder), folder.path)
    return folder


def test_files_go_and_reports_and_results_stay(store: Store, tmp_path: Path) -> None:
    old, new = recorded(tmp_path, store), recorded(tmp_path, store)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("mine")
    (old.path / "frames" / "link").symlink_to(precious)
    (old.path / "shortcut").symlink_to(precious, target_is_directory=True)
    with store.writing() as connection:
        connection.execute(runs.update().values(hostname=socket.gethostname()))
        # Both began in the same second and fail alike; only the order counts here.
        connection.execute(runs.update().where(runs.c.run_id == old.run_id).values(position=1.0))
        connection.execute(attempts.update().values(verdict=0))
    trial = prune(store, Limits(file_runs=1), is_trial=True)
    assert trial.files_of == [old.run_id] and trial.bytes > 10_000
    assert (old.path / "frames").is_dir()
    found = prune(store, Limits(file_runs=1))
    assert (found.bytes, found.problems) == (trial.bytes, [])
    assert {path.name for path in old.path.iterdir()} == {
        "events.jsonl",
        "junit.xml",
        "report.html",
        "shortcut",
    }
    assert (precious / "thesis.txt").read_text() == "mine"
    assert (new.path / "frames").is_dir()
    assert prune(store, Limits(file_runs=1)).files_of == []


def test_files_of_another_host_or_another_run_are_left_alone(store: Store, tmp_path: Path) -> None:
    old, new = recorded(tmp_path, store), recorded(tmp_path, store)
    with store.writing() as connection:
        connection.execute(attempts.update().values(verdict=0))
        one = runs.update().where(runs.c.run_id == old.run_id)
        connection.execute(one.values(position=1.0, hostname="elsewhere"))
    assert "on the host elsewhere" in prune(store, Limits(file_runs=1), is_trial=True).problems[0]
    with store.writing() as connection:
        connection.execute(one.values(hostname="", folder=str(new.path)))
    assert "folder of another run" in prune(store, Limits(file_runs=1)).problems[0]
    assert (new.path / "frames").is_dir()


def test_what_happened_while_files_were_removed_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run was marked; another was removed, and a new one got its number."""
    for number in range(5):
        add_run(store, made_run(number, {"a": "passed"}, started=START - number))
    with store.writing() as connection:
        connection.execute(runs.update().where(runs.c.run_id == "run-1").values(has_files=True))
        kept, gone = find_run(connection, "run-2"), find_run(connection, "run-4")

    def meanwhile(*_values: object) -> None:
        mark_kept(store, kept, True)
        with store.writing() as connection:
            forget_run(connection, gone.id)
        add_run(store, made_run(5, {"a": "passed"}))

    monkeypatch.setattr(retention, "_remove_files", meanwhile)
    found = prune(store, Limits(runs=1))
    assert found.runs == ["run-1", "run-3"]
    assert found.kept == {"run-2": "marked to be kept"}
    assert left(store) == ["run-2", "run-0", "run-5"]
    with store.reading() as connection:
        assert find_run(connection, "run-5").id == gone.id
