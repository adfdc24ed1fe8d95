"""Whose trouble a failure seems to be, in the files that CI systems read, and back out of them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest
from results_sample import HOSTILE, Sample
from store_tools import made_run, open_store

from tailstest.core.events import OVERLOADED, Events, Noted, StepFinished
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.junit import build_junit, write_junit
from tailstest.results.merging import merge_runs
from tailstest.results.outputs.ctrf import ctrf_report
from tailstest.results.outputs.cucumber import cucumber_features
from tailstest.results.outputs.writing import write_output
from tailstest.results.recorder import attach
from tailstest.results.run_builder import ENDED_HERE, load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run
from tailstest.results.store.attempt_reading import attempts_of_runs
from tailstest.results.store.importing import import_files
from tailstest.results.store.reading import find_run, scenarios_by_number
from tailstest.results.suspect import Suspect, Suspicion, Whose
from tailstest.results.suspect_rules import RULES, Rule, suspicion_about
from tailstest.results.suspect_told import suspect_fields, suspect_in

#: A scenario and the suspect that the rules find behind it.
EXPECTED = {
    "Der Gerätename läßt sich ändern": "product changed",
    "שלום עולם": "agent lost",
    "日本語の画面": "host overloaded",
    "Ελληνικά & <b>": "machine crashed",
    "Кнопка найдена": "test or reference stale",
    "مرحبا": "infrastructure",
    "เงียบ": "unknown",
    "gut": "",
    "übersprungen": "",
    "später": "",
}


def told_run() -> Run:
    """Return a run in which every suspect is behind a scenario, and nobody behind the others."""
    plain = {name: "failed" for name, suspect in EXPECTED.items() if suspect}
    run = made_run(
        1, plain | {"gut": "passed", "übersprungen": "skipped", "später": "planned"}, image="a"
    )
    kinds = {"שלום עולם": "GuestUnreachable", "Ελληνικά & <b>": "MachineStopped"}
    verdicts = {"Кнопка найдена": "errored", "مرحبا": "incomplete"}
    for scenario in run.scenarios:
        for attempt in scenario.attempts:
            step = attempt.steps[0]
            step.kind = kinds.get(scenario.name, "")
            verdict = verdicts.get(scenario.name)
            attempt.verdict = step.verdict = Verdict(verdict or attempt.verdict)
            if scenario.name == "日本語の画面":
                attempt.suspicion = Suspicion(Suspect.HOST, "host overloaded", "zu viel: 忙しい")
            if scenario.name == "เงียบ":
                step.error = ""
    return run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs")


def properties(root: ET.Element) -> dict[str, dict[str, str]]:
    """Return the properties of each test case that are about its suspect."""
    return {
        case.get("name", ""): {
            one.get("name", "").removeprefix("tailstest.suspect."): one.get("value", "")
            for one in case.iterfind("properties/property")
        }
        for case in root.iter("testcase")
    }


def names(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {name: fields.get("name", "") for name, fields in found.items()}


def imported(folder: Path, file: Path) -> dict[str, list[Suspect | None]]:
    """Return the suspects of all attempts that the store has after an import."""
    with open_store(folder) as store:
        done = import_files(store, [file])
        with store.reading() as connection:
            attempts = attempts_of_runs(connection, [find_run(connection, done.run.run_id).id])
            named = scenarios_by_number(connection, list(attempts))
    return {named[n].name: [each.suspect for each in told] for n, told in attempts.items()}


def test_junit_says_who_is_suspected_as_properties_and_first_in_the_text(
    folder: RunFolder,
) -> None:
    root = build_junit(told_run(), folder, output_limit=10_000)
    found = properties(root)
    assert names(found) == EXPECTED
    assert found["Ελληνικά & <b>"] == {
        "name": "machine crashed",
        "whose": "product",
        "rule": "guest stopped",
        "why": "what runs in the machine panicked, hung, restarted or switched itself off",
    }
    for case in root.iter("testcase"):
        text = next((each.text or "" for each in case if each.tag in ("failure", "error")), "")
        suspect = EXPECTED[case.get("name", "")]
        assert text.startswith(f"Suspect: {suspect}: " if suspect else ("", "at ")), text
        assert text.count("Suspect: ") == bool(suspect)
    plain = root.find(".//testcase[@name='gut']")
    assert plain is not None and plain.find("properties") is None


def test_junit_and_its_import_agree_on_every_suspect(folder: RunFolder, tmp_path: Path) -> None:
    file = write_junit(told_run(), folder, output_limit=10_000)
    assert imported(tmp_path, file) == {
        name: [Suspect(suspect) if suspect else None] for name, suspect in EXPECTED.items()
    } | {"später": [Suspect.INFRASTRUCTURE]}  # JUnit has no word for what did not run


def test_cucumber_json_and_its_import_agree_on_every_suspect(
    folder: RunFolder, tmp_path: Path
) -> None:
    file = write_output("cucumber", told_run(), folder)
    assert imported(tmp_path, file) == {
        name: [Suspect(suspect) if suspect else None] for name, suspect in EXPECTED.items()
    }
    elements = [each for one in json.loads(file.read_text("utf-8")) for each in one["elements"]]
    own = {each["name"]: each["tailstest"].get("suspect", {}) for each in elements}
    assert names(own) == EXPECTED
    assert own["日本語の画面"]["why"] == "zu viel: 忙しい"
    messages = {each["name"]: each["steps"][0]["result"] for each in elements if each["steps"]}
    lines = messages["日本語の画面"]["error_message"].splitlines()
    assert lines == ["not seen", "Suspect: host overloaded: zu viel: 忙しい"]
    assert "error_message" not in messages["gut"]


def test_what_ended_outside_of_a_step_has_its_suspect_in_cucumber_json(folder: RunFolder) -> None:
    run = made_run(1, {"x": "incomplete"})
    run.scenarios[0].attempts[0].steps = []
    run.scenarios[0].attempts[0].error = f"{ENDED_HERE}\nby a person"
    ((element,),) = [feature["elements"] for feature in cucumber_features(run, folder)]
    first, second, third = element["after"][0]["result"]["error_message"].splitlines()
    assert (first, third) == (ENDED_HERE, "by a person")
    assert second.startswith("Suspect: infrastructure: it was ended from outside")


def test_ctrf_has_the_suspect_in_extra_and_first_in_the_trace(folder: RunFolder) -> None:
    results = ctrf_report(told_run(), folder)["results"]
    found = {test["name"]: test["extra"].get("suspect", {}) for test in results["tests"]}
    assert names(found) == EXPECTED
    assert found["שלום עולם"]["whose"] == "infrastructure"
    for test in results["tests"]:
        suspect = EXPECTED[test["name"]]
        assert test.get("trace", "").startswith(f"Suspect: {suspect}: ") == bool(suspect)
    counted = results["summary"]["extra"]["suspects"]
    assert counted == dict.fromkeys(sorted(filter(None, EXPECTED.values())), 1)


def test_a_flaky_scenario_has_the_suspect_of_the_attempt_that_failed(folder: RunFolder) -> None:
    run = made_run(1, {"wackelt": ["failed", "incomplete", "passed"]})
    (case,) = build_junit(run, folder, output_limit=10_000).iter("testcase")
    assert names(properties(case)) == {"wackelt": "product changed"}
    (test,) = ctrf_report(run, folder)["results"]["tests"]
    assert test["extra"]["suspect"]["name"] == "product changed"
    assert "trace" not in test, "the last attempt passed, and it is the one that is told"
    retried = [each["extra"]["suspect"]["name"] for each in test["retryAttempts"]]
    assert retried == ["product changed", "infrastructure"]
    (feature,) = cucumber_features(run, folder)
    told = [each["tailstest"].get("suspect", {}).get("name") for each in feature["elements"]]
    assert told == ["product changed", "infrastructure", None]


def test_what_a_file_says_that_nobody_of_us_wrote_is_bounded_and_harmless(
    folder: RunFolder, tmp_path: Path
) -> None:
    values = {"name": "agent lost", "rule": HOSTILE * 50, "why": HOSTILE * 500, "whose": HOSTILE}
    read = suspect_in(values)
    assert read is not None and read.suspect is Suspect.AGENT
    assert len(read.rule) <= 60 and len(read.why) <= 300
    assert not set(read.rule + read.why) & {"\x1b", "\x00", "\x07", "\u202e", "\n"}
    run = made_run(1, {"x": "failed"})
    run.scenarios[0].attempts[0].suspicion = Suspicion(Suspect.AGENT, HOSTILE * 50, HOSTILE * 500)
    file = write_junit(run, folder, output_limit=10_000)
    (case,) = ET.parse(file).getroot().iter("testcase")
    assert properties(case)["x"]["whose"] == "infrastructure"
    assert "[[ATTACHMENT" not in file.read_text("utf-8")
    assert all(len(text) < 400 for text in properties(case)["x"].values())


@pytest.mark.parametrize(
    "values", [{}, {"name": "nobody"}, {"name": ["agent lost"]}, {"name": None}, {"why": "x"}]
)
def test_a_suspect_that_we_do_not_know_is_none(values: dict[str, object]) -> None:
    assert suspect_in(values) is None


def test_an_unknown_suspect_in_a_file_leaves_it_to_the_rules(tmp_path: Path) -> None:
    case = '<testcase classname="c" name="{0}">{1}<failure message="no"/></testcase>'
    ours = '<properties><property name="tailstest.suspect.name" value="{0}"/></properties>'
    others = '<properties><property name="name" value="agent lost"/><property/></properties>'
    cases = {"a": ours.format("agent lost"), "b": ours.format("Mars"), "c": others, "d": ""}
    file = tmp_path / "a.xml"
    text = "".join(case.format(name, told) for name, told in cases.items())
    file.write_text(f'<testsuite name="s">{text}</testsuite>', encoding="utf-8")
    assert imported(tmp_path, file) == {
        "a": [Suspect.AGENT],
        **{name: [Suspect.PRODUCT] for name in "bcd"},
    }


def test_a_pass_is_not_suspected_whatever_a_file_says(tmp_path: Path) -> None:
    told = '<properties><property name="tailstest.suspect.name" value="agent lost"/></properties>'
    file = tmp_path / "a.xml"
    file.write_text(
        f'<testsuite name="s"><testcase classname="c" name="x">{told}</testcase></testsuite>'
    )
    assert imported(tmp_path, file) == {"x": [None]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_survives_being_written_and_read(rule: Rule) -> None:
    suspicion = Suspicion(rule.suspect, rule.name, rule.why)
    assert suspect_in(suspect_fields(suspicion)) == suspicion


def test_each_suspect_is_the_trouble_of_somebody() -> None:
    assert {suspect.whose for suspect in Suspect} == set(Whose)


def part(folder: Path, name: str) -> RunFolder:
    """Write one of two parts of a run: what failed on a quiet host, or what did under load."""
    run, events = RunFolder.create(folder, output=folder / name), Events()
    with attach(events, run, Settings(), project=folder):
        sample = Sample(run, events)
        sample.now += 10_000 * len(name)
        sample.opening()
        if name == "ein":
            sample.passing()
            sample.greyed_out()
            sample.text_missing()
            sample.undefined()
        else:
            sample.host_trouble()
            sample.start("later", "後で", ["it works"])
            sample.begin("later", 0, "it works")
            sample.tell(Noted, text=f"{OVERLOADED}: 9.0 processes want each core", level="warning")
            error = "the text was not seen within 30 s"
            told = {"index": 0, "verdict": "failed", "seconds": 30.0, "error": error}
            sample.tell(StepFinished, scenario_id="later", **told)
            sample.end("later", "failed")
    return run


def test_merging_keeps_the_suspects_of_all_parts(tmp_path: Path) -> None:
    runs = [part(tmp_path, "ein"), part(tmp_path, "zwei")]
    merge_runs(runs, tmp_path / "whole")
    whole = RunFolder.open(tmp_path / "whole")
    found = {each.id: str(suspicion_about(each) or "") for each in load_run(whole).scenarios}
    for run in runs:
        for scenario in load_run(run).scenarios:
            if scenario.attempts:
                assert found[scenario.id] == str(suspicion_about(scenario) or "")
    told = names(properties(ET.parse(whole.junit_file).getroot()))
    assert told["The language can be confirmed"] == "product changed"
    assert told["The first question is asked"] == "test or reference stale"
    assert told["The host runs out of memory"] == "infrastructure"
    assert told["後で"] == "host overloaded"
    assert imported(tmp_path, whole.junit_file)["後で"] == [Suspect.HOST]
