"""Why a scenario was skipped while it ran: told wherever its result is."""

from __future__ import annotations

import datetime
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from store_tools import open_store
from suite_tools import Ran, feature, make_suite, scenario

from tailstest.core.events import Events, Noted
from tailstest.core.settings import Settings
from tailstest.results.answers.history import history_of
from tailstest.results.gate.judging import judge_runs
from tailstest.results.gate.policy import load_policy
from tailstest.results.outputs.ctrf import ctrf_report
from tailstest.results.outputs.cucumber import cucumber_features
from tailstest.results.outputs.writing import write_output
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.adding import add_run
from tailstest.results.store.importing import import_files
from tailstest.results.terminal import Terminal

DAY = datetime.date(2026, 12, 1)
ENVIRONMENT = """
def before_feature(context, feature):
    if feature.name == "elsewhere":
        feature.skip("this host has no radio")

def before_scenario(context, scenario):
    if scenario.name == "In a hook":
        scenario.skip("no network today")
    if scenario.name == "Without a word":
        scenario.skip()
"""
REASONS = {
    "In a step": "not today",
    "In a hook": "no network today",
    "Without a word": "",
    "In a feature that is skipped": "this host has no radio",
}


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    here = [
        scenario("In a step", "Given I pass", "And I skip", "And I fail"),
        scenario("In a hook", "Given I fail"),
        scenario("Without a word", "Given I fail"),
    ]
    suite = make_suite(
        tmp_path / "suite",
        a=feature(*here),
        b=feature(scenario("In a feature that is skipped", "Given I fail"), name="elsewhere"),
    )
    (suite / "environment.py").write_text(ENVIRONMENT, encoding="utf-8")
    return Ran([suite / "features"])


@pytest.fixture
def folder(ran: Ran, tmp_path: Path) -> RunFolder:
    """The folder of that run."""
    made, events = RunFolder.create(tmp_path / "runs"), Events()
    with attach(events, made, Settings()):
        for event in [ran.plan.event(), *ran.events]:
            events.publish(event)
    return made


def test_the_event_and_the_record_tell_it(ran: Ran, folder: RunFolder) -> None:
    names = {each.id: each.name for each in ran.plan.scenarios}
    told = {names[each.scenario_id]: each.error for each in ran.of("ScenarioFinished")}
    assert told == REASONS
    assert {each.verdict for each in ran.of("ScenarioFinished")} == {"skipped"}
    records = load_run(folder).scenarios
    assert {each.name: each.last.reason for each in records if each.last} == REASONS


def test_files_for_others_tell_it(folder: RunFolder) -> None:
    run = load_run(folder)
    cases = ET.parse(folder.junit_file).getroot().iter("testcase")
    told = {each.get("name"): each.find("skipped").get("message") for each in cases}  # type: ignore[union-attr]
    assert told == {name: reason or "skipped" for name, reason in REASONS.items()}
    tests = ctrf_report(run, folder)["results"]["tests"]
    assert {each["name"]: each.get("message", "") for each in tests} == REASONS
    elements = [each for part in cucumber_features(run, folder) for each in part["elements"]]
    assert {each["name"]: each["tailstest"]["error"] for each in elements} == REASONS


def test_the_page_and_the_terminal_tell_it(ran: Ran, folder: RunFolder) -> None:
    page = folder.report_file.read_text(encoding="utf-8")
    stream = io.StringIO()
    terminal = Terminal(folder, stream=stream, live=False)
    for event in ran.events:
        if not isinstance(event, Noted):
            terminal(event)
    for reason in filter(None, REASONS.values()):
        assert reason in page
        assert reason in stream.getvalue()


def test_store_history_and_gate_tell_it(folder: RunFolder, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[planned]\ncomplete = false\n", encoding="utf-8")
    with open_store(tmp_path) as store:
        add_run(store, load_run(folder), folder.path)
        for name, reason in REASONS.items():
            assert history_of(store, name, limit=1, today=DAY).entries[0].judged.reason == reason
        judged = judge_runs(store, load_policy(policy), ("latest",), DAY)
    (rule,) = [each for each in judged.rules if each.name == "results"]
    assert {each.text for each in rule.findings} == {
        "not today",
        "no network today",
        "left out without a reason",
        "this host has no radio",
    }


@pytest.mark.parametrize("kind", ["junit", "cucumber"])
def test_it_comes_back_from_files(folder: RunFolder, tmp_path: Path, kind: str) -> None:
    file = folder.junit_file
    if kind == "cucumber":
        file = write_output("cucumber", load_run(folder), folder)
    with open_store(tmp_path) as store:
        import_files(store, [file])
        for name, reason in REASONS.items():
            assert history_of(store, name, limit=1, today=DAY).entries[0].judged.reason == reason
