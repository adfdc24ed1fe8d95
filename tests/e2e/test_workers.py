"""Scenarios in several processes: same results, and nothing lost when one of them dies."""

import os
import signal
import subprocess

import psutil
import pytest
from junitparser import JUnitXml
from test_command_line import TAILSTEST, events, tailstest

from tailstest.core.deadline import Deadline, poll

pytestmark = pytest.mark.e2e

STEPS = '''
import os, signal
from pathlib import Path
from behave import step
from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError

HERE = Path(os.environ["MEETING"])

@step('I leave the note "{name}"')
def leave(context, name):
    """Tell another process something."""
    with (HERE / name).open("a") as file:
        file.write(f"{os.getpid()}\\n")

@step('I find the note "{name}"')
def find(context, name):
    """Wait for another process."""
    if poll(lambda: (HERE / name).exists() or None, Deadline.after(300)) is None:
        raise InfrastructureError(f"no note {name}")

@step("it is wrong")
def wrong(context):
    """Fail."""
    raise CheckFailed("expected a, seen b")

@step('it is wrong unless there is the note "{name}"')
def wrong_once(context, name):
    """Fail the first time."""
    if not (HERE / name).exists():
        (HERE / name).touch()
        raise CheckFailed("expected a, seen b")

@step("the host is lost")
def lost(context):
    """Be incomplete."""
    raise InfrastructureError("the disk is full")

@step('the process is killed unless there is the note "{name}"')
def killed(context, name):
    """Die."""
    if not (HERE / name).exists():
        (HERE / name).touch()
        os.kill(os.getpid(), signal.SIGKILL)

@step("it hangs")
def hangs(context):
    """Wait for what never comes."""
    signal.pause()
'''


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


class Suite:
    """A suite without machines, whose scenarios may meet one another."""

    def __init__(self, folder):
        self.folder = folder / "suite"
        self.meeting = folder / "meeting"
        self.meeting.mkdir()
        self.runs = 0
        (self.folder / "features").mkdir(parents=True)
        (self.folder / "steps").mkdir()
        (self.folder / "steps" / "meeting.py").write_text(STEPS, encoding="utf-8")

    def write(self, name="f", **scenarios):
        lines = [f"Feature: {name}"]
        for title, steps in scenarios.items():
            lines += [f"  Scenario: {title}", *(f"    When {step}" for step in steps)]
        file = self.folder / "features" / f"{name}.feature"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def command(self, *options):
        self.runs += 1
        self.run = self.folder / f"run-{self.runs}"
        return ["run", "features", "--output", self.run, *options]

    def ran(self, *options, **environment):
        command = self.command(*options)
        return tailstest(*command, cwd=self.folder, MEETING=str(self.meeting), **environment)

    def start(self, *options):
        return subprocess.Popen(
            [TAILSTEST, *map(str, self.command(*options))],
            cwd=self.folder,
            env={**os.environ, "MEETING": str(self.meeting)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def pids(self, note):
        def read():
            file = self.meeting / note
            # There is a moment in which it is there and has nothing in it.
            return (
                [int(line) for line in file.read_text().split()] if file.exists() else []
            ) or None

        found = poll(read, Deadline.after(120))
        assert found, f"no process came to {note}"
        return found

    def verdicts(self):
        """Return the verdicts of all attempts in the order in which they were told."""
        told = events(self.run)
        names = {e["scenario_id"]: e["name"] for e in told if e["event"] == "ScenarioStarted"}
        ended = [each for each in told if each["event"] == "ScenarioFinished"]
        return [(names[each["scenario_id"]], each["verdict"]) for each in ended]


def test_verdicts_status_and_reports_are_those_of_a_run_without_workers(suite):
    suite.write(
        "all",
        passes=['I leave the note "a"'],
        fails=["it is wrong", 'I leave the note "never"'],
        breaks=["the host is lost"],
        unknown=["nobody defined this"],
        twice=['I leave the note "b"'],
    )
    (suite.folder / "features" / "broken.feature").write_text("Feature\n", encoding="utf-8")
    alone = suite.ran()
    told_alone, seen_alone = events(suite.run), sorted(suite.verdicts())
    spread = suite.ran("--workers", "2")
    assert (alone.returncode, spread.returncode) == (1, 1), spread.stdout + spread.stderr
    assert sorted(suite.verdicts()) == seen_alone
    assert len(seen_alone) == 5
    told = events(suite.run)
    assert told[-1]["counts"] == told_alone[-1]["counts"]
    kinds = [sorted(each["event"] for each in every) for every in (told, told_alone)]
    assert kinds[0] == kinds[1]
    assert not (suite.meeting / "never").exists()
    assert len(JUnitXml.fromfile(str(suite.run / "junit.xml"))) >= 1
    assert (suite.run / "report.html").stat().st_size > 10_000


def test_two_scenarios_really_run_at_the_same_time(suite):
    suite.write(
        a=['I leave the note "a"', 'I find the note "b"'],
        b=['I leave the note "b"', 'I find the note "a"'],
    )
    done = suite.ran("--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert suite.pids("a") != suite.pids("b")


def test_a_scenario_whose_process_was_killed_is_run_again_and_both_attempts_are_told(suite):
    suite.write(
        victim=['I leave the note "began"', 'the process is killed unless there is the note "x"'],
        other=['I leave the note "other"'],
    )
    done = suite.ran("--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each for each in suite.verdicts() if each[0] == "victim"] == [
        ("victim", "incomplete"),
        ("victim", "passed"),
    ]
    assert len(set(suite.pids("began"))) == 2
    assert events(suite.run)[-1]["counts"] == {"passed": 2}


def test_a_failure_counts_though_its_process_was_killed_and_another_one_passed(suite):
    suite.write(
        victim=[
            'it is wrong unless there is the note "w"',
            'the process is killed unless there is the note "k"',
        ],
        other=['I leave the note "other"'],
    )
    done = suite.ran("--workers", "2", "--retry", "1")
    assert [each for each in suite.verdicts() if each[0] == "victim"] == [
        ("victim", "failed"),
        ("victim", "incomplete"),
        ("victim", "passed"),
    ]
    assert done.returncode == 1, done.stdout + done.stderr
    assert "victim  1 of 3 attempts failed" in done.stdout
    assert events(suite.run)[-1]["counts"] == {"passed": 1, "flaky": 1}


def test_a_scenario_that_kills_each_process_is_given_up_and_the_others_run(suite):
    suite.write(
        victim=[
            'the process is killed unless there is the note "x"',
            'the process is killed unless there is the note "y"',
        ],
        other=['I leave the note "other"'],
        last=['I leave the note "last"'],
    )
    done = suite.ran("--workers", "2")
    assert done.returncode == 3, done.stdout + done.stderr
    assert events(suite.run)[-1].get("counts") == {"passed": 2, "incomplete": 1}, (
        done.stdout + done.stderr
    )
    assert "killed" in done.stdout


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_scenario_that_hangs_is_incomplete_and_the_others_run(suite, options):
    suite.write(first=["it hangs"], second=['I leave the note "b"'], third=['I leave the note "c"'])
    # Enough for those that do not hang, on any host.
    limits = {"TAILSTEST_SCENARIO_LIMIT": "40", "TAILSTEST_DEADLINE_SCALE": "1"}
    done = suite.ran(*options, **limits)
    assert done.returncode == 3, done.stdout + done.stderr
    expected = [("first", "incomplete"), ("second", "passed"), ("third", "passed")]
    assert sorted(suite.verdicts()) == expected
    (step,) = [e for e in events(suite.run) if e["event"] == "StepFinished" and e["error"]]
    assert "took longer than 40 s" in step["error"]
    assert "“When it hangs” was going on" in step["error"]
    assert "signal.pause()" in step["details"]


def test_stop_leaves_out_what_has_not_begun(suite):
    scenarios = {f"s{number}": ['I find the note "began"'] for number in range(8)}
    suite.write(wrong=['I leave the note "began"', "it is wrong"], **scenarios)
    done = suite.ran("--workers", "2", "--stop")
    assert done.returncode == 1, done.stdout + done.stderr
    counts = events(suite.run)[-1]["counts"]
    assert counts["failed"] == 1
    assert counts["not run"] >= 1
    assert counts["not run"] + counts.get("passed", 0) == 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_it_has_and_leaves_no_process(suite, number):
    suite.write(
        done=['I leave the note "done"'],
        held=['I find the note "done"', 'I leave the note "held"', 'I find the note "never"'],
        later=['I find the note "never"'],
    )
    process = suite.start("--workers", "2")
    workers = suite.pids("held")
    os.killpg(process.pid, number)  # as a terminal does
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert not any(psutil.pid_exists(pid) for pid in workers)
    assert ("done", "passed") in suite.verdicts()
    assert ("held", "incomplete") in suite.verdicts()
    last = events(suite.run)[-1]
    assert last["event"] == "RunFinished"
    assert last["interrupted"]
    assert (suite.run / "report.html").exists()
    assert not (suite.run / ".dask").exists()


def test_workers_end_when_whoever_started_them_is_killed(suite):
    suite.write(held=['I leave the note "held"', 'I find the note "never"'], b=["it is wrong"])
    process = suite.start("--workers", "2")
    (worker,) = suite.pids("held")
    process.kill()
    process.communicate()
    assert poll(lambda: not psutil.pid_exists(worker) or None, Deadline.after(30))


def test_what_only_a_tag_has_asked_for_runs_in_workers_too(suite):
    suite.write(a=['I leave the note "a"'], b=['I leave the note "b"'])
    file = suite.folder / "features" / "f.feature"
    text = file.read_text(encoding="utf-8").replace("  Scenario: b", "  @skip\n  Scenario: b")
    file.write_text(text, encoding="utf-8")
    done = suite.ran("--workers", "2", "--tags", "@skip")
    assert done.returncode == 0, done.stdout + done.stderr
    assert suite.verdicts() == [("b", "passed")]


def test_what_needs_one_machine_is_refused_with_workers(suite):
    suite.write(a=['I leave the note "a"'])
    done = suite.ran("--workers", "2", "--keep")
    assert done.returncode == 2
    assert "--workers" in done.stderr
    assert not suite.run.exists()
