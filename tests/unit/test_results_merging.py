"""Which runs may be put together, and what the whole says of what was tested."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from results_sample import Sample

from tailstest.core.errors import UsageError
from tailstest.core.events import Events, RunFinished, RunStarted
from tailstest.core.settings import Settings
from tailstest.results.environment_view import CHANGED
from tailstest.results.merging import merge_runs
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder

ENVIRONMENT = {"image": {"name": "demo", "sha256": "a" * 64}, "suite_commit": "1" * 40}


def part(folder: Path, verdict: str, more: Mapping[str, Any]) -> RunFolder:
    """Return a run with one scenario; "two", "2" and what is in "b" begin an hour later."""
    made, events = RunFolder.create(folder.parent, output=folder), Events()
    with attach(events, made, Settings()):
        sample = Sample(made, events)
        sample.now += 3600 if {"two", "2", "b"} & {folder.name, folder.parent.name} else 0
        environment = {**ENVIRONMENT, **more}
        sample.tell(RunStarted, run_id=made.run_id, command=["x"], environment=environment)
        sample.flaky("light", [verdict])
        sample.tell(RunFinished, counts={verdict: 1}, exit_status=0 if verdict == "passed" else 3)
    return RunFolder.open(folder)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {CHANGED: ["/etc/motd"]}, "one: nothing, two: /etc/motd"),
        ({CHANGED: ["/etc/motd"]}, {CHANGED: ["/etc/issue"]}, "one: /etc/motd, two: /etc/issue"),
        ({}, {"suite_commit": "2" * 40}, "one: 1{12}, two: 2{12}"),
        ({}, {"suite_commit": "1" * 40 + "+changes"}, r"one: 1{12}, two: 1{12}\+changes"),
    ],
)
def test_runs_of_what_is_not_the_same_are_no_whole(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    parts = [part(tmp_path / "one", "incomplete", first), part(tmp_path / "two", "passed", second)]
    with pytest.raises(UsageError, match=said) as raised:
        merge_runs(parts, tmp_path / "whole")
    assert raised.value.hint
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize("which", [0, 1])
def test_a_part_that_does_not_know_its_suites_commit_is_taken(tmp_path: Path, which: int) -> None:
    more: list[dict[str, Any]] = [{}, {}]
    more[which] = {"suite_commit": ""}
    parts = [
        part(tmp_path / "one", "incomplete", more[0]),
        part(tmp_path / "two", "passed", more[1]),
    ]
    assert merge_runs(parts, tmp_path / "whole") == 0
    environment = load_run(RunFolder.open(tmp_path / "whole")).environment
    assert environment["suite_commit"] == "1" * 40


def test_what_was_changed_in_all_guests_is_told_of_the_whole(tmp_path: Path) -> None:
    more = {CHANGED: ["/etc/motd", "/etc/issue"]}
    parts = [part(tmp_path / "one", "incomplete", more), part(tmp_path / "two", "passed", more)]
    assert merge_runs(parts, tmp_path / "whole") == 0
    environment = load_run(RunFolder.open(tmp_path / "whole")).environment
    assert environment[CHANGED] == ["/etc/motd", "/etc/issue"]


def test_runs_in_folders_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    parts = [
        part(tmp_path / "a" / "whole", "passed", {}),
        part(tmp_path / "b" / "whole", "passed", {CHANGED: ["/etc/motd"]}),
    ]
    with pytest.raises(UsageError, match=r"a/whole: nothing, .*b/whole: /etc/motd"):
        merge_runs(parts, tmp_path / "whole")


def test_each_whole_has_an_id_of_its_own_whatever_the_folders_are_called(tmp_path: Path) -> None:
    ids = []
    for night in ("monday", "tuesday"):
        parts = [part(tmp_path / night / name, "passed", {}) for name in ("1", "2")]
        merge_runs(parts, tmp_path / night / "whole")
        whole = load_run(RunFolder.open(tmp_path / night / "whole"))
        told = [load_run(each).run_id for each in parts]
        assert whole.environment["put together from"] == told
        ids.append(whole.run_id)
    assert ids[0] != ids[1]
    moved = (tmp_path / "monday").rename(tmp_path / "later")
    again = [RunFolder.open(moved / name) for name in ("2", "1")]
    merge_runs(again, tmp_path / "again")
    assert load_run(RunFolder.open(tmp_path / "again")).run_id == ids[0]


def test_a_copy_of_a_run_is_not_taken_for_another_one(tmp_path: Path) -> None:
    one = part(tmp_path / "one", "passed", {})
    shutil.copytree(one.path, tmp_path / "copy")
    with pytest.raises(UsageError, match="a copy of it"):
        merge_runs([one, RunFolder.open(tmp_path / "copy")], tmp_path / "whole")
