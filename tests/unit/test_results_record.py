from __future__ import annotations

import io
import re
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from results_sample import Sample

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Events, Noted, RunFinished, ScenarioFinished, ScenarioStarted
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.event_log import read_events
from tailstest.results.merging import merge_runs
from tailstest.results.recorder import attach
from tailstest.results.report import build_report
from tailstest.results.run_builder import ENDED_HERE, RunBuilder, load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run
from tailstest.results.terminal import Terminal


def recorded(tmp_path: Path, *, killed: bool = False) -> tuple[RunFolder, Run]:
    folder, events = RunFolder.create(tmp_path), Events()
    with attach(events, folder, Settings()) as recorder:
        Sample(folder, events).whole(killed=killed)
        return folder, recorder.close()


def test_the_run_read_back_is_the_run_that_was_lived(tmp_path: Path) -> None:
    folder, lived = recorded(tmp_path)
    again = load_run(folder)
    assert again.scenarios == lived.scenarios
    assert again.counts == lived.counts
    assert again.exit_status == 1
    assert again.is_finished
    assert not again.log_is_cut


def test_frames_looks_and_notes_belong_to_the_step_that_was_going_on(tmp_path: Path) -> None:
    _, run = recorded(tmp_path)
    scenario = run.scenario("grey")
    assert scenario is not None
    assert scenario.last is not None
    first, second, third = scenario.last.steps
    assert [frame.reason for frame in first.frames] == ["step"]
    assert [frame.reason for frame in second.frames] == ["failure"]
    assert [look.outcome for look in second.looks] == ["greyed out"]
    assert third.verdict is Verdict.SKIPPED
    assert scenario.last.bad_step is second
    assert [artifact.kind for artifact in scenario.last.artifacts] == ["serial"]


def test_planned_scenarios_that_never_began_were_not_run(tmp_path: Path) -> None:
    _, run = recorded(tmp_path)
    assert [s.id for s in run.scenarios if s.verdict is Verdict.NOT_RUN] == ["killed", "later"]
    assert run.counts[Verdict.NOT_RUN] == 2


def test_a_killed_run_can_be_reported_from_its_log(tmp_path: Path) -> None:
    folder, _ = recorded(tmp_path, killed=True)
    folder.report_file.unlink()
    folder.junit_file.unlink()
    data = folder.events_file.read_bytes()
    folder.events_file.write_bytes(data[:-20])
    run = load_run(folder)
    killed = run.scenario("killed")
    assert killed is not None
    assert killed.verdict is Verdict.INCOMPLETE
    assert killed.last is not None
    assert killed.last.reason == ENDED_HERE
    assert run.log_is_cut
    assert run.exit_status == 1
    page = build_report(folder.path).read_text()
    assert "did not end by itself" in page
    assert "the run ended before it began" in page
    assert folder.junit_file.is_file()


def test_a_killed_run_without_failures_ends_with_3(tmp_path: Path) -> None:
    builder = RunBuilder()
    builder.apply({"event": "PlanMade", "scenarios": [{"id": "a"}, {"id": "b"}]})
    builder.apply({"event": "ScenarioStarted", "scenario_id": "a", "steps": ["x"]})
    builder.apply({"event": "StepStarted", "scenario_id": "a", "index": 0, "text": "x"})
    run = builder.end()
    assert [scenario.verdict for scenario in run.scenarios] == [
        Verdict.INCOMPLETE,
        Verdict.NOT_RUN,
    ]
    assert run.scenarios[0].last is not None
    assert run.scenarios[0].last.steps[0].verdict is Verdict.INCOMPLETE
    assert run.exit_status == 3


def test_problems_of_a_plan_are_never_green() -> None:
    builder = RunBuilder()
    builder.apply({"event": "PlanMade", "scenarios": [{"id": "a"}], "problems": ["f:1: bad"]})
    builder.apply({"event": "ScenarioStarted", "scenario_id": "a"})
    builder.apply({"event": "ScenarioFinished", "scenario_id": "a", "verdict": "passed"})
    assert builder.end().exit_status == 2


def test_every_attempt_is_kept() -> None:
    builder = RunBuilder()
    for verdict in ("failed", "passed"):
        builder(
            ScenarioStarted(
                scenario_id="a",
                name="a",
                feature="f",
                feature_file="f.feature",
                location="f.feature:1",
                tags=[],
                steps=[],
            )
        )
        builder(ScenarioFinished(scenario_id="a", verdict=verdict, seconds=1.0))
    (scenario,) = builder.end().scenarios
    assert [attempt.verdict for attempt in scenario.attempts] == ["failed", "passed"]
    assert scenario.verdict is Verdict.FLAKY


def test_a_log_that_counts_a_flaky_scenario_as_passed_is_counted_by_its_attempts(
    tmp_path: Path,
) -> None:
    folder, events = RunFolder.create(tmp_path), Events()
    with attach(events, folder, Settings()):
        sample = Sample(folder, events)
        sample.flaky()
        sample.tell(RunFinished, counts={"passed": 1}, exit_status=1)
    run = load_run(folder)
    assert {verdict: number for verdict, number in run.counts.items() if number} == {"flaky": 1}
    assert run.exit_status == 1
    assert not run.notes


def test_one_attempt_is_never_flaky_whatever_a_log_says() -> None:
    builder = RunBuilder()
    builder.apply({"event": "ScenarioStarted", "scenario_id": "a"})
    builder.apply({"event": "ScenarioFinished", "scenario_id": "a", "verdict": "flaky"})
    assert builder.end().scenarios[0].verdict is Verdict.INCOMPLETE


def test_what_failed_in_one_run_and_passed_in_another_is_flaky_in_the_whole(tmp_path: Path) -> None:
    parts = []
    for verdict in ("failed", "passed"):
        folder, events = RunFolder.create(tmp_path), Events()
        with attach(events, folder, Settings()):
            sample = Sample(folder, events)
            sample.flaky(verdicts=[verdict])
            sample.flaky("steady", ["passed"])
            sample.tell(RunFinished, counts={verdict: 1, "passed": 1}, exit_status=0)
        parts.append(folder)
    assert merge_runs(parts, tmp_path / "whole") == 1
    last = read_events(tmp_path / "whole" / "events.jsonl").events[-1]
    assert last["counts"] == {"passed": 1, "flaky": 1}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"event": "Unknown"},
        {"event": "PlanMade", "scenarios": [None, 3, {}], "excluded": "x", "problems": {}},
        {"event": "StepFinished", "scenario_id": "nobody", "index": 1e300, "verdict": "odd"},
        {"event": "StepStarted", "scenario_id": "a", "index": -5, "table": ["x", None]},
        {"event": "StepFinished", "scenario_id": "a", "index": 10**9, "verdict": "odd"},
        {"event": "Looked", "look": [], "files": 3, "wanted": "x"},
        {"event": "RunStarted", "environment": 4, "command": None, "time": float("nan")},
    ],
)
def test_odd_events_are_survived(event: dict[str, object]) -> None:
    builder = RunBuilder()
    builder.apply({"event": "ScenarioStarted", "scenario_id": "a", "steps": ["one"]})
    builder.apply(event)
    assert builder.end().scenario("a") is not None


def test_console_junit_and_page_agree_with_the_exit_status(tmp_path: Path) -> None:
    folder, events, stream = RunFolder.create(tmp_path), Events(), io.StringIO()
    with attach(events, folder, Settings(), terminal=Terminal(folder, stream=stream)):
        Sample(folder, events).whole()
    junit = ET.parse(folder.junit_file).getroot()
    assert (junit.get("failures"), junit.get("errors")) == ("3", "5")  # 4 and the plan's problem
    page = folder.report_file.read_text()
    assert "3 of 8 scenarios failed" in page
    assert "1 test error, 1 incomplete, 2 not run" in page
    assert "3 failed, 1 test error, 1 incomplete, 2 not run" in stream.getvalue()
    for text in (page, stream.getvalue()):
        assert re.search(r"Exit status 1: the image under test failed", text)


def test_a_status_that_contradicts_the_verdicts_is_said() -> None:
    builder = RunBuilder()
    builder.apply({"event": "ScenarioStarted", "scenario_id": "a"})
    builder.apply({"event": "ScenarioFinished", "scenario_id": "a", "verdict": "failed"})
    builder.apply({"event": "RunFinished", "exit_status": 0})
    builder.end()
    (note,) = builder.end().notes
    assert note.level == "warning"
    assert "status 0" in note.text


def test_trouble_with_the_disk_is_raised_where_somebody_can_act(tmp_path: Path) -> None:
    folder, events = RunFolder.create(tmp_path), Events()
    folder.events_file.symlink_to("/dev/full")
    recorder = attach(events, folder, Settings())
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            events.publish(Noted(text="from libvirt's thread"))
        except InfrastructureError as error:
            raised.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert raised == []
    with pytest.raises(InfrastructureError, match=r"events\.jsonl"):
        events.publish(Noted(text="from the run's own"))
    events.publish(Noted(text="no second time"))
    recorder.close()


def test_what_ended_a_run_is_not_hidden_by_a_report_that_failed(tmp_path: Path) -> None:
    folder, events = RunFolder.create(tmp_path), Events()
    with pytest.raises(KeyError) as caught, attach(events, folder, Settings()):
        folder.path.rename(tmp_path / "moved")
        raise KeyError("the first trouble")
    assert any("junit.xml" in note for note in caught.value.__notes__)
