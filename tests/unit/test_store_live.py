"""A run is in the store as it happens, whatever happens to the run, to the store or to the disk."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from results_sample import HOSTILE, Sample
from sqlalchemy import select
from store_tools import made_run, open_store
from suite_tools import Ran, feature, make_suite, scenario

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.environment_view import CHANGED
from tailstest.results.event_log import read_events
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run
from tailstest.results.store import engine, live
from tailstest.results.store.adding import add_run
from tailstest.results.store.address import needed_address, store_address
from tailstest.results.store.attempt_reading import attempts_of_runs
from tailstest.results.store.image_contents import ImageContents
from tailstest.results.store.live import LiveStore
from tailstest.results.store.reading import find_run, scenarios_by_number
from tailstest.results.store.tables import steps
from tailstest.suite.plan import make_plan
from tailstest.suite.spread.shards import keep_shard

UNIT = Path(__file__).resolve().parent


def recorded(tmp_path: Path, *, killed: bool = False) -> tuple[RunFolder, Run]:
    """Record the sample run with a store beside it."""
    folder, events = RunFolder.create(tmp_path / "runs"), Events()
    address = needed_address(Settings(), str(tmp_path / "store.sqlite3"))
    keeper = LiveStore(address, folder.path, events)
    with attach(events, folder, Settings(), keeper=keeper) as recorder:
        Sample(folder, events).whole(killed=killed)
        return folder, recorder.close()


def kept(tmp_path: Path, run_id: str) -> dict[str, Verdict]:
    """Return what the store has of a run: name of a scenario to its last verdict."""
    with open_store(tmp_path) as store, store.reading() as connection:
        run = find_run(connection, run_id)
        attempts = attempts_of_runs(connection, [run.id])
        names = scenarios_by_number(connection, list(attempts))
    return {names[number].key: each[-1].verdict for number, each in attempts.items()}


def warnings(run: Run) -> list[str]:
    notes = [*run.notes, *(n for s in run.scenarios for a in s.attempts for n in a.notes)]
    notes += [n for s in run.scenarios for a in s.attempts for step in a.steps for n in step.notes]
    return [note.text for note in notes if note.level == "warning" and "the store" in note.text]


def test_what_is_stored_is_what_the_run_folder_says(tmp_path: Path) -> None:
    folder, _run = recorded(tmp_path)
    again = load_run(folder)
    assert kept(tmp_path, folder.run_id) == {s.id: s.verdict for s in again.scenarios}
    with open_store(tmp_path) as store, store.reading() as connection:
        run = find_run(connection, "latest")
        attempts = attempts_of_runs(connection, [run.id])
    assert (run.run_id, run.is_finished, run.exit_status) == (folder.run_id, True, 1)
    assert run.image_digest == "4be1" * 16
    assert run.folder == str(folder.path)
    assert run.problems == ("features/broken.feature:7: a step stands before any scenario",)
    assert sum(len(each) for each in attempts.values()) == 8


def test_a_killed_run_added_later_is_the_same_run(tmp_path: Path) -> None:
    folder, _run = recorded(tmp_path, killed=True)
    assert kept(tmp_path, folder.run_id)["killed"] is Verdict.INCOMPLETE
    assert kept(tmp_path, folder.run_id)["later"] is Verdict.NOT_RUN
    with open_store(tmp_path) as store:
        assert add_run(store, load_run(folder), folder.path)
        with store.reading() as connection:
            assert not find_run(connection, "latest").is_finished
    assert kept(tmp_path, folder.run_id)["killed"] is Verdict.INCOMPLETE


WRITER = """
import sys
from pathlib import Path
from results_sample import Sample
from tailstest.core.events import Events, PlanMade
from tailstest.core.settings import Settings
from tailstest.results.recorder import attach
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.address import needed_address
from tailstest.results.store.live import LiveStore

base, count, waits = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "wait"
folder, events = RunFolder.create(base / "runs"), Events()
url = needed_address(Settings(), str(base / "store.sqlite3"))
with attach(events, folder, Settings(), keeper=LiveStore(url, folder.path, events)) as recorder:
    sample = Sample(folder, events)
    sample.opening()
    for number in range(count):
        sample.start(f"s{number}", f"scenario {number}", ["it works"])
        sample.step(f"s{number}", 0, "it works")
        sample.end(f"s{number}", "passed")
        print(folder.run_id, number, flush=True)
    if waits:
        sample.start("last", "the last", ["it works"])
        print(folder.run_id, "waiting", flush=True)
        sys.stdin.read()
"""


def writer(tmp_path: Path, count: int, then: str = "end") -> subprocess.Popen[str]:
    top = UNIT.parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(count), then],
        env={**os.environ, "PYTHONPATH": f"{top}{os.pathsep}{UNIT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_writer_loses_nothing_that_was_reported(tmp_path: Path) -> None:
    process = writer(tmp_path, 7, "wait")
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(8)]
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert lines[-1][1] == "waiting"
    found = kept(tmp_path, lines[0][0])
    assert [found[f"s{number}"] for number in range(7)] == [Verdict.PASSED] * 7
    assert found["last"] is Verdict.INCOMPLETE


def test_several_writers_at_once_make_one_store_with_all_they_reported(tmp_path: Path) -> None:
    processes = [writer(tmp_path, 8) for _ in range(3)]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    for output in outputs:
        found = kept(tmp_path, output.split()[0])
        assert [found[f"s{number}"] for number in range(8)] == [Verdict.PASSED] * 8
    check = sqlite3.connect(tmp_path / "store.sqlite3").execute("PRAGMA integrity_check")
    assert check.fetchone() == ("ok",)


def spoiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, Run]:
    monkeypatch.setattr(live, "PATIENCE_OF_A_RUN", 0.1)
    return recorded(tmp_path)


def assert_told_once(folder: RunFolder, run: Run, *words: str) -> None:
    told = warnings(run)
    assert len(told) == 1, told
    for word in (*words, f"tailstest store add {folder.path}"):
        assert word in told[0]
    assert load_run(folder).counts == run.counts
    assert run.counts[Verdict.PASSED] == 1


def test_a_locked_store_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(tmp_path).close()
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    folder, run = spoiled(tmp_path, monkeypatch)
    other.execute("ROLLBACK")
    assert_told_once(folder, run, "is locked")
    with open_store(tmp_path) as store:
        assert not add_run(store, load_run(folder), folder.path)
    assert kept(tmp_path, folder.run_id)["pass"] is Verdict.PASSED


def test_a_damaged_store_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store.sqlite3").write_bytes(b"this is no database " * 500)
    folder, run = spoiled(tmp_path, monkeypatch)
    assert_told_once(folder, run, "damaged", "store.sqlite3")
    assert (tmp_path / "store.sqlite3").read_bytes().startswith(b"this is no database")


def test_a_store_of_a_newer_version_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.sqlite3") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    folder, run = spoiled(tmp_path, monkeypatch)
    assert_told_once(folder, run, "newer tailstest")


def test_a_mistake_of_ours_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_values: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr(live, "plan_run", broken)
    folder, run = spoiled(tmp_path, monkeypatch)
    assert_told_once(folder, run, "TypeError: a mistake")


@pytest.mark.parametrize("error", [InfrastructureError("duplicate key"), IndexError("a mistake")])
def test_a_run_is_kept_whatever_is_wrong_with_what_its_image_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_values: object) -> None:
        raise error

    monkeypatch.setattr(live, "kept_contents", lambda _folder, _digest: ImageContents())
    monkeypatch.setattr(live, "store_contents", broken)
    folder, run = recorded(tmp_path)
    assert warnings(run) == []
    (told,) = [note.text for note in run.notes if "what the image is made of" in note.text]
    assert str(error) in told
    assert kept(tmp_path, folder.run_id)["pass"] is Verdict.PASSED


def test_a_home_that_cannot_be_written_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    address = store_address(Settings(store=""))
    assert address is not None
    folder, events = RunFolder.create(tmp_path / "runs"), Events()
    keeper = LiveStore(address, folder.path, events)
    with attach(events, folder, Settings(), keeper=keeper) as recorder:
        Sample(folder, events).whole()
        run = recorder.close()
    assert_told_once(folder, run)


def test_scores_of_matches_are_kept_with_their_steps(tmp_path: Path) -> None:
    recorded(tmp_path)
    with open_store(tmp_path) as store, store.reading() as connection:
        scores = connection.execute(select(steps.c.score).where(steps.c.score.is_not(None)))
        assert sorted(scores.scalars()) == [0.88, 0.992]


def test_a_run_with_changed_guests_is_not_one_of_that_image(tmp_path: Path) -> None:
    run = made_run(1, {"a": "passed"}, image="a")
    run.environment = {**run.environment, CHANGED: ["x"]}
    with open_store(tmp_path) as store:
        add_run(store, run)
        with store.reading() as connection:
            assert find_run(connection, "latest").image_digest == "a" * 64 + "+changes"


def test_a_store_without_a_folder_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "nowhere" / "store.sqlite3")
    folder, events = RunFolder.create(tmp_path / "runs"), Events()
    keeper = LiveStore(needed_address(Settings(), address), folder.path, events)
    with attach(events, folder, Settings(), keeper=keeper) as recorder:
        Sample(folder, events).whole()
        run = recorder.close()
    assert_told_once(folder, run, "cannot be made")


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from test_store_live import recorded, warnings
from sqlalchemy import select
from store_tools import made_run, open_store
from pathlib import Path
base = Path(sys.argv[1])
open_store(base).close()
# No file may grow beyond this: the write-ahead log reaches it in the middle of the run.
limit = (base / "store.sqlite3").stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
folder, run = recorded(base)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for text in warnings(run):
    print(text)
print(folder.run_id, run.counts["passed"], len(run.scenarios))
"""


def test_a_full_disk_is_one_warning_and_the_store_stays_whole(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), "20000"],
        env={**os.environ, "PYTHONPATH": f"{UNIT.parents[1]}{os.pathsep}{UNIT}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *told, last = done.stdout.splitlines()
    assert len(told) == 1, told
    assert "cannot grow" in told[0] and "store add" in told[0]
    run_id, passed, total = last.split()
    assert (passed, total) == ("1", "8")
    with sqlite3.connect(tmp_path / "store.sqlite3") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    folder = RunFolder.open(tmp_path / "runs" / run_id)
    with open_store(tmp_path) as store:
        add_run(store, load_run(folder), folder.path)
    assert len(kept(tmp_path, run_id)) == 8


def test_names_in_any_script_and_hostile_ones_are_kept(tmp_path: Path) -> None:
    folder, events = RunFolder.create(tmp_path / "runs"), Events()
    address = needed_address(Settings(), str(tmp_path / "store.sqlite3"))
    names = ["キーボード", "Přihlášení", "שלום", "🙂", "🙃", "a\x00b", "\ud800 alone", HOSTILE, ""]
    with attach(events, folder, Settings(), keeper=LiveStore(address, folder.path, events)) as done:
        sample = Sample(folder, events)
        sample.opening()
        for name in names:
            sample.start(f"f#{name}", name, [name])
            sample.step(f"f#{name}", 0, name, verdict="failed", error=name or "no reason")
            sample.end(f"f#{name}", "failed", name)
        run = done.close()
    assert [text for text in warnings(run) if "store add" in text] == []
    found = kept(tmp_path, folder.run_id)
    assert {f"f#{name}" for name in names[:5]} <= set(found)
    assert len([key for key in found if key.startswith("f#")]) == len(names)


def test_a_clock_that_was_put_back_does_not_change_the_order_of_runs(tmp_path: Path) -> None:
    addresses = needed_address(Settings(), str(tmp_path / "store.sqlite3"))
    for day in (2_000_000_000.0, 1_000_000_000.0):
        folder, events = RunFolder.create(tmp_path / "runs"), Events()
        with attach(events, folder, Settings(), keeper=LiveStore(addresses, folder.path, events)):
            sample = Sample(folder, events)
            sample.now = day
            sample.whole()
    with open_store(tmp_path) as store, store.reading() as connection:
        assert find_run(connection, "latest").started < 1_500_000_000
        assert find_run(connection, "latest~1").started > 1_500_000_000


def test_no_store_is_made_where_none_is_wanted() -> None:
    assert store_address(Settings(store="none")) is None
    assert store_address(Settings(), "none") is None


def test_tests_never_write_into_the_users_store() -> None:
    assert os.environ["TAILSTEST_STORE"] == "none"


def test_a_manual_scenario_is_planned_told_and_counted(tmp_path: Path) -> None:
    text = feature(
        scenario("machine", "Given I pass"),
        "@manual",
        scenario("by hand", "To automate: ears", "", "Given a person", "Then they hear something"),
        "@skip",
        scenario("never", "Given I pass"),
    )
    ran = Ran([make_suite(tmp_path, x=text)])
    assert ran.verdicts == {"machine": Verdict.PASSED, "by hand": Verdict.MANUAL}
    assert (ran.plan.problems, ran.result.exit_status) == ([], 0)
    told = {each.verdict: each.error for each in ran.of("ScenarioFinished")}
    assert told["manual"] == "to be done by a person; to automate it: ears"
    (plan,) = ran.of("RunFinished")
    assert plan.counts == {"passed": 1, "manual": 1}
    event = ran.plan.event()
    assert [each["by"] for each in event.excluded] == ["suite"]
    assert [each["tags"] for each in event.scenarios] == ["", "manual"]


def test_only_manual_scenarios_are_no_success(tmp_path: Path) -> None:
    text = feature("@manual", scenario("by hand", "Given a person"))
    assert Ran([make_suite(tmp_path, x=text)]).result.exit_status == 2


def test_what_a_run_did_not_ask_for_is_not_written(tmp_path: Path) -> None:
    text = feature(scenario("a", "Given I pass"), "@x", scenario("b", "Given I pass"))
    ran = Ran([make_suite(tmp_path, x=text)], tags="@x")
    assert [each["by"] for each in ran.plan.event().excluded] == ["choice"]


def test_what_another_shard_runs_is_not_written_as_left_out(tmp_path: Path) -> None:
    text = feature(scenario("a", "Given I pass"), scenario("b", "Given I pass"))
    plan = make_plan([str(make_suite(tmp_path, x=text))])
    keep_shard(plan, "1/2")
    (excluded,) = plan.event().excluded
    assert (excluded["by"], len(plan.scenarios)) == ("choice", 1)


def test_the_engine_waits_for_another_writer(tmp_path: Path) -> None:
    """The patience of a run is one of its store, not only a number."""
    open_store(tmp_path).close()
    other = sqlite3.connect(
        tmp_path / "store.sqlite3", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    process = writer(tmp_path, 1)
    begun = tmp_path / "runs"
    assert poll(lambda: list(begun.glob("*/events.jsonl")) or None, Deadline.after(60))
    other.execute("ROLLBACK")
    output = process.communicate(timeout=60)[0]
    assert kept(tmp_path, output.split()[0])["s0"] is Verdict.PASSED
    assert engine.PATIENCE_OF_A_RUN >= 1
    assert read_events(next((tmp_path / "runs").glob("2*/events.jsonl"))).events
