"""The commands that ask the store, as a person and a machine use them."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from results_sample import HOSTILE, Sample
from store_tools import made_run, open_store

from tailstest.cli.main import tailstest
from tailstest.core.errors import UsageError
from tailstest.core.events import Events, Looked
from tailstest.core.settings import Settings
from tailstest.results.answers.history import history_of
from tailstest.results.recorder import attach
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.adding import add_run
from tailstest.results.store.address import needed_address
from tailstest.results.store.live import LiveStore


class Commands:
    """Runs commands on one store, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store.sqlite3"

    def __call__(self, *words: str) -> Result:
        result = CliRunner().invoke(
            tailstest, list(words), env={"TAILSTEST_STORE": str(self.store)}, standalone_mode=False
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *words: str) -> dict[str, object]:
        value = json.loads(self(*words, "--json").stdout)
        assert isinstance(value, dict)
        return value


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(tmp_path)


@pytest.fixture
def filled(command: Commands, tmp_path: Path) -> Commands:
    with open_store(tmp_path) as store:
        names = {"キー": "passed", "hand": "manual", HOSTILE: "passed"}
        add_run(store, made_run(1, names, image="a", tags={"hand": ["manual"]}))
        names |= {"キー": "failed", HOSTILE: ["failed", "passed"]}
        add_run(store, made_run(2, names, image="a", tags={"hand": ["manual"]}))
    return command


def test_a_person_gets_tables_and_no_terminal_codes(filled: Commands) -> None:
    for words, seen in (
        (("history", "キー"), ["✗ failed", "run-2", "fails since run-2; last good run: run-1"]),
        (("compare", "run-1", "run-2"), ["newly failing: 1", "キー", "new flakes: 1"]),
        (("flaky",), ["1 of 3", "2 flaky scenarios in 2 runs"]),
        (("slow", "--steps"), ["Then it works"]),
        (("store", "info"), ["2 runs", "run-2"]),
    ):
        printed = filled(*words).output
        for text in seen:
            assert text in printed, printed
        assert not set(printed) & {"\x1b", "\x00", "\x07", "\u202e"}


def test_a_machine_gets_json(filled: Commands) -> None:
    history = filled.json("history", "キー")
    assert [each["verdict"] for each in history["entries"]] == ["failed", "passed"]  # type: ignore[attr-defined]
    assert filled.json("flaky")["runs"] == 2
    assert len(filled.json("slow")["slow"]) == 2  # type: ignore[arg-type]
    assert len(filled.json("compare", "run-1")["newly_failing"]) == 1  # type: ignore[arg-type]
    assert filled.json("store", "info")["attempts"] == 7
    assert filled.json("store", "prune", "--runs", "1", "--dry-run")["dry_run"] is True


def test_the_gate_from_the_mark_of_a_release_to_the_page(filled: Commands, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[flakes]\nbudget = 1\n", encoding="utf-8")
    filled("store", "mark", "run-1", "--release", "6.2")
    gate = ("gate", "--policy", "policy.toml", "--day", "2026-09-30")
    result = filled(*gate, "--page", "gate.html")
    assert result.return_value == 1
    assert "✗ Must not be released: 2 reasons" in result.output
    assert "Must not be released" in (tmp_path / "gate.html").read_text(encoding="utf-8")
    assert (tmp_path / "gate.html").stat().st_mode & 0o077 == 0
    filled("store", "record", "run-2", "hand", "passed", "--by", "Ana")
    policy.write_text('[flakes]\nbudget = 1\n[failures]\nharmless_tags = ["x"]\n', encoding="utf-8")
    told = json.loads(filled(*gate, "--format", "json").stdout)
    broken = [rule["rule"] for rule in told["rules"] if not rule["passed"]]
    assert (told["passed"], broken) == (False, ["failures"])
    assert filled(*gate, "--format", "markdown").output.startswith("## ❌ Must not be released")
    assert filled(*gate, "run-1").return_value == 1  # a release is none for itself
    policy.write_text("[baseline]\nrequired = false\n[manual]\nmust_be_done = false\n")
    assert filled(*gate, "run-1").return_value == 0
    with pytest.raises(UsageError, match="no day"):
        filled("gate", "--policy", "policy.toml", "--day", "tomorrow")


def test_a_folder_is_added_once_however_often(command: Commands, tmp_path: Path) -> None:
    folder, events = RunFolder.create(tmp_path / "runs"), Events()
    with attach(events, folder, Settings()):
        Sample(folder, events).whole()
    assert command("store", "add").output == f"{folder.run_id}: added\n"
    assert command("store", "add", "runs/latest").output == f"{folder.run_id}: written anew\n"
    assert command.json("store", "info")["runs"] == 1
    assert command.json("history", "The host runs out")["runs"] == 1


def test_results_of_other_tools(command: Commands, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<testsuite name="s"><testcase name="t"/></testsuite>')
    output = command("store", "import", "a.xml", "--run", "nightly", "--image-sha256", "ab").output
    assert output == "nightly: added: 1 passed\n"
    assert command.json("history", "t")["entries"][0]["image_sha256"] == "ab"  # type: ignore[index]


def test_without_a_store_it_is_said_where_one_would_be(command: Commands) -> None:
    with pytest.raises(UsageError, match="there is no store") as error:
        command("history", "x")
    assert str(command.store) in error.value.message
    command.store = Path("none")
    with pytest.raises(UsageError, match="switched off"):
        command("flaky")


@pytest.mark.parametrize(
    ("found", "verdict", "expected"),
    [(False, "failed", "known"), (True, "passed", "failed"), (True, "failed", "failed")],
)
def test_a_reference_image_names_the_bug_that_keeps_it_from_being_found(
    tmp_path: Path, found: bool, verdict: str, expected: str
) -> None:
    folder, events = RunFolder.create(tmp_path / "runs"), Events()
    address = needed_address(Settings(), str(tmp_path / "store.sqlite3"))
    with attach(events, folder, Settings(), keeper=LiveStore(address, folder.path, events)):
        sample = Sample(folder, events)
        sample.opening()
        sample.start("f#k", "k", ["a picture"])
        sample.begin("f#k", 0, "a picture")
        look = {"reference": "ok", "known": "B#1:2026-12-31", "areas": []}
        sample.tell(Looked, kind="reference", wanted=["ok"], found=found, look=look)
        sample.step("f#k", 0, "a picture", verdict=verdict, error="not there")
        sample.end("f#k", verdict)
    with open_store(tmp_path) as store:
        day = datetime.date(2026, 11, 1)
        (entry,) = history_of(store, "f#k", limit=1, today=day).entries
    assert entry.judged.standing.value == expected
