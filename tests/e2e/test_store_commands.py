"""Results over runs, as a user has them: run twice, ask, judge. No machine is needed."""

import json

import pytest
from test_command_line import tailstest

pytestmark = pytest.mark.vm

STEPS = '''
import os

from behave import step

from tailstest.core.errors import CheckFailed


@step('the word is "{word}"')
def word_is(context, word):
    """Fail on a word that the environment names."""
    if word == os.environ.get("BAD_WORD"):
        raise CheckFailed(f"the word is {word}")
'''
FEATURE = """Feature: Words
  Scenario: Fine
    Then the word is "fine"
  Scenario: Fragile キー
    Then the word is "fragile"
  @manual
  Scenario: By hand
    Given a person with ears
"""


def test_two_runs_are_kept_compared_and_judged(tmp_path):
    suite = tmp_path / "suite"
    (suite / "steps").mkdir(parents=True)
    (suite / "features").mkdir()
    (suite / "steps" / "words.py").write_text(STEPS, encoding="utf-8")
    (suite / "features" / "words.feature").write_text(FEATURE, encoding="utf-8")
    (suite / "policy.toml").write_text("", encoding="utf-8")
    own = {"TAILSTEST_STORE": "", "XDG_DATA_HOME": str(tmp_path / "data")}

    good = tailstest("run", "features", cwd=suite, **own)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "2 passed, 1 manual" in good.stdout
    assert (tmp_path / "data" / "tailstest" / "results.sqlite3").is_file()
    assert (
        tailstest("store", "mark", "latest", "--release", "1.0", cwd=suite, **own).returncode == 0
    )
    bad = tailstest("run", "features", cwd=suite, BAD_WORD="fragile", **own)
    assert bad.returncode == 1

    history = json.loads(tailstest("history", "キー", "--json", cwd=suite, **own).stdout)
    assert [each["verdict"] for each in history["entries"]] == ["failed", "passed"]
    compared = json.loads(tailstest("compare", "1.0", "--json", cwd=suite, **own).stdout)
    assert [each["name"] for each in compared["newly_failing"]] == ["Fragile キー"]
    planned = tailstest("run", "features", "--dry-run", cwd=suite, **own)
    assert "before, 2 scenarios took" in planned.stdout

    def judged(*words):
        done = tailstest("gate", "--policy", "policy.toml", *words, cwd=suite, **own)
        return done.returncode, done.stdout + done.stderr

    status, said = judged()
    assert (status, "2 reasons" in said) == (1, True), said
    tailstest("run", "features", cwd=suite, **own)
    record = ("store", "record", "latest", "By hand", "passed", "--by", "Ana")
    assert tailstest(*record, cwd=suite, **own).returncode == 0
    status, said = judged("--page", "gate.html")
    assert (status, "May be released" in said) == (0, True), said
    (suite / "policy.toml").write_text(
        '[[excuse]]\nscenario = "gone"\nbug = "B"\nuntil = 2099-01-01\n'
    )
    status, said = judged()
    assert (status, "Traceback" in said) == (2, False)


def test_workers_report_into_the_same_store(tmp_path):
    suite = tmp_path / "suite"
    (suite / "steps").mkdir(parents=True)
    (suite / "features").mkdir()
    (suite / "steps" / "words.py").write_text(STEPS, encoding="utf-8")
    (suite / "features" / "words.feature").write_text(FEATURE, encoding="utf-8")
    own = {"TAILSTEST_STORE": str(tmp_path / "store.sqlite3"), "BAD_WORD": "fragile"}
    done = tailstest("run", "features", "--workers", "2", cwd=suite, **own)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed, 1 failed, 1 manual" in done.stdout
    for name, verdict in (("Fine", "passed"), ("キー", "failed"), ("By hand", "manual")):
        history = json.loads(tailstest("history", name, "--json", cwd=suite, **own).stdout)
        assert [each["verdict"] for each in history["entries"]] == [verdict]


def test_without_a_store_nothing_is_kept(tmp_path):
    assert tailstest("init", tmp_path / "suite").returncode == 0
    own = {"TAILSTEST_STORE": "", "XDG_DATA_HOME": str(tmp_path / "data")}
    done = tailstest("run", "features", "--store", "none", cwd=tmp_path / "suite", **own)
    assert done.returncode == 0
    assert not (tmp_path / "data" / "tailstest" / "results.sqlite3").exists()
