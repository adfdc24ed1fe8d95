"""`tailstest bisect` with made-up runs, and one real run apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from store_tools import made_run, open_store
from suite_tools import feature, make_suite, scenario

from tailstest.cli.main import tailstest
from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.media.image_file import digest_of
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run
from tailstest.results.store.adding import add_run
from tailstest.suite.bisecting import judging
from tailstest.suite.trials.sub_run import Ended, SubRun, run_apart

KEY = "features/a.feature#it works"


class Suite:
    """A suite in a git repository with images, whose runs are made up: "bad" in an image fails."""

    def __init__(self, folder: Path, bad_from: int = 4) -> None:
        self.folder = make_suite(folder / "suite", a=feature(scenario("it works", "When I pass")))
        self.images = []
        self.ran: list[str] = []
        for number in range(7):
            image = folder / f"i{number}.img"
            content = b"bad" if number >= bad_from else b"good"
            image.write_bytes(b"\0" * 510 + b"\x55\xaa" + content + bytes([number]))
            self.images.append(str(image))
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(self.folder)]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "suite"]):
            subprocess.run([*git, *words], check=True)
        told = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True)
        self.commit = told.stdout.decode().strip()

    def run(self, order: SubRun) -> Ended:
        assert order.image is not None
        self.ran.append(Path(order.image).name)
        is_bad = b"bad" in Path(order.image).read_bytes()
        return Ended(int(is_bad), self.made("run", is_bad), "said")

    def made(self, name: str, is_bad: bool, image: str = "") -> Run:
        run = made_run(1, {"a": "failed" if is_bad else "passed"})
        run.run_id = name
        run.scenarios[0].id = KEY
        run._by_id = {KEY: run.scenarios[0]}
        if image:
            digest = digest_of(Path(image))
            run.environment = {"image": {"sha256": digest}, "suite_commit": self.commit}
        return run

    def __call__(self, *words: str) -> Result:
        result = CliRunner().invoke(
            tailstest, ["bisect", *words, "--scenario", "suite/features"], standalone_mode=False
        )
        if result.exception is not None:
            raise result.exception
        return result


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILSTEST_STORE", str(tmp_path / "store.sqlite3"))
    made = Suite(tmp_path)
    monkeypatch.setattr(judging, "run_apart", made.run)
    return made


def test_a_person_sees_each_trial_and_the_answer(suite: Suite) -> None:
    result = suite(*suite.images)
    assert result.return_value == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("7 images, 1 scenario, until it is 95% sure; kept in runs/bisect-")
    assert any(line.split()[:3] == ["1.", "i0.img", "passed"] for line in lines)
    assert any(line.startswith("First bad image: i4.img (9") for line in lines)
    assert "\x1b" not in result.output


def test_what_the_store_knows_of_these_very_images_is_used(suite: Suite, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(8):
            place = 3 + number % 2
            run = suite.made(f"night-{number}", place == 4, suite.images[place])
            add_run(store, run)
    result = suite(*suite.images)
    assert result.return_value == 0
    assert not {"i3.img", "i4.img"} & set(suite.ran)
    assert "known i3.img" in result.output
    assert "8 more known from the store" in result.output
    assert "for nothing" not in result.output  # images in question say nothing of other images


def test_results_of_another_commit_are_not_used(suite: Suite, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        run = suite.made("night", False, suite.images[4])
        run.environment = {**run.environment, "suite_commit": "0" * 40}
        add_run(store, run)
    assert suite(*suite.images).return_value == 0
    assert "i4.img" in suite.ran


def test_flakes_on_other_images_are_taken_into_account(suite: Suite, tmp_path: Path) -> None:
    other, only_bad = tmp_path / "other.img", tmp_path / "only-bad.img"
    other.write_bytes(b"other" * 400)
    only_bad.write_bytes(b"only" * 400)
    nights = [(other, False), (other, True), (other, False), (only_bad, True)]
    with open_store(tmp_path) as store:
        for number, (image, is_bad) in enumerate(nights):
            add_run(store, suite.made(f"night-{number}", is_bad, str(image)))
    result = suite(*suite.images)
    assert "on other images these scenarios failed 1 of 3 times for nothing" in result.output
    assert result.return_value == 0


def test_a_machine_gets_json(suite: Suite) -> None:
    found = json.loads(suite(*suite.images, "--json").output)
    assert Path(found["first_bad"][0]).name == "i4.img"
    assert found["ending"] == "found"
    assert all(each["source"] == "run" for each in found["trials"])


def test_good_and_bad_are_the_ends_and_come_first(suite: Suite) -> None:
    first, *between, last = suite.images
    result = suite(*between, "--good", first, "--bad", last)
    assert suite.ran[:2] == ["i0.img", "i6.img"]
    assert "First bad image: i4.img" in result.output


def test_images_are_built_as_they_are_wanted(suite: Suite) -> None:
    versions = [f"v{number}" for number in range(7)]
    build = 'test {} != v3 && echo $BISECT_VERSION | sed "s/v/i/;s/$/.img/"'
    result = suite(*versions, "--build", build)
    assert result.return_value == 0
    assert "First bad image is one of: v3, v4" in result.output
    assert "left out: v3: building it failed with status 1" in result.output


def test_it_goes_on_with_what_was_asked(suite: Suite) -> None:
    undecided = suite(*suite.images, "--max-runs", "3", "--output", "kept")
    assert undecided.return_value == 3
    assert "go on with --resume" in undecided.output
    with pytest.raises(UsageError, match="a bisection has begun in kept"):
        suite(*suite.images, "--output", "kept")
    before = len(suite.ran)
    result = CliRunner().invoke(
        tailstest, ["bisect", "--resume", "kept", "--max-runs", "50"], standalone_mode=False
    )
    assert (result.exception, result.return_value) == (None, 0)
    assert "First bad image: i4.img" in result.output
    assert len(suite.ran) > before == 3
    with pytest.raises(UsageError, match="question that was asked"):
        suite("--resume", "kept")


def test_a_suite_that_became_another_one_is_no_longer_the_question(suite: Suite) -> None:
    suite(*suite.images, "--max-runs", "3", "--output", "kept")
    (suite.folder / "features" / "a.feature").write_text("Feature: other\n")
    again = CliRunner().invoke(tailstest, ["bisect", "--resume", "kept"], standalone_mode=False)
    assert isinstance(again.exception, UsageError)
    assert "is another one than when" in again.exception.message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["i0.img"], "at least two images"),
        (["i0.img", "i0.img"], "named twice: i0.img"),
        (["i0.img", "gone.img"], "there is no such image"),
        (["i0.img", "nobody"], 'no image called "nobody"'),
        (["i0.img", "i1.img", "--name", "nothing like it"], "nothing to run"),
        (["i0.img", "i1.img", "--resume", "x"], "question that was asked"),
        (["--resume", "x", "--confidence", "0.9"], "question that was asked"),
    ],
)
def test_questions_that_are_none(suite: Suite, words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        suite(*words)
    assert suite.ran == []
    assert not Path("runs").exists()


def test_scenarios_that_cannot_run_or_are_done_by_hand(suite: Suite) -> None:
    file = suite.folder / "features" / "a.feature"
    file.write_text(feature(scenario("x", "When nobody wrote this")))
    with pytest.raises(UsageError, match="no step is defined"):
        suite(*suite.images)
    file.write_text(feature("@manual", scenario("x", "When I look")))
    with pytest.raises(UsageError, match="done by a person"):
        suite(*suite.images)


def test_a_run_apart_is_a_real_one_of_this_installation(tmp_path: Path) -> None:
    lines = feature(scenario("passes", "When I pass"), scenario("fails", "When I fail"))
    suite = make_suite(tmp_path / "suite", a=lines)
    order = SubRun([f"{suite}/features/a.feature"], None, tmp_path / "runs" / "r1", tmp_path)
    assert "--no-checkpoints" in order.words  # one trial says nothing about the next
    ended = run_apart(order)
    assert ended.status == 1
    assert ended.run is not None
    assert [each.verdict for each in ended.run.scenarios] == [Verdict.PASSED, Verdict.FAILED]
    assert "expected a, seen b" in ended.said
    nothing = run_apart(SubRun(["gone.feature"], None, tmp_path / "runs" / "r2", tmp_path))
    assert (nothing.status, nothing.run) == (2, None)
    assert "no suite is here" in nothing.said


def test_a_run_apart_ends_well_when_this_process_is_told_to_end(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", a=feature(scenario("waits", "When I wait")))
    (suite / "steps" / "waiting.py").write_text(
        "import threading\nfrom behave import step\n\n@step('I wait')\ndef wait(context):\n"
        "    'Wait.'\n    threading.Event().wait(60)\n"
    )
    folder = tmp_path / "runs" / "r1"

    def end_it() -> None:
        events = folder / "events.jsonl"

        def has_begun() -> bool | None:
            return (events.exists() and "StepStarted" in events.read_text()) or None

        if poll(has_begun, Deadline(60.0)):
            os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=end_it)
    teller.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_apart(SubRun([str(suite / "features")], None, folder, tmp_path))
    teller.join()
    assert time.monotonic() - began < 55
    run = load_run(RunFolder.open(folder))
    assert run.interrupted
    assert [each.verdict for each in run.scenarios] == [Verdict.INCOMPLETE]
