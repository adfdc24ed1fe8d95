"""A run in the formats of other dashboards: Cucumber JSON and CTRF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from ctrf_format import CTRF
from results_sample import HOSTILE, Sample
from store_tools import made_run, open_store

from tailstest.cli.main import tailstest
from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.junit import build_junit
from tailstest.results.outputs.ctrf import ctrf_report
from tailstest.results.outputs.writing import write_output
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run
from tailstest.results.store.attempt_reading import attempts_of_runs
from tailstest.results.store.importing import import_files
from tailstest.results.store.reading import find_run, scenarios_by_number


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"))
    events = Events()
    attach(events, folder, settings=Settings())
    Sample(folder, events).whole()
    return folder


def every_verdict() -> Run:
    of_an_attempt = [each for each in Verdict if each not in (Verdict.NOT_RUN, Verdict.FLAKY)]
    told = {verdict.name.lower(): verdict.value for verdict in of_an_attempt}
    return made_run(1, {**told, "later": "planned", "wobbly": ["failed", "passed"]})


def checked_ctrf(report: dict[str, Any]) -> dict[str, Any]:
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    jsonschema.Draft7Validator(CTRF, format_checker=checker).validate(report)
    return report


def test_ctrf_of_a_run_obeys_the_schema_and_counts_every_scenario_once(sample: RunFolder) -> None:
    file = write_output("ctrf", load_run(sample), sample)
    report = checked_ctrf(json.loads(file.read_text(encoding="utf-8")))
    summary = report["results"]["summary"]
    assert summary["tests"] == 8
    assert sum(summary[kind] for kind in ("passed", "failed", "skipped", "pending", "other")) == 8
    assert (summary["passed"], summary["failed"], summary["other"]) == (1, 4, 3)
    grey = next(t for t in report["results"]["tests"] if t["extra"]["scenario"] == "grey")
    assert grey["status"] == "failed" and "greyed out" in grey["message"]
    assert grey["attachments"][0]["contentType"] == "image/png"
    assert (sample.path / grey["attachments"][0]["path"]).is_file()
    assert [step["status"] for step in grey["steps"]] == ["passed", "failed", "skipped"]


def test_the_schema_refuses_what_is_no_ctrf(sample: RunFolder) -> None:
    report = ctrf_report(load_run(sample), sample)
    del report["results"]["summary"]["passed"]
    with pytest.raises(jsonschema.ValidationError, match="passed"):
        checked_ctrf(report)


def test_flaky_is_never_passed_and_every_attempt_is_told(sample: RunFolder) -> None:
    report = checked_ctrf(ctrf_report(every_verdict(), sample))
    tests = {test["name"]: test for test in report["results"]["tests"]}
    assert {name: test["status"] for name, test in tests.items()} == {
        "passed": "passed",
        "failed": "failed",
        "errored": "failed",
        "incomplete": "other",
        "skipped": "skipped",
        "manual": "pending",
        "later": "other",
        "wobbly": "other",
    }
    assert tests["wobbly"]["flaky"] and tests["wobbly"]["rawStatus"] == "flaky"
    assert [each["status"] for each in tests["wobbly"]["retryAttempts"]] == ["failed"]
    assert report["results"]["summary"]["flaky"] == 1
    again = ctrf_report(every_verdict(), sample)
    assert again == report, "ids follow from names, so that dashboards know a test again"


def test_what_we_write_as_cucumber_json_our_own_import_reads_without_loss(
    sample: RunFolder, tmp_path: Path
) -> None:
    run = every_verdict()
    file = write_output("cucumber", run, sample)
    with open_store(tmp_path) as store:
        done = import_files(store, [file])
        with store.reading() as connection:
            attempts = attempts_of_runs(connection, [find_run(connection, done.run.run_id).id])
            named = scenarios_by_number(connection, list(attempts))
    back = {named[n].key: [a.verdict for a in each] for n, each in attempts.items()}
    assert back == {
        each.id: [a.verdict for a in each.attempts] or [Verdict.NOT_RUN] for each in run.scenarios
    }
    causes = {named[n].name: each[-1].cause for n, each in attempts.items()}
    assert causes["failed"] == causes["incomplete"] == "not seen"
    assert all(
        a.seconds == 5.0 for each in attempts.values() for a in each if a.verdict != "not run"
    )


def test_cucumber_json_without_our_key_counts_nothing_as_passed_that_did_not_pass(
    sample: RunFolder, tmp_path: Path
) -> None:
    file = write_output("cucumber", every_verdict(), sample)
    features = json.loads(file.read_text(encoding="utf-8"))
    for feature in features:
        for element in feature["elements"]:
            del element["tailstest"]
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(features), encoding="utf-8")
    with open_store(tmp_path) as store:
        run = import_files(store, [plain]).run
    verdicts = {s.name: [a.verdict for a in s.attempts] for s in run.scenarios}
    assert verdicts["wobbly"] == [Verdict.FAILED, Verdict.FAILED]
    passed = [name for name, each in verdicts.items() if Verdict.PASSED in each]
    assert passed == ["passed"]


def test_cucumber_json_says_of_each_attempt_what_became_of_its_scenario(
    sample: RunFolder, tmp_path: Path
) -> None:
    run = made_run(
        1, {"wobbly": ["passed", "failed", "passed"], "steady": ["incomplete", "passed"]}
    )
    file = write_output("cucumber", run, sample)
    features = json.loads(file.read_text(encoding="utf-8"))
    elements = [each for feature in features for each in feature["elements"]]
    told = [
        (each["tailstest"]["verdict"], each["tailstest"]["scenario_verdict"]) for each in elements
    ]
    assert told == [
        ("passed", "flaky"),
        ("failed", "flaky"),
        ("passed", "flaky"),
        ("incomplete", "passed"),
        ("passed", "passed"),
    ]
    behind = [each["after"][0]["result"] if "after" in each else None for each in elements]
    flaky = {"status": "failed", "duration": 0, "error_message": "flaky: 1 of 3 attempts failed"}
    assert behind == [flaky, None, flaky, None, None]
    with open_store(tmp_path) as store:
        again = import_files(store, [file]).run
    assert {each.name: each.verdict for each in again.scenarios} == {
        "wobbly": Verdict.FLAKY,
        "steady": Verdict.PASSED,
    }
    assert all(len(attempt.steps) == 1 for each in again.scenarios for attempt in each.attempts)


def test_cucumber_json_has_the_picture_of_the_failure_and_bounded_harmless_text(
    sample: RunFolder,
) -> None:
    file = write_output("cucumber", load_run(sample), sample)
    text = file.read_text(encoding="utf-8")
    elements = [each for feature in json.loads(text) for each in feature["elements"]]
    grey = next(each for each in elements if each["tailstest"]["id"] == "grey")
    (picture,) = grey["steps"][1]["embeddings"]
    assert picture["mime_type"] == "image/png" and picture["data"].startswith("iVBOR")
    assert "What to do: select a language before" in grey["steps"][1]["result"]["error_message"]
    assert grey["steps"][0]["result"]["duration"] == 1_500_000_000
    hostile = next(each for each in elements if each["tailstest"]["id"] == "hostile")
    assert "\x1b" not in json.dumps(hostile, ensure_ascii=False)
    assert "\u202e" not in hostile["name"] and HOSTILE not in hostile["name"]


def test_junit_shows_what_failed_and_passed_as_a_failure(sample: RunFolder) -> None:
    root = build_junit(every_verdict(), sample, output_limit=10_000)
    (failure,) = [
        case.find("failure") for case in root.iter("testcase") if case.get("name") == "wobbly"
    ]
    assert failure is not None and failure.get("type") == "flaky"
    assert failure.get("message") == "failed and passed: not seen"
    assert root.get("failures") == "2"


def test_the_command_writes_what_is_asked_for_and_nothing_else(sample: RunFolder) -> None:
    for name in ("ctrf.json", "cucumber.json"):
        (sample.path / name).unlink(missing_ok=True)
    runner = CliRunner()
    done = runner.invoke(tailstest, ["report", str(sample.path), "--format", "ctrf"])
    assert done.exit_code == 0 and str(sample.path / "ctrf.json") in done.output
    assert not (sample.path / "cucumber.json").exists()
    checked_ctrf(json.loads((sample.path / "ctrf.json").read_text(encoding="utf-8")))
    wrong = runner.invoke(tailstest, ["report", str(sample.path), "--format", "yaml"])
    assert wrong.exit_code == 2 and "yaml" in wrong.output


def test_a_file_that_cannot_be_written_is_one_clear_error(sample: RunFolder) -> None:
    gone = RunFolder(sample.path / "gone", "gone", sample.evidence)
    with pytest.raises(InfrastructureError, match=r"cannot write .*ctrf\.json"):
        write_output("ctrf", every_verdict(), gone)
