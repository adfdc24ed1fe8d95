"""`tailstest triage` on a suite in git with made-up runs: what is run, and what is said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from store_tools import made_run, open_store
from suite_tools import feature, make_suite, scenario

from tailstest.cli.main import tailstest
from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.media.image_file import digest_of
from tailstest.results.run_record import Run
from tailstest.results.store.adding import add_run
from tailstest.suite.triage import trying
from tailstest.suite.trials.sub_run import Ended, SubRun

Says = Callable[[str, str], str]
NAMES = {"it works": "features/a.feature#it works", "also": "features/a.feature#also"}


class Suite:
    """A suite with an old and a new commit, an old and a new image, and a run that failed.

    The run "good" was made with the old suite and the old image, "bad" with the new ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[tuple[str, str, int]] = []
        self.says: Says = lambda _suite, _image: "failed"
        text = feature(*(scenario(name, "When I pass") for name in NAMES))
        self.suite = make_suite(folder / "top" / "suite", a=text)
        self.git("init", "-q")
        self.images = {}
        self.commits = {}
        for version in ("old", "new"):
            (self.suite / "features" / "version.txt").write_text(version)
            self.git("add", ".")
            self.git("commit", "-qm", version)
            self.commits[version] = self.git("rev-parse", "HEAD")
            image = folder / f"{version}.img"
            image.write_bytes(version.encode() * 600)
            self.images[version] = image
        with open_store(folder) as store:
            add_run(store, self.run_of("good", "old", dict.fromkeys(NAMES, "passed")))
            add_run(store, self.run_of("bad", "new", {"it works": "failed", "also": "passed"}))

    def git(self, *words: str) -> str:
        program = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C"]
        done = subprocess.run(
            [*program, str(self.suite), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def run_of(self, name: str, version: str, verdicts: dict[str, Any], **facts: str) -> Run:
        number = {"good": 1, "bad": 2}.get(name, 3)
        run = made_run(number, verdicts)
        run.run_id = name
        for each in run.scenarios:
            each.id = NAMES[each.name]
        run._by_id = {each.id: each for each in run.scenarios}
        image = self.images[version]
        run.environment = {
            "image": {"name": image.name, "path": str(image), "sha256": digest_of(image)},
            "suite_commit": self.commits[version],
            **facts,
        }
        return run

    def run_apart(self, order: SubRun) -> Ended:
        suite = Path(order.paths[0].rpartition(":")[0]).parent / "version.txt"
        assert order.image is not None
        image = Path(order.image)
        self.ran.append((suite.read_text(), image.stem, len(order.paths)))
        said = self.says(suite.read_text(), image.stem)
        if said == "nothing":
            return Ended(3, None, "the host has no space")
        told = said.split() * (order.repeat if " " not in said else 1)
        run = self.run_of("again", image.stem, dict.fromkeys(NAMES, told))
        return Ended(1, run, "")

    def __call__(self, *words: str) -> dict[str, Any]:
        shown = CliRunner().invoke(
            tailstest, ["triage", *words, "--suite", "top/suite"], standalone_mode=False
        )
        if shown.exception is not None:
            raise shown.exception
        self.status, self.output = shown.return_value, shown.output
        value = json.loads(shown.output) if "--json" in words else {}
        assert isinstance(value, dict)
        return value


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILSTEST_STORE", str(tmp_path / "store.sqlite3"))
    made = Suite(tmp_path)
    monkeypatch.setattr(trying, "run_apart", made.run_apart)
    return made


def follows(what: str) -> Says:
    """Return runs that fail where the suite, the image or nothing is new."""
    verdicts = {True: "failed", False: "passed"}
    return lambda suite, image: verdicts[{"suite": suite, "image": image}[what] == "new"]


@pytest.mark.parametrize(
    ("says", "answer", "certainty"),
    [
        (follows("suite"), "test", "high"),
        (follows("image"), "product", "high"),
        (lambda _suite, _image: "failed", "infrastructure", "high"),
        (lambda _suite, _image: "passed", "flake", "high"),
        (lambda _suite, _image: "nothing", "infrastructure", "high"),
    ],
)
def test_whose_trouble_it_is(suite: Suite, says: Says, answer: str, certainty: str) -> None:
    suite.says = says
    (found,) = suite("bad", "--json")["failures"]
    assert (found["answer"], found["certainty"]) == (answer, certainty)
    assert found["scenario"] == NAMES["it works"]
    assert found["last_good"] == "good"
    assert suite.status == 0


def test_all_four_ways_are_run_and_only_what_decides(suite: Suite) -> None:
    suite("bad")
    ways = [("new", "new", 1), ("old", "new", 1), ("new", "old", 1), ("old", "old", 1)]
    assert suite.ran == ways
    suite.ran.clear()
    suite.says = lambda _suite, _image: "passed"
    suite("bad", "--output", "second")
    assert suite.ran == ways[:1]
    suite.ran.clear()
    suite("bad", "--output", "third", "--thorough")
    assert suite.ran == ways


def test_several_attempts_show_a_flake(suite: Suite) -> None:
    suite.says = lambda _suite, _image: "failed passed"
    (found,) = suite("bad", "--repeat", "2", "--json")["failures"]
    assert (found["answer"], found["ways"]["again"]) == ("flake", "mixed")


def test_a_person_sees_a_table_and_why(suite: Suite) -> None:
    suite.says = follows("image")
    suite("bad")
    row = next(line for line in suite.output.splitlines() if line.startswith("it works"))
    assert row.split()[2:8] == ["failed", "failed", "passed", "passed", "product", "high"]
    assert "it follows the image" in suite.output
    assert suite.output.splitlines()[-1] == "1 failure: 1 product"


def test_worktrees_are_gone_afterwards(suite: Suite, tmp_path: Path) -> None:
    suite("bad", "--output", "kept")
    assert suite.git("worktree", "list").count("\n") == 0
    assert not list((tmp_path / "kept" / "suites").iterdir())


def test_an_image_that_is_gone_or_another_is_said_and_lowers_the_certainty(suite: Suite) -> None:
    suite.says = follows("image")
    suite.images["old"].unlink()
    (found,) = suite("bad", "--json")["failures"]
    assert (found["answer"], found["certainty"]) == ("product", "low")
    assert found["ways"] == {
        "again": "failed",
        "old_suite": "failed",
        "old_image": "-",
        "both": "-",
    }
    assert "old.img is gone" in found["notes"][0]
    suite.images["old"].write_bytes(b"something else")
    (found,) = suite("bad", "--json", "--output", "b")["failures"]
    assert "is another image now" in found["notes"][0]


def test_a_suite_that_cannot_be_had_is_said(suite: Suite, tmp_path: Path) -> None:
    suite.says = follows("suite")
    with open_store(tmp_path) as store:
        good = suite.run_of("good", "old", dict.fromkeys(NAMES, "passed"))
        good.environment = {**good.environment, "suite_commit": ""}
        add_run(store, good)
    (found,) = suite("bad", "--json")["failures"]
    assert (found["answer"], found["certainty"]) == ("test", "low")
    assert "tells no commit of the suite" in " ".join(found["notes"])


@pytest.mark.parametrize("commit", ["--upload-pack=x", "$(touch owned)", "0" * 40])
def test_a_commit_from_the_store_is_never_an_option(
    suite: Suite, tmp_path: Path, commit: str
) -> None:
    with open_store(tmp_path) as store:
        good = suite.run_of("good", "old", dict.fromkeys(NAMES, "passed"))
        good.environment = {**good.environment, "suite_commit": commit}
        add_run(store, good)
    (found,) = suite("bad", "--json")["failures"]
    assert "cannot be had" in " ".join(found["notes"])


def test_changes_that_no_commit_has_lower_the_certainty(suite: Suite, tmp_path: Path) -> None:
    suite.says = follows("suite")
    with open_store(tmp_path) as store:
        good = suite.run_of("good", "old", dict.fromkeys(NAMES, "passed"))
        good.environment = {**good.environment, "suite_commit": suite.commits["old"] + "+changes"}
        add_run(store, good)
    (found,) = suite("bad", "--json")["failures"]
    assert (found["answer"], found["certainty"]) == ("test", "medium")


def test_what_never_passed_has_nothing_to_be_compared_with(suite: Suite, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, suite.run_of("good", "old", dict.fromkeys(NAMES, "failed")))
    (found,) = suite("bad", "--json")["failures"]
    assert found["answer"] == "product"  # by its suspect
    assert found["certainty"] == "low"
    assert "passed in no earlier run" in found["notes"][0]


def test_an_older_suite_without_the_scenario(suite: Suite, tmp_path: Path) -> None:
    suite.says = follows("image")
    (suite.suite / "features" / "a.feature").write_text(
        feature(scenario("it works", "When I pass"), scenario("new one", "When I pass"))
    )
    suite.git("commit", "-qam", "newest")
    NAMES["new one"] = "features/a.feature#new one"
    try:
        with open_store(tmp_path) as store:
            suite.commits["new"] = suite.git("rev-parse", "HEAD")
            add_run(store, suite.run_of("good", "old", {"new one": "passed"}))
            add_run(store, suite.run_of("bad", "new", {"new one": "failed"}))
        (found,) = suite("bad", "--json")["failures"]
    finally:
        del NAMES["new one"]
    assert found["ways"]["old_suite"] == "-"
    assert found["answer"] == "product"
    assert "that suite does not have the scenario" in " ".join(found["notes"])


def test_an_image_that_was_made_anew_says_nothing(suite: Suite) -> None:
    real = suite.run_apart

    def other(order: SubRun) -> Ended:
        ended = real(order)
        assert ended.run is not None
        ended.run.environment = {"image": {"sha256": "f" * 64}}
        return ended

    trying.run_apart = other  # type: ignore[attr-defined]
    (found,) = suite("bad", "--json")["failures"]
    assert found["ways"]["again"] == "unclear"
    assert "made anew" in found["notes"][0]


def test_nothing_failed(suite: Suite) -> None:
    suite("good")
    assert (suite.status, suite.output) == (0, "nothing failed in good\n")
    assert suite("good", "--json") == {"run": "good", "failures": []}
    assert suite.ran == []


def test_runs_and_folders_that_cannot_be_meant(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run or release"):
        suite("nobody")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="not empty"):
        suite("bad", "--output", "full")


def test_failures_share_runs(suite: Suite, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, suite.run_of("bad", "new", dict.fromkeys(NAMES, "failed")))
    assert len(suite("bad", "--json")["failures"]) == 2
    assert [each[2] for each in suite.ran] == [2, 2, 2, 2]


def test_incomplete_is_triaged_and_known_is_not(suite: Suite, tmp_path: Path) -> None:
    suite.says = lambda _suite, _image: "passed"
    with open_store(tmp_path) as store:
        bad = suite.run_of("bad", "new", {"it works": "incomplete", "also": "failed"})
        bad.scenarios[1].tags = ["known:BUG-1:2099-01-01"]
        add_run(store, bad)
    (found,) = suite("bad", "--json")["failures"]
    assert (found["verdict"], found["answer"]) == (Verdict.INCOMPLETE.value, "infrastructure")
