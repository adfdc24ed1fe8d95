"""A process that hangs is killed by whoever started it, and its scenario is over."""

import os
import signal

import psutil
import pytest
from suite_tools import feature, make_suite, scenario
from test_suite_spread_runner import Crew, Place

from tailstest.core.deadline import Deadline, poll
from tailstest.core.events import Events, ScenarioFinished, ScenarioStarted, StepFinished
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.progress import SeveralAtOnce
from tailstest.suite.assembly import RunOrder
from tailstest.suite.plan import make_plan
from tailstest.suite.run_options import RunOptions
from tailstest.suite.spread import scenario_process, worker
from tailstest.suite.spread.assignment import Assignment
from tailstest.suite.spread.scenario_process import ProcessSilent, ScenarioProcess
from tailstest.suite.spread.spread_runner import SpreadRunner
from tailstest.suite.spread.turns import Turn

STEPS = '''
import os, signal, subprocess
from pathlib import Path
from behave import step

@step('I stop, and write into "{file}"')
def stop(context, file):
    """Stop this process."""
    with Path(file).open("a") as notes:
        notes.write(f"{os.getpid()} ")
    os.kill(os.getpid(), signal.SIGSTOP)

@step('I start a program, and write into "{file}"')
def start(context, file):
    """Start a program that ends when it is told to, with all files that we have open."""
    program = subprocess.Popen(["sleep", "3600"], close_fds=False)
    Path(file).write_text(str(program.pid))

@step("I hang")
def hang(context):
    """Wait for what never comes."""
    signal.pause()
'''


class Suite:
    """A suite, and what a process needs to run its scenarios."""

    def __init__(self, folder, limit):
        self.folder = folder
        self.stopped, self.program = folder / "stopped", folder / "program"
        root = make_suite(
            folder / "suite",
            f=feature(
                "@spread",
                scenario("stops", "When I pass", f'When I stop, and write into "{self.stopped}"'),
                scenario(
                    "leaves a program",
                    f'When I start a program, and write into "{self.program}"',
                    f'And I stop, and write into "{self.stopped}"',
                ),
                scenario("hangs", "When I hang"),
                "@spread",
                scenario("passes", "When I pass"),
            ),
        )
        (root / "steps" / "stopping.py").write_text(STEPS, encoding="utf-8")
        self.plan = make_plan([str(root)])
        self.ids = {each.name: each.id for each in self.plan.scenarios}
        options = RunOptions([str(root)], checkpoints=False)
        self.order = RunOrder(options, Settings(scenario_limit=limit), None, (), folder)

    def assignment(self):
        own = self.folder / "worker-1"
        own.mkdir(exist_ok=True)
        return Assignment(
            order=self.order,
            folder=own,
            root=self.folder,
            directory=self.folder,
            environment={"host": {"deadline_scale": 2.0}},
        )

    def processes(self):
        """Return the numbers of the processes that came to stop, in their order."""
        return [int(each) for each in self.stopped.read_text().split()]


@pytest.fixture
def suite(tmp_path):
    suite = Suite(tmp_path, limit=3600.0)
    yield suite
    if suite.program.exists():
        os.kill(int(suite.program.read_text()), signal.SIGKILL)


class Patient(ScenarioProcess):
    """Has all the time of the world, until its scenario has stopped it."""

    allowed: list[float]

    def run(self, scenario, tell):
        self.allowed = []

        def watched(line):
            tell(line)
            if '"StepStarted"' in line and "I stop" in line:
                process = psutil.Process(self.pid)
                assert poll(
                    lambda: process.status() == psutil.STATUS_STOPPED or None, Deadline.after(300)
                )
                super(Patient, self)._expect_end(0.05)

        return super().run(scenario, watched)

    def _expect_end(self, seconds):
        self.allowed.append(seconds)
        super()._expect_end(seconds)


@pytest.fixture
def process(suite, monkeypatch):
    """A process of that suite, which has no time left once it has stopped."""
    monkeypatch.setattr(scenario_process, "GRACE", 0.0)
    process = Patient(suite.assignment())
    yield process
    process.close()


def test_a_process_tells_how_long_its_scenario_may_take_on_this_host(suite, process):
    ended = process.run(suite.ids["passes"], lambda _line: None)
    assert ended.verdicts == {suite.ids["passes"]: Verdict.PASSED}
    assert process.allowed == [3600.0, 7200.0]
    assert process.is_alive


@pytest.mark.parametrize("name", ["stops", "leaves a program"])
def test_a_process_that_stopped_is_killed(suite, process, name):
    with pytest.raises(ProcessSilent):
        process.run(suite.ids[name], lambda _line: None)
    assert not process.is_alive
    assert process._process.wait(60) == -signal.SIGKILL


def test_without_a_limit_nobody_waits_to_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(scenario_process, "GRACE", 0.0)
    suite = Suite(tmp_path, limit=0.0)
    process = Patient(suite.assignment())
    try:
        ended = process.run(suite.ids["passes"], lambda _line: None)
        assert ended.verdicts == {suite.ids["passes"]: Verdict.PASSED}
        assert process.allowed == [0.0]
        assert process._silent is None
    finally:
        process.close()


def test_a_process_interrupts_what_hangs_by_itself_and_goes_on(tmp_path):
    suite = Suite(tmp_path, limit=0.2)
    process = ScenarioProcess(suite.assignment())
    try:
        ended = process.run(suite.ids["hangs"], lambda _line: None)
        assert ended.verdicts == {suite.ids["hangs"]: Verdict.INCOMPLETE}
        assert process.is_alive
    finally:
        process.close()


class OwnPlace(Place):
    """Has one assignment for each process."""

    def __init__(self, assignment):
        self._assignment = assignment

    def assignment(self):
        return self._assignment


def test_a_scenario_whose_process_stopped_is_incomplete_at_once_and_others_run(suite, monkeypatch):
    monkeypatch.setattr(scenario_process, "GRACE", 0.0)
    monkeypatch.setattr(worker, "ScenarioProcess", Patient)
    told, events = [], Events()
    events.subscribe(told.append)
    ids = [suite.ids["stops"], suite.ids["passes"]]
    turns = [Turn(ids[0], None, 1.0), Turn(ids[1], ids[0], 1.0)]
    plan = make_plan([str(suite.folder / "suite")], tags="@spread")
    crew = Crew(OwnPlace(suite.assignment()))
    result = SpreadRunner(crew, plan, turns, suite.folder, events, SeveralAtOnce()).run()
    assert result.verdicts == {ids[0]: Verdict.INCOMPLETE, ids[1]: Verdict.PASSED}
    assert len(suite.processes()) == 1
    assert [each.scenario_id for each in told if isinstance(each, ScenarioStarted)] == ids
    (text,) = {each.error for each in told if getattr(each, "error", "")}
    assert "“When I stop, and write into" in text
    assert "was killed" in text
    kinds = [type(each) for each in told if getattr(each, "error", "")]
    assert kinds == [StepFinished, ScenarioFinished]
