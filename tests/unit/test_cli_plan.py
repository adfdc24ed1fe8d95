"""`tailstest plan`, and runs that a policy chooses, on small suites in git."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from store_tools import made_run, open_store
from suite_tools import feature, make_suite, scenario

from tailstest.cli.main import tailstest
from tailstest.core.errors import UsageError
from tailstest.results.merging import OTHER_SHARD
from tailstest.results.store.adding import add_run
from tailstest.suite.choosing.applying import Choosing
from tailstest.suite.choosing.choice import Change
from tailstest.suite.choosing.git_change import Wish, change_of, top_of
from tailstest.suite.choosing.policy import ChoicePolicy
from tailstest.suite.run_options import RunOptions
from tailstest.suite.run_plan import chosen_plan, plan_run

POLICY = '[[concern]]\nfiles = ["docs/*"]\nfeatures = ["features/b.feature"]\n'


class Suite:
    """A suite below the top of a repository, on a branch of its own."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "top"
        lines = (scenario("one", "Given I pass"), scenario("two", "Given I pass", "And I print"))
        make_suite(
            self.top / "qa",
            a=feature(*lines),
            b=feature("@trusted", scenario("three", "When I pass")),
            c=feature("@manual", scenario("by hand", "When I look")),
        )
        self.git("init", "-q", "-b", "main")
        self.commit("first")
        self.git("checkout", "-q", "-b", "wip")
        (folder / "policy.toml").write_text(POLICY)

    def git(self, *words: str) -> str:
        program = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(self.top)]
        done = subprocess.run([*program, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, name: str) -> str:
        self.git("add", ".")
        self.git("commit", "-qm", name)
        return self.git("rev-parse", "HEAD")

    def write(self, file: str, text: str = "x\n") -> None:
        path = self.top / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, wish: Wish | None = None, **environment: str) -> Change:
        return change_of(self.top / "qa", wish or Wish(), "main", environment)

    def plan(self, *words: str) -> str:
        result = CliRunner().invoke(tailstest, ["plan", *words], standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        self.status = result.return_value
        return result.output

    def json(self, *words: str) -> dict[str, Any]:
        value = json.loads(self.plan("top/qa/features", *words, "--json"))
        assert isinstance(value, dict)
        return value


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILSTEST_STORE", str(tmp_path / "store.sqlite3"))
    for name in ("GITHUB_REF_NAME", "GITHUB_REF_TYPE", "GITHUB_HEAD_REF", "GITHUB_BASE_REF"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CI_COMMIT_TAG", "CI_COMMIT_BRANCH", "BRANCH_NAME", "TAG_NAME"):
        monkeypatch.delenv(name, raising=False)
    return Suite(tmp_path)


def chosen(plan: Mapping[str, Any]) -> list[str]:
    return [each["name"] for each in plan["scenarios"]]


def test_a_plan_lists_order_lengths_beginnings_and_what_is_by_hand(
    suite: Suite, tmp_path: Path
) -> None:
    with open_store(tmp_path) as store:
        run = made_run(1, {"a": "passed"}, seconds={"a": 65.0})
        run.scenarios[0].id = "features/a.feature#one"
        run._by_id = {run.scenarios[0].id: run.scenarios[0]}
        add_run(store, run)
    lines = suite.plan("top/qa/features").splitlines()
    assert lines[0].split() == ["1.", "1", "min", "05", "s", "features/a.feature:2", "one"]
    assert lines[1].endswith("new  features/a.feature:5  two  (begins as 1., 1 step)")
    assert lines[3].endswith("by hand  features/c.feature:3  by hand")
    assert lines[-1].startswith("4 scenarios would run, 1 of them to be done by hand, 1 took 1 min")
    assert suite.status == 0


def test_why_tells_a_reason_for_each_scenario(suite: Suite) -> None:
    suite.write("qa/features/a.feature", (suite.top / "qa/features/a.feature").read_text() + "\n")
    words = ("top/qa/features", "--chosen-by", "policy.toml", "--why", "--tags", "not @manual")
    printed = suite.plan(*words)
    assert printed.count("because qa/features/a.feature changed: its feature") == 2
    assert "because trusted: @trusted" in printed
    assert "excluded by the tags: not @manual" in printed
    assert "chosen: the trusted scenarios, and those that 1 changed file may concern" in printed


def test_documentation_that_a_scenario_depends_on(suite: Suite) -> None:
    suite.write("docs/a.txt")
    suite.commit("docs")
    found = suite.json("--chosen-by", "policy.toml")
    assert chosen(found) == ["three"]
    assert found["chosen"] == "only documentation changed: what depends on it"
    assert {each["name"] for each in found["left_out"]} == {"one", "two", "by hand"}
    assert all(each["why"].startswith("not chosen: ") for each in found["left_out"])


def test_branch_tag_and_files_can_be_said(suite: Suite) -> None:
    said = ("--chosen-by", "policy.toml", "--changed", "docs/a.txt")
    assert chosen(suite.json(*said)) == ["three"]
    assert len(chosen(suite.json(*said, "--git-branch", "main"))) == 4
    assert len(chosen(suite.json(*said, "--git-tag", "v1"))) == 4
    with pytest.raises(UsageError, match="are for a policy"):
        suite.plan("top/qa/features", "--changed", "docs/a.txt")


def test_steps_are_those_of_the_scenarios_that_use_them(suite: Suite) -> None:
    more = "from behave import step\n\n@step('I look')\ndef look(context):\n    'Look.'\n"
    suite.write("qa/steps/looking.py", more)
    suite.write("qa/features/d.feature", feature(scenario("looks", "When I look")))
    base = suite.commit("looking")
    suite.write("qa/steps/looking.py", more + "\n")
    found = suite.json("--chosen-by", "policy.toml", "--changed-since", base)
    # The manual scenario has the same words; whoever does it should know of the change, too.
    assert chosen(found) == ["three", "by hand", "looks"]
    suite.write("qa/steps/helper.py", "x = 1\n")
    assert len(chosen(suite.json("--chosen-by", "policy.toml", "--changed-since", base))) == 5


def test_git_tells_branch_and_files_committed_changed_and_new(suite: Suite) -> None:
    suite.write("qa/a b\n.txt")
    suite.commit("odd name")
    suite.write("qa/new.txt")
    suite.write("qa/features/a.feature")
    found = suite.change()
    assert (found.branch, found.tag, found.base) == ("wip", "", "main")
    assert set(found.files or ()) == {"qa/a b\n.txt", "qa/new.txt", "qa/features/a.feature"}
    assert top_of(suite.top / "qa") == suite.top.resolve()


def test_what_happened_on_the_other_branch_since_is_no_part_of_the_change(suite: Suite) -> None:
    suite.write("mine.txt")
    suite.commit("mine")
    suite.git("checkout", "-q", "main")
    suite.write("theirs.txt")
    suite.commit("theirs")
    suite.git("checkout", "-q", "wip")
    assert suite.change().files == ("mine.txt",)


@pytest.mark.parametrize(
    ("environment", "branch", "tag"),
    [
        ({"CI_COMMIT_BRANCH": "b"}, "b", ""),
        ({"CI_COMMIT_TAG": "v1"}, "wip", "v1"),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "m", "CI_COMMIT_BRANCH": ""}, "m", ""),
        ({"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "b"}, "b", ""),
        ({"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}, "wip", "v1"),
        (
            {"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "7/merge", "GITHUB_HEAD_REF": "b"},
            "b",
            "",
        ),
        ({"BRANCH_NAME": "PR-7", "CHANGE_BRANCH": "b"}, "b", ""),
        ({"TAG_NAME": "v1"}, "wip", "v1"),
    ],
)
def test_ci_systems_tell_branch_and_tag(
    suite: Suite, environment: dict[str, str], branch: str, tag: str
) -> None:
    found = suite.change(**environment)
    assert (found.branch, found.tag) == (branch, tag)


def test_ci_systems_tell_what_to_compare_with(suite: Suite) -> None:
    suite.write("one.txt")
    first = suite.commit("one")
    suite.git("branch", "release")
    suite.write("two.txt")
    suite.commit("two")
    assert suite.change().files == ("one.txt", "two.txt")
    assert suite.change(CI_MERGE_REQUEST_DIFF_BASE_SHA=first).files == ("two.txt",)
    assert suite.change(GITHUB_BASE_REF="release").files == ("two.txt",)
    assert suite.change(CHANGE_TARGET="release").files == ("two.txt",)
    assert suite.change(CI_MERGE_REQUEST_DIFF_BASE_SHA="0" * 40).files == ("one.txt", "two.txt")


def test_a_tag_of_a_checkout_without_branch(suite: Suite) -> None:
    suite.git("tag", "v9")
    assert suite.change().tag == ""  # somebody works on a branch that a tag is at
    suite.git("checkout", "-q", "--detach")
    assert (suite.change().branch, suite.change().tag) == ("", "v9")


def test_what_git_does_not_know(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no commit "--output=x"'):
        suite.change(Wish(since="--output=x"))
    suite.git("branch", "-D", "main")
    assert suite.change().files is None
    (tmp_path / "plain").mkdir()
    assert change_of(tmp_path / "plain", Wish(), "main", {}) == Change()


def test_a_run_makes_the_same_plan_in_each_of_its_processes(suite: Suite) -> None:
    policy = ChoicePolicy()
    choosing = Choosing(policy, Change("wip", "", ("qa/features/a.feature",)), suite.top)
    options = RunOptions(paths=["top/qa/features"], choosing=choosing)
    plan = plan_run(options)
    assert [each.name for each in plan.scenarios] == ["one", "two", "three"]
    told = plan.event()
    assert [(each["name"], each["by"]) for each in told.excluded] == [("by hand", "choice")]
    assert "may concern" in told.selection
    elsewhere = replace(choosing, top=Path("/elsewhere"), settled=chosen_plan(options)[1])
    again = plan_run(replace(options, choosing=elsewhere))
    assert again.event().excluded == told.excluded
    part = plan_run(RunOptions(paths=["top/qa/features"], choosing=choosing, shard="1/2"))
    assert any(reason.startswith(OTHER_SHARD) for _each, reason in part.excluded)
    assert 0 < len(part.scenarios) < 3


def test_a_run_runs_what_is_chosen_and_says_why(suite: Suite, tmp_path: Path) -> None:
    words = ["run", "top/qa/features", "--chosen-by", "policy.toml", "--changed", "docs/a.txt"]
    result = CliRunner().invoke(tailstest, [*words, "--dry-run"], standalone_mode=False)
    assert result.exception is None
    assert "1 scenarios would run, 3 are excluded" in result.output
    assert "only documentation changed" in result.output


def test_a_policy_that_does_not_fit_the_suite(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY.replace("b.feature", "gone.feature"))
    with pytest.raises(UsageError, match="names the feature"):
        suite.plan("top/qa/features", "--chosen-by", "policy.toml")
    assert suite.plan("top/qa/features/a.feature", "--chosen-by", "policy.toml")


def test_a_plan_with_problems_is_listed_and_is_an_error(suite: Suite) -> None:
    suite.write("qa/features/d.feature", feature(scenario("x", "When nobody wrote this")))
    printed = suite.plan("top/qa/features")
    assert "problem: features/d.feature:3: no step is defined" in printed
    assert suite.status == 2


def test_what_a_manual_scenario_needs_to_be_automated_is_in_the_plan(suite: Suite) -> None:
    text = (
        "Feature: f\n  @manual\n  Scenario: sound\n    It matters.\n\n"
        "    To automate: a sound card\n    that records.\n\n    When I listen\n"
    )
    suite.write("qa/features/c.feature", text)
    printed = suite.plan("top/qa/features/c.feature")
    assert "to automate it: a sound card that records.\n" in printed
    needs = {each["name"]: each["automation_needs"] for each in suite.json()["scenarios"]}
    assert (needs["sound"], needs["one"]) == ("a sound card that records.", "")
