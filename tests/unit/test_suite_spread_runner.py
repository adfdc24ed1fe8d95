"""What becomes of scenarios on workers whose processes, workers or files are lost."""

from contextlib import contextmanager
from types import SimpleNamespace
from typing import ClassVar

import distributed
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import (
    ArtifactKept,
    Events,
    Noted,
    RunFinished,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepStarted,
)
from tailstest.core.verdict import Verdict
from tailstest.results.event_log import event_line
from tailstest.results.progress import SeveralAtOnce
from tailstest.results.run_builder import RunBuilder
from tailstest.results.suspect_rules import suspicion_of
from tailstest.suite.plan import make_plan
from tailstest.suite.spread import spread_runner, worker
from tailstest.suite.spread.cluster import local_cluster
from tailstest.suite.spread.scenario_process import Ended, ProcessDied, ProcessSilent
from tailstest.suite.spread.spread_runner import SpreadRunner
from tailstest.suite.spread.turns import Turn
from tailstest.suite.spread.worker import Outcome

FEATURE = """Feature: f
  Scenario: leader
    Then nothing

  Scenario: follower
    Then nothing

  Scenario: last
    Then nothing
"""
STEP = '''
from behave import then

@then("nothing")
def nothing(context):
    """Check nothing."""
'''


class Place:
    def open(self, threads):
        """Nothing to be done."""

    def assignment(self):
        return None

    def close(self):
        """Nothing to be done."""


class Crew:
    """Workers in this process; what is asked of them is noted."""

    resources: ClassVar = {}
    patience = 0.0

    def __init__(self, place):
        Crew.last = self
        self.place = place
        self.fetched = []
        self.told = []

    @contextmanager
    def at_work(self, run, folder):
        with local_cluster(1, folder / "dask") as client:
            yield client

    def supply(self):
        """Everything is here."""

    def fetch(self, place, files):
        self.fetched += files
        return [each for each in files if "lost" in each]

    def notes(self):
        told, self.told = self.told, []
        return told


class Process:
    """Stands for a process that runs scenarios; `behaviour` says how."""

    is_alive = True
    is_told_to_end = False

    def __init__(self, assignment):
        """Nothing is started."""

    def run(self, scenario, tell):
        return self.behaviour(scenario, tell)

    def interrupt(self):
        """There is nothing that could be."""

    def close(self):
        """There is nothing to be."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs three scenarios, each of which waits for the one before."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "own.py").write_text(STEP)
    (tmp_path / "f.feature").write_text(FEATURE)
    plan = make_plan([str(tmp_path / "f.feature")])
    ids = {each.name: each.id for each in plan.scenarios}
    names = {each.id: each.name for each in plan.scenarios}

    class Run:
        def __init__(self, behaviour, *, stop=False):
            def named(scenario, tell):
                return behaviour(names[scenario], tell)

            monkeypatch.setattr(Process, "behaviour", staticmethod(named), raising=False)
            monkeypatch.setattr(worker, "ScenarioProcess", Process)
            self.events = []
            events = Events()
            events.subscribe(self.events.append)
            self.crew = Crew(Place())
            order = [ids["leader"], ids["follower"], ids["last"]]
            turns = [
                Turn(each, before, 1.0)
                for each, before in zip(order, [None, *order[:-1]], strict=True)
            ]
            runner = SpreadRunner(
                self.crew, plan, turns, tmp_path, events, SeveralAtOnce(), stop=stop
            )
            self.result = runner.run()
            self.verdicts = {names.get(key, key): v for key, v in self.result.verdicts.items()}

        def errors(self):
            ended = [each for each in self.events if isinstance(each, ScenarioFinished)]
            return {names[each.scenario_id]: each.error for each in ended if each.error}

        def rules(self, name):
            """Return by which rules it was found whose trouble each attempt is."""
            builder = RunBuilder()
            for event in self.events:
                builder(event)
            attempts = builder.end().scenario(ids[name]).attempts
            suspected = [suspicion_of(each) for each in attempts]
            return [each.rule if each else "" for each in suspected]

    Run.ids = ids
    return Run


def passed(run, name):
    return Ended({run.ids[name]: Verdict.PASSED})


@pytest.mark.parametrize(
    ("error", "verdict", "said", "rule"),
    [
        (ProcessDied("x"), Verdict.INCOMPLETE, "each process that ran it was killed", "cut off"),
        (UsageError("f:2: it is gone"), Verdict.ERRORED, "f:2: it is gone", "mistake in the test"),
        (InfrastructureError("no space"), Verdict.INCOMPLETE, "no space", "host trouble"),
        (ValueError("x"), Verdict.INCOMPLETE, "the worker: ValueError: x", "host trouble"),
    ],
)
def test_a_scenario_that_cannot_run_takes_none_along_that_waits_for_it(
    run, error, verdict, said, rule
):
    def behaviour(name, tell):
        if name == "leader":
            raise error
        return passed(run, name)

    done = run(behaviour)
    assert done.verdicts == {
        "leader": verdict,
        "follower": Verdict.PASSED,
        "last": Verdict.PASSED,
    }
    assert done.errors() == {"leader": said}
    assert done.rules("leader") == [rule]


def lost_with_its_workers(_run, scenario, after=None):
    """Stands for a task that Dask gives up since each worker that ran it was lost."""
    if scenario == lost_with_its_workers.scenario:
        dask_worker = distributed.get_worker()
        raise distributed.KilledWorker(
            dask_worker.get_current_task(), SimpleNamespace(address=dask_worker.address), 3
        )
    lost_with_its_workers.ran.append((scenario, after))
    return Outcome("t", 0, {scenario: Verdict.PASSED})


def test_what_waits_for_a_scenario_that_lost_all_its_workers_runs_without_it(run, monkeypatch):
    lost_with_its_workers.scenario, lost_with_its_workers.ran = run.ids["leader"], []
    monkeypatch.setattr(spread_runner, "run_scenario", lost_with_its_workers)
    done = run(None)
    assert done.verdicts == {
        "leader": Verdict.INCOMPLETE,
        "follower": Verdict.PASSED,
        "last": Verdict.PASSED,
    }
    assert done.errors() == {"leader": "each worker that ran it was lost"}
    assert done.rules("leader") == ["cut off"]
    ran = [(run.ids["follower"], None), (run.ids["last"], None)]
    assert sorted(lost_with_its_workers.ran) == sorted(ran)


def test_what_a_killed_process_had_kept_is_brought_or_missed(run):
    tried = []

    def behaviour(name, tell):
        tell(event_line(started(run.ids[name])))
        if name != "leader":
            return passed(run, name)
        tried.append(name)
        path = f"worker-1/{'lost' if len(tried) == 1 else 'kept'}-{len(tried)}.txt"
        tell(event_line(ArtifactKept(kind="log", path=path, title="t")))
        if len(tried) == 1:
            raise ProcessDied("killed")
        return passed(run, name)

    done = run(behaviour)
    assert done.crew.fetched == ["worker-1/lost-1.txt", "worker-1/kept-2.txt"]
    notes = [each.text for each in done.events if isinstance(each, Noted)]
    assert notes == ["1 files of this scenario did not come from its worker"]
    attempts = [each for each in done.events if isinstance(each, ScenarioStarted)]
    assert len(attempts) == 4
    assert done.errors() == {"leader": "the process that ran it was lost"}
    assert done.rules("leader")[0] == "cut off"


def test_what_a_scenario_had_kept_that_lost_all_its_processes_is_brought(run):
    tried = []

    def behaviour(name, tell):
        if name != "leader":
            return passed(run, name)
        tried.append(name)
        tell(event_line(started(run.ids[name])))
        tell(event_line(ArtifactKept(kind="log", path=f"worker-1/{len(tried)}.txt", title="t")))
        raise ProcessDied("killed")

    done = run(behaviour)
    assert done.crew.fetched == ["worker-1/1.txt", "worker-1/2.txt"]
    assert done.verdicts["leader"] == Verdict.INCOMPLETE


def test_what_the_crew_has_to_say_is_told_while_scenarios_go_on(run):
    def behaviour(name, tell):
        if name == "leader":
            crew = Crew.last
            crew.told.append("a worker came late")
            assert poll(lambda: not crew.told or None, Deadline.after(30))
        return passed(run, name)

    done = run(behaviour)
    assert done.verdicts["leader"] == Verdict.PASSED
    notes = [each for each in done.events if isinstance(each, Noted)]
    assert [(each.text, each.level) for each in notes] == [("a worker came late", "warning")]


def connection_is_closed(_future):
    raise OSError("connection closed")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("result", connection_is_closed),
        ("status", property(lambda _future: "cancelled")),
    ],
)
def test_an_outcome_that_was_told_counts_though_the_scheduler_is_lost_then(
    run, monkeypatch, attribute, value
):
    monkeypatch.setattr(distributed.Future, attribute, value)
    monkeypatch.setattr(spread_runner, "_LAST_WORDS", 0.1)

    def behaviour(name, tell):
        if name == "last":
            raise UsageError("told by nobody")
        return passed(run, name)

    done = run(behaviour)
    assert done.verdicts == {
        "leader": Verdict.PASSED,
        "follower": Verdict.PASSED,
        "last": Verdict.INCOMPLETE,
    }
    assert done.errors() == {"last": "the connection to the scheduler was lost"}
    assert done.rules("last") == ["cut off"]


def attempts(run, tell, name, *verdicts):
    for verdict in verdicts:
        tell(event_line(started(run.ids[name])))
        ended = ScenarioFinished(scenario_id=run.ids[name], verdict=verdict, seconds=1.0)
        tell(event_line(ended))


def counts(done):
    (finished,) = [each for each in done.events if isinstance(each, RunFinished)]
    return finished.counts, finished.exit_status


def test_what_a_worker_tells_as_flaky_is_counted_so_and_ends_a_run_that_stops(run):
    def behaviour(name, tell):
        attempts(run, tell, name, "failed", "passed")
        return Ended({run.ids[name]: Verdict.FLAKY})

    done = run(behaviour, stop=True)
    assert done.verdicts["leader"] == Verdict.FLAKY
    assert counts(done) == ({"flaky": 1, "not run": 2}, 1)


def test_nobody_is_told_to_stop_through_a_scheduler_that_is_lost(run, monkeypatch):
    def closed(_event):
        raise distributed.comm.CommClosedError("in <TCP>: ConnectionRefusedError")

    monkeypatch.setattr(distributed.Event, "set", closed)

    def behaviour(name, tell):
        attempts(run, tell, name, "failed" if name == "leader" else "passed")
        return Ended({run.ids[name]: Verdict.FAILED if name == "leader" else Verdict.PASSED})

    done = run(behaviour, stop=True)
    assert done.verdicts["leader"] == Verdict.FAILED
    assert counts(done)[1] == 1


def test_what_failed_before_its_process_was_lost_and_then_passed_is_flaky(run):
    tried = []

    def behaviour(name, tell):
        tried.append(name)
        if name == "leader" and tried.count(name) == 1:
            attempts(run, tell, name, "failed")
            raise ProcessDied("killed")
        attempts(run, tell, name, "passed")
        return passed(run, name)

    done = run(behaviour)
    assert done.verdicts["leader"] == Verdict.FLAKY
    assert counts(done) == ({"flaky": 1, "passed": 2}, 1)


def started(scenario):
    return ScenarioStarted(
        scenario_id=scenario,
        name="n",
        feature="f",
        feature_file="f.feature",
        location="f.feature:2",
        tags=[],
        steps=[],
    )


def step(scenario, text="I wait"):
    return StepStarted(
        scenario_id=scenario, index=0, keyword="When", text=text, location="f.feature:3"
    )


def failed_step(scenario):
    return StepFinished(
        scenario_id=scenario,
        index=0,
        verdict="failed",
        seconds=1.0,
        error="expected a, seen b",
        kind="CheckFailed",
    )


def ended(scenario, verdict):
    return ScenarioFinished(scenario_id=scenario, verdict=verdict, seconds=1.0)


@pytest.mark.parametrize(
    ("events", "verdict", "attempts", "where"),
    [
        ([], "incomplete", ["incomplete"], "no scenario had begun"),
        ([started], "incomplete", ["incomplete"], "no step had begun"),
        ([started, step], "incomplete", ["incomplete"], "“When I wait” was going on"),
        ([started, step, failed_step], "failed", ["failed"], "it was behind “When I wait”"),
        (
            [started, lambda each: ended(each, "failed"), started, step],
            "failed",
            ["failed", "incomplete"],
            "“When I wait” was going on",
        ),
        (
            [started, step, lambda each: ended(each, "passed")],
            "passed",
            ["passed"],
            "it was behind the scenario",
        ),
    ],
)
def test_a_scenario_that_hung_is_over_at_once_and_says_where(run, events, verdict, attempts, where):
    tried = []

    def behaviour(name, tell):
        if name != "leader":
            return passed(run, name)
        tried.append(name)
        for make in events:
            tell(event_line(make(run.ids[name])))
        raise ProcessSilent(7800.0)

    done = run(behaviour)
    assert tried == ["leader"]
    assert done.verdicts.pop("leader") == verdict
    assert done.verdicts.pop("follower") == done.verdicts.pop("last") == Verdict.PASSED
    # What hung behind the last attempt counts besides it.
    behind = f"a process that hung, {run.ids['leader']}"
    assert done.verdicts == ({behind: Verdict.INCOMPLETE} if verdict == "passed" else {})
    assert done.result.exit_status == (1 if verdict == "failed" else 3)
    told = [each for each in done.events if isinstance(each, ScenarioFinished)]
    assert [each.verdict for each in told] == attempts
    texts = [getattr(each, "error", "") or getattr(each, "text", "") for each in done.events]
    (text,) = {each.partition("; look at")[0] for each in texts if "within 7800 s" in each}
    assert text.endswith(where)
    assert "was killed" in text
