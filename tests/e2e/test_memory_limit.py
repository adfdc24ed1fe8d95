"""Machines of several workers, and of several runs, never get more memory than the host has."""

import itertools
import os
import subprocess

import pytest
from test_command_line import TAILSTEST, events, tailstest

# By itself: the machines of other tests would take the memory that these wait for.
pytestmark = [pytest.mark.vm, pytest.mark.e2e, pytest.mark.whole_host]

#: A machine of 64 MiB needs 736 MiB of a host that emulates it, 224 MiB of one with KVM.
ROOM_FOR_ONE = "1000"

FEATURE = """Feature: memory
  Scenario: one
    Given the image "grub-rescue"
    And a BIOS machine with 64 MiB of memory
    And I say that I want it
    When I start the machine from a DVD
    And all four have said that they want one
    Then the machine is still running

  Scenario: two
    Given the image "grub-rescue"
    And a BIOS machine with 64 MiB of memory
    And I say that I want it
    When I start the machine from a DVD
    And all four have said that they want one
    Then the machine is still running
"""

#: Who has a machine keeps it until all others want one, too.
STEPS = """
import os
from pathlib import Path
from behave import step
from tailstest.core.deadline import Deadline, pause, poll

MEETING = Path(os.environ["MEETING"])

@step("I say that I want it")
def says(context):
    (MEETING / str(os.getpid())).touch()

@step("all four have said that they want one")
def all_said(context):
    poll(lambda: len(list(MEETING.iterdir())) >= 4 or None, Deadline.after(120))
    pause(3)  # from there to where it is asked for is not far
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    folder = tmp_path / "suite"
    assert tailstest("init", folder).returncode == 0
    (tmp_path / "meeting").mkdir()
    monkeypatch.setenv("MEETING", str(tmp_path / "meeting"))
    (folder / "steps").mkdir(exist_ok=True)
    (folder / "steps" / "meeting.py").write_text(STEPS, encoding="utf-8")
    (folder / "features" / "first.feature").write_text(FEATURE, encoding="utf-8")
    return folder


def settings(**values):
    # Emulated everywhere, so that the figures are the same.
    return {"TAILSTEST_ACCELERATOR": "tcg", **values}


def test_workers_wait_for_memory_and_separate_runs_see_each_other(suite, tmp_path):
    runs = [tmp_path / name for name in ("first", "second")]
    processes = [
        subprocess.Popen(
            [TAILSTEST, "run", "features", "--no-checkpoints", "--workers", "2", "--output", run],
            cwd=suite,
            env={**os.environ, **settings(TAILSTEST_MEMORY_LIMIT=ROOM_FOR_ONE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for run in runs
    ]
    said = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    told = [event for run in runs for event in events(run)]
    # From the moment at which a machine was started until it was gone.
    spans, started = [], {}
    for run in runs:
        for event in events(run):
            if event["event"] == "ScenarioFinished":
                spans.append((started[run], event["time"]))
            elif event["event"] == "MachineUsed":
                started[run] = event["time"]
    spans.sort()
    assert len(spans) == 4
    for (_, ended), (begun, _) in itertools.pairwise(spans):
        assert begun >= ended - 2.0, spans  # its memory is given back a little before the end
    waited = [e["text"] for e in told if e["event"] == "Noted" and "waited" in e["text"]]
    assert len(waited) >= 3, told
    held = [e["text"] for e in told if e["event"] == "HeldUp"]
    assert any("736 MiB of memory" in text for text in held)


def test_a_machine_that_is_larger_than_the_host_is_refused_before_anything_starts(suite, tmp_path):
    done = tailstest(
        "run",
        "features",
        "--output",
        tmp_path / "run",
        cwd=suite,
        **settings(TAILSTEST_MEMORY_LIMIT="700"),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "first.feature:2 one: 736 MiB" in done.stderr
    assert "700 MiB" in done.stderr
    assert not (tmp_path / "run").exists()
