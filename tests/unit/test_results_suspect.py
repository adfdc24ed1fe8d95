"""What is suspected behind attempts, rule by rule, from the evidence that real runs leave."""

from __future__ import annotations

import datetime
import io
from dataclasses import replace
from pathlib import Path

import pytest
from results_sample import Sample
from store_tools import made_run, open_store
from suite_tools import Ran, feature, make_suite, scenario

from tailstest.core.cut_off import CutOff
from tailstest.core.events import (
    Events,
    MachineChanged,
    Noted,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepStarted,
)
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.answers.flaky import flaky_scenarios
from tailstest.results.answers.history import history_of
from tailstest.results.recorder import attach
from tailstest.results.run_builder import RunBuilder, load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import LookRecord
from tailstest.results.store.adding import add_run
from tailstest.results.store.tables import SUSPECT_CODES
from tailstest.results.suspect import Suspect
from tailstest.results.suspect_rules import RULES, Evidence, suspicion, suspicion_of
from tailstest.results.terminal import Terminal

DAY = datetime.date(2026, 12, 1)
FAILED = Evidence(Verdict.FAILED, "CheckFailed", 'the picture "x" was not seen within 30 s')
LOST = Evidence(
    Verdict.INCOMPLETE, "GuestUnreachable", "the agent did not answer within 20 seconds"
)
BUSY = ("the host is overloaded: 9.0 processes want each core, with patience for 1.0",)


def picture(outcome: str, correlation: float = 0.5, limit: float = 0.9) -> LookRecord:
    area = {"scores": {"correlation": correlation}, "limits": {"correlation": limit}}
    look = {"outcome": outcome, "areas": [area]}
    return LookRecord("reference", ["x"], False, look, {}, 0.0)


def text(score: float, *lines: str) -> LookRecord:
    look = {"score": score, "threshold": 0.92, "lines": [{"text": line} for line in lines]}
    return LookRecord("text", ["x"], False, look, {}, 0.0)


@pytest.mark.parametrize(
    ("evidence", "suspect", "rule"),
    [
        (Evidence(Verdict.INCOMPLETE, "", "interrupted"), "infrastructure", "cut off"),
        (
            replace(LOST, notes=("machine tester: gone (QEMU ended without being asked to)",)),
            "infrastructure",
            "emulator gone",
        ),
        (replace(FAILED, kind="MachineStopped"), "machine crashed", "guest stopped"),
        (
            replace(LOST, notes=("machine tester: crashed (kernel panic reported)",)),
            "machine crashed",
            "guest stopped",
        ),
        (
            replace(FAILED, missed=(text(0.1, "Kernel panic - not syncing: VFS"),)),
            "machine crashed",
            "guest stopped",
        ),
        (replace(FAILED, missed=(picture("absent"),), notes=BUSY), "host overloaded", None),
        (replace(LOST, notes=BUSY), "host overloaded", "host overloaded"),
        (LOST, "agent lost", "agent silent"),
        (replace(LOST, kind=""), "infrastructure", "host trouble"),
        (
            Evidence(Verdict.INCOMPLETE, "", "the line to the guest's agent was closed"),
            "agent lost",
            "agent silent",
        ),
        (Evidence(Verdict.INCOMPLETE, "OSError", "the disk is full"), "infrastructure", None),
        (Evidence(Verdict.ERRORED, "UsageError", "no step"), "test or reference stale", None),
        (replace(FAILED, missed=(picture("text differs"),)), "test or reference stale", None),
        (replace(FAILED, missed=(picture("another colour"),)), "test or reference stale", None),
        (replace(FAILED, missed=(picture("absent", 0.75),)), "test or reference stale", None),
        (replace(FAILED, missed=(picture("absent", 0.6),)), "product changed", "not on the screen"),
        (replace(FAILED, missed=(picture("greyed out", 0.99),)), "product changed", None),
        (replace(FAILED, missed=(text(0.8),)), "test or reference stale", "text reworded"),
        (replace(FAILED, missed=(text(0.5),)), "product changed", "not on the screen"),
        (replace(FAILED, error="expected 1, seen 2"), "product changed", "check failed"),
        (Evidence(Verdict.FAILED, "", ""), "unknown", "no evidence"),
        (
            Evidence(Verdict.FAILED, "AssertionError", "an assertion of the step failed"),
            "unknown",
            "no evidence",
        ),
    ],
)
def test_each_rule(evidence: Evidence, suspect: str, rule: str | None) -> None:
    found = suspicion(evidence)
    assert found.suspect == suspect
    assert rule in (None, found.rule)


@pytest.mark.parametrize(
    "said",
    [
        "interrupted",
        "the run ended while this was going on",
        "the process that ran it was lost",
        "each process that ran it was killed",
        "each worker that ran it was lost",
        "the connection to the scheduler was lost",
        "the worker process that ran it was killed",
    ],
)
def test_whatever_was_ever_said_of_what_was_ended_from_outside_is_known(said: str) -> None:
    assert suspicion(Evidence(Verdict.INCOMPLETE, "", said)).rule == "cut off"
    assert suspicion(Evidence(Verdict.FAILED, "", said)).rule == "check failed"
    kept = f"the file was not kept: {said} before"
    assert suspicion(Evidence(Verdict.INCOMPLETE, "", kept)).rule == "host trouble"


@pytest.mark.parametrize("said", CutOff)
def test_whatever_is_said_of_what_is_ended_from_outside_is_known(said: CutOff) -> None:
    assert suspicion(Evidence(Verdict.INCOMPLETE, "", said.value)).rule == "cut off"


def test_a_busy_host_does_not_excuse_what_took_no_time() -> None:
    quick = Evidence(Verdict.FAILED, "CheckFailed", "expected 1, seen 2", notes=BUSY)
    assert suspicion(quick).suspect is Suspect.PRODUCT


def test_only_the_search_that_came_last_speaks() -> None:
    both = (picture("absent", 0.1), picture("text differs"))
    assert suspicion(replace(FAILED, missed=both)).suspect is Suspect.PRODUCT


def test_rules_can_be_read_and_each_suspect_has_one() -> None:
    assert {rule.suspect for rule in RULES} == set(Suspect) == set(SUSPECT_CODES)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.looks_at and rule.why for rule in RULES)


def test_codes_of_suspects_never_change() -> None:
    assert {str(suspect): code for suspect, code in SUSPECT_CODES.items()} == {
        "unknown": 0,
        "product changed": 1,
        "test or reference stale": 2,
        "machine crashed": 3,
        "agent lost": 4,
        "host overloaded": 5,
        "infrastructure": 6,
    }


@pytest.mark.parametrize("damage", [{"areas": 3}, {"areas": [3]}, {"areas": [{"scores": 1}]}])
def test_a_damaged_log_gives_a_suspicion_and_no_crash(damage: dict[str, object]) -> None:
    look = LookRecord("reference", [], False, {"outcome": "absent", **damage, "lines": 7}, {}, 0.0)
    assert suspicion(replace(FAILED, missed=(look,))).suspect in Suspect


def told(*between: object, error: str = "", kind: str = "") -> RunBuilder:
    builder, events = RunBuilder(), Events()
    events.subscribe(builder)
    told = {"name": "s", "feature": "f", "feature_file": "f", "location": "f:1", "tags": []}
    events.publish(ScenarioStarted(scenario_id="s", steps=["x"], **told))  # type: ignore[arg-type]
    events.publish(StepStarted(scenario_id="s", index=0, keyword="Then", text="x", location="f:2"))
    for event in between:
        events.publish(event)  # type: ignore[arg-type]
    ended = {"scenario_id": "s", "verdict": "failed", "seconds": 1.0, "error": error, "kind": kind}
    events.publish(StepFinished(index=0, **ended))  # type: ignore[arg-type]
    events.publish(ScenarioFinished(**ended))  # type: ignore[arg-type]
    return builder


@pytest.mark.parametrize(
    ("event", "suspect"),
    [
        (MachineChanged(machine="tester", state="watchdog"), Suspect.CRASH),
        (MachineChanged(machine="tester", state="gone", detail="x"), Suspect.INFRASTRUCTURE),
        (Noted(text=BUSY[0], level="warning"), Suspect.HOST),
        (Noted(text=BUSY[0], level="info"), Suspect.PRODUCT),
    ],
)
def test_events_become_evidence(event: object, suspect: Suspect) -> None:
    run = told(event, error="not seen within 3 s").run
    assert run.scenarios[0].last is not None
    found = suspicion_of(run.scenarios[0].last)
    assert found is not None
    assert found.suspect is suspect


def test_what_a_guest_prints_cannot_pretend_to_be_an_event_of_a_machine() -> None:
    run = told(Noted(text="machine tester: crashed"), error="expected 1, seen 2").run
    assert run.scenarios[0].last is not None
    assert str(suspicion_of(run.scenarios[0].last)).startswith("product changed")


def test_what_passed_suspects_nobody() -> None:
    run = made_run(1, {"a": "passed", "b": "skipped", "c": "manual"})
    assert [suspicion_of(each.attempts[0]) for each in run.scenarios] == [None, None, None]


def test_a_run_tells_the_class_of_each_error(tmp_path: Path) -> None:
    make_suite(
        tmp_path,
        a=feature(scenario("fails", "When I fail"), scenario("breaks", "When I break")),
        b=feature(scenario("lost", "When I nest a lost host"), scenario("fine", "When I pass")),
    )
    ran = Ran([tmp_path / "features"])
    kinds = [event.kind for event in ran.of("ScenarioFinished")]
    assert kinds[:2] == ["CheckFailed", "KeyError"]
    assert kinds[2]
    assert kinds[3] == ""
    assert {e.kind for e in ran.of("StepFinished") if e.verdict == "failed"} == {"CheckFailed"}


def test_report_and_store_tell_the_suspect(tmp_path: Path) -> None:
    folder, events = RunFolder.create(tmp_path), Events()
    with attach(events, folder, Settings()):
        Sample(folder, events).whole()
    page = folder.report_file.read_text(encoding="utf-8")
    assert "test or reference stale: nearly the same text is on the screen" in page
    assert "infrastructure: disk, memory, files or programs of the host let the run down" in page
    with open_store(tmp_path) as store:
        add_run(store, load_run(folder), folder.path)
        seen = {
            name: history_of(store, name, limit=1, today=DAY).entries[0].judged.suspect
            for name in ("pass", "grey", "text", "undefined", "host")
        }
    assert seen == {
        "pass": None,
        "grey": Suspect.PRODUCT,
        "text": Suspect.TEST,
        "undefined": Suspect.TEST,
        "host": Suspect.INFRASTRUCTURE,
    }


def test_a_flake_tells_who_was_suspected_last(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"a": ["failed", "passed"]}, image="a"))
        (flake,), _runs = flaky_scenarios(store, last=10)
    assert flake.last_suspect is Suspect.PRODUCT
    assert flake.to_json()["last_suspect"] == "product changed"


def test_the_end_of_a_run_on_a_terminal_names_suspects(tmp_path: Path) -> None:
    folder, events, stream = RunFolder.create(tmp_path), Events(), io.StringIO()
    terminal = Terminal(folder, stream=stream, live=False)
    with attach(events, folder, Settings(), terminal=terminal):
        Sample(folder, events).whole()
    lines = stream.getvalue().splitlines()
    assert any("The first question is asked  suspect: test or reference" in each for each in lines)
    alone = io.StringIO()
    terminal = Terminal(folder, stream=alone, live=False)
    terminal.end(told(error="expected 1, seen 2").run, None)
    assert "Suspect: product changed: the image answered something else" in alone.getvalue()
