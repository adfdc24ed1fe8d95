"""What known bugs have to do with how a scenario ended, wherever a run is shown."""

from __future__ import annotations

import datetime
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.excuses import excuse_of
from tailstest.results.junit import build_junit
from tailstest.results.known import day_of
from tailstest.results.recorder import attach
from tailstest.results.report import write_report
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import (
    AttemptRecord,
    LookRecord,
    Run,
    ScenarioRecord,
    StepRecord,
)
from tailstest.results.terminal import Terminal

NOON = datetime.datetime(2026, 11, 29, 12).timestamp()
BUG = "known:tails#20001:2026-12-31"


def told(one, started=NOON):
    return excuse_of(one, Run(started=started, scenarios=[one]))


def attempt(verdict, *, looks=()):
    step = StepRecord(0, "I see it", "Then", verdict=verdict, error="not there", looks=list(looks))
    return AttemptRecord(NOON + 86_400, [step], verdict=verdict, is_finished=True)


def look(*, found, known=""):
    return LookRecord("image", ["it"], found, {"known": known} if known else {}, {}, NOON)


def scenario(tags, *attempts, name="It works"):
    return ScenarioRecord(name, name, "F", "f.feature", "f.feature:3", list(tags), "", [*attempts])


@pytest.mark.parametrize(
    ("tags", "verdict", "excuse"),
    [
        ([BUG], Verdict.FAILED, "known: tails#20001 until 2026-12-31"),
        (["known:B:2026-11-29"], Verdict.FAILED, "known: B until 2026-11-29"),
        (["known:B:2026-11-28"], Verdict.FAILED, "B was to excuse it until 2026-11-28 only"),
        (["known:B"], Verdict.FAILED, "@known:B excuses nothing"),
        ([BUG], Verdict.PASSED, "it passes, although it is known to fail (tails#20001)"),
        ([BUG], Verdict.INCOMPLETE, ""),
        (["slow"], Verdict.FAILED, ""),
        ([], Verdict.PASSED, ""),
    ],
)
def test_the_tags_say_it(tags, verdict, excuse):
    said = told(scenario(tags, attempt(verdict)))
    assert said.startswith(excuse)
    assert bool(said) is bool(excuse)


def test_a_picture_says_it_of_the_step_that_missed_it():
    missed = attempt(Verdict.FAILED, looks=[look(found=False, known="B:2026-12-31")])
    assert told(scenario([], missed)) == "known: B until 2026-12-31"
    other = attempt(Verdict.FAILED, looks=[look(found=True, known="B:2026-12-31")])
    assert told(scenario([], other)) == ""


def test_what_was_not_run_needs_no_excuse():
    assert told(scenario([BUG])) == ""


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), 1e30, -1e30])
def test_a_clock_that_tells_nonsense_ends_every_excuse_or_none(moment):
    assert day_of(moment) == day_of(-1e30)
    assert told(scenario([BUG], attempt(Verdict.FAILED)), started=moment)


@pytest.fixture
def run():
    return Run(
        run_id="r",
        started=NOON,
        ended=NOON + 1,
        is_finished=True,
        scenarios=[
            scenario([BUG], attempt(Verdict.FAILED), name="It fails"),
            scenario([BUG], attempt(Verdict.PASSED), name="It passes"),
            scenario(["known:<b>:2026-12-31"], attempt(Verdict.FAILED), name="It is marked up"),
            scenario([], attempt(Verdict.PASSED), name="Nobody doubts it"),
        ],
    )


def test_the_summary_names_the_bug(run, tmp_path):
    stream = io.StringIO()
    Terminal(RunFolder.create(tmp_path), stream=stream).end(run, None)
    lines = {line.partition("f.feature:3  ")[2]: line for line in stream.getvalue().splitlines()}
    failing = next(line for text, line in lines.items() if text.startswith("It fails"))
    assert failing.startswith("Failed ")
    assert failing.endswith("  known: tails#20001 until 2026-12-31")
    passing = next(line for text, line in lines.items() if text.startswith("It passes"))
    assert "although it is known to fail (tails#20001): end the excuse" in passing
    assert not any("Nobody doubts it" in line for line in lines.values())


def test_the_summary_of_one_scenario_names_it_too(run, tmp_path):
    stream = io.StringIO()
    del run.scenarios[1:]
    Terminal(RunFolder.create(tmp_path), stream=stream).end(run, None)
    assert "\nknown: tails#20001 until 2026-12-31\n" in stream.getvalue()


def test_junit_has_it_as_a_property_and_in_words(run, tmp_path):
    root = build_junit(run, RunFolder.create(tmp_path), output_limit=100_000)
    cases = {case.get("name"): case for case in root.iter("testcase")}

    def known(name):
        found = cases[name].findall("properties/property[@name='tailstest.known']")
        return [each.get("value") for each in found]

    assert known("It fails") == ["known: tails#20001 until 2026-12-31"]
    assert "known: tails#20001" in cases["It fails"].find("failure").text
    assert known("It passes")[0].startswith("it passes, although")
    assert cases["It passes"].find("failure") is None
    assert known("Nobody doubts it") == []
    ET.tostring(root)


def test_the_report_shows_it_and_believes_no_markup(run, tmp_path):
    folder = RunFolder.create(tmp_path)
    with attach(Events(), folder, Settings()):
        pass
    page = Path(write_report(run, folder)).read_text(encoding="utf-8")
    assert '<span class="flag known">known: tails#20001 until 2026-12-31</span>' in page
    assert "known: &lt;b&gt; until 2026-12-31" in page
    assert "<b> until" not in page
