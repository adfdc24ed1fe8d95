"""What is new in a run, and the message about it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from results_sample import HOSTILE
from store_tools import made_run, open_store

from tailstest.core.errors import UsageError
from tailstest.results.store.adding import add_run
from tailstest.results.store.engine import Store
from tailstest.results.telling.message import body_of, title_of
from tailstest.results.telling.news import Change, News, news_of
from tailstest.suite.suite_commit import suite_branch

TODAY = datetime.date(2026, 11, 26)
ALL = tuple(Change)


def told(store: Store, *nights: dict[str, object], branches: tuple[str, ...] = ()) -> None:
    """Add runs on the image "demo", one after the other."""
    for number, verdicts in enumerate(nights):
        run = made_run(number, verdicts, image="a")  # type: ignore[arg-type]
        if branches:
            run.environment = {**run.environment, "branch": branches[number]}
        add_run(store, run)


def changes(news: News) -> dict[str, str]:
    return {turn.scenario.name: turn.change.value for turn in news.turns}


def news(store: Store, *names: str, **options: object) -> News:
    return news_of(store, names or ("latest",), TODAY, **options)  # type: ignore[arg-type]


def test_only_what_changed_is_news(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        told(
            store,
            {
                "a": "passed",
                "b": "failed",
                "c": "passed",
                "d": "failed",
                "e": "passed",
                "f": "passed",
            },
            {
                "a": "failed",
                "b": "failed",
                "c": ["failed", "passed"],
                "d": "passed",
                "e": "incomplete",
                "f": "passed",
            },
        )
        found = news(store)
        assert changes(found) == {
            "a": "failing",
            "c": "flaky",
            "e": "incomplete",
            "d": "passing",
        }
        assert found.previous is not None and found.previous.run_id == "run-0"
        assert [turn.change for turn in found.turns] == list(Change)
        add_run(store, made_run(2, {"a": "failed", "b": "failed", "e": "incomplete"}, image="a"))
        assert not news(store).changed


def test_a_night_of_trouble_neither_hides_a_failure_nor_tells_it_twice(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        told(
            store,
            {"a": "failed", "b": "passed"},
            {"a": "incomplete", "b": "incomplete"},
            {"a": "failed", "b": "failed"},
        )
        assert changes(news(store)) == {"b": "failing"}


def test_a_run_of_a_part_does_not_make_old_failures_new(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        told(store, {"a": "failed", "b": "passed"}, {"b": "passed"}, {"a": "failed", "b": "passed"})
        assert not news(store).changed


def test_flapping_is_told_once(tmp_path: Path) -> None:
    flaky = {"a": ["failed", "passed"]}
    with open_store(tmp_path) as store:
        told(store, {"a": "passed"}, flaky)
        assert changes(news(store)) == {"a": "flaky"}
        for number, night in enumerate(({"a": "passed"}, flaky, {"a": "passed"}, flaky), 2):
            add_run(store, made_run(number, night, image="a"))  # type: ignore[arg-type]
            assert not news(store).changed, number


def test_another_image_is_another_line_unless_its_name_matches(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number, name in enumerate(("demo-1.iso", "other.iso", "demo-2.iso")):
            run = made_run(number, {"a": "failed"}, image=str(number))
            run.environment = {"image": {"name": name, "sha256": str(number) * 64}}
            add_run(store, run)
        assert changes(news(store)) == {"a": "failing"}
        line = news(store, images=("demo-*.iso",))
        assert not line.changed and line.previous is not None
        assert line.previous.run_id == "run-0"


def test_another_branch_is_another_line_unless_it_is_named(tmp_path: Path) -> None:
    night = {"a": "failed"}
    with open_store(tmp_path) as store:
        told(store, night, night, branches=("main", "topic"))
        assert changes(news(store)) == {"a": "failing"}
        assert not news(store, branches=("main",)).changed
        assert not news(store, against="run-0").changed
        with pytest.raises(UsageError, match="itself"):
            news(store, against="run-1")


def test_a_run_without_a_branch_belongs_to_any(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        told(store, {"a": "failed"}, {"a": "failed"}, branches=("", "topic"))
        assert not news(store).changed


def test_a_run_that_did_not_end_is_news_once(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(0, {"a": "passed"}, image="a"))
        for number in (1, 2):
            add_run(store, made_run(number, {"a": "passed"}, image="a", is_finished=False))
        assert news(store, "run-1").troubles == ("run run-1 did not end",)
        assert news(store, "run-2").troubles == ()


def test_several_runs_are_one_whole(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        told(store, {"a": "passed", "b": "passed"}, {"a": "failed"}, {"b": "failed"})
        assert changes(news(store, "run-1", "run-2")) == {"a": "failing", "b": "failing"}
        found = news(store, "run-1", "run-2")
        assert found.previous is not None and found.previous.run_id == "run-0"


def test_what_a_bug_excuses_is_no_news_until_the_excuse_ends(tmp_path: Path) -> None:
    tags = {"a": ["known:bug-1:2026-11-30"]}
    with open_store(tmp_path) as store:
        for number in (0, 1):
            add_run(store, made_run(number, {"a": "failed"}, image="a", tags=tags))
        assert not news(store).changed
        later = news_of(store, ("latest",), datetime.date(2026, 12, 1))
        assert changes(later) == {"a": "failing"}


def test_the_message_groups_and_bounds_and_links(tmp_path: Path) -> None:
    names = [f"a{number:03}" for number in range(50)]
    with open_store(tmp_path) as store:
        told(
            store,
            {**dict.fromkeys(names, "passed"), "b": "failed"},
            {**dict.fromkeys(names, "failed"), "b": "passed"},
        )
        found = news(store)
    title = title_of(found, "nightly", ALL)
    assert title == "nightly: 50 newly failing, 1 passing again – demo"
    text = body_of(found, ALL, link="https://ci.example/{run}/report.html", listed=5)
    assert "50 newly failing:\n  ✗ a000 (features/a.feature:3)\n    not seen\n" in text
    assert "a004" in text and "a005" not in text and "… and 45 more" in text
    assert "1 passing again:\n  ✓ b" in text
    assert "https://ci.example/run-1/report.html" in text
    assert "Compared with: run-0" in text
    assert "All: 1 passed, 50 failed" in text
    only = body_of(found, (Change.PASSING,))
    assert "a000" not in only


def test_names_of_tests_mention_nobody_and_carry_no_codes(tmp_path: Path) -> None:
    name = f"a @all <!channel> {HOSTILE}"
    with open_store(tmp_path) as store:
        told(store, {name: "failed"})
        found = news(store)
    text = title_of(found, "x", ALL) + body_of(found, ALL, link="https://x/{run}")
    assert "@all" not in text and "<!channel" not in text and "<script" not in text
    assert "\x1b" not in text and "\u202e" not in text
    assert "There is no earlier run" in text


@pytest.mark.parametrize(
    ("environment", "branch"),
    [
        ({"CI_COMMIT_REF_NAME": "main"}, "main"),
        ({"CI_COMMIT_REF_NAME": "x", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic/a"}, "topic/a"),
        ({"GITHUB_REF_NAME": "5/merge", "GITHUB_HEAD_REF": "topic"}, "topic"),
        ({"GITHUB_REF_NAME": "main", "GITHUB_HEAD_REF": ""}, "main"),
        ({"BRANCH_NAME": "PR-5", "CHANGE_BRANCH": "topic"}, "topic"),
        ({}, ""),
    ],
)
def test_the_branch_is_that_of_ci(environment: dict[str, str], branch: str, tmp_path: Path) -> None:
    assert suite_branch(tmp_path, environment) == branch
