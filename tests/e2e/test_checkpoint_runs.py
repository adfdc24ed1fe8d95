"""Checkpoints as a user has them: same verdicts with, without and in trouble."""

import os
import shutil
import signal
import subprocess

import pytest
from test_command_line import TAILSTEST, events, machines_of, tailstest

from tailstest.core.deadline import Deadline, poll

pytestmark = pytest.mark.vm

FEATURE = """Feature: f
  Background:
    Given the image under test
    And the machine starts from a DVD
    And I see "GNU/Linux"
    And I press "c"
    And I see "grub>"

  @checkpoint
  Scenario: a
    When I enter "echo elephants"
    Then I see "elephants"

  Scenario: b
    When I enter "echo giraffes"
    Then I see "giraffes"
    But I do not see "elephants"

  Scenario: c
    Then I see "camels" within 2 seconds
"""
VERDICTS = {"a": "passed", "b": "passed", "c": "failed"}


class Suite:
    """A small suite of its own, with a cache of its own."""

    def __init__(self, folder):
        self.folder = folder / "suite"
        self.cache = folder / "cache"
        self.store = self.cache / "tailstest" / "checkpoints"
        self.image = folder / "my.iso"
        self.runs = 0
        shutil.copy("/usr/lib/grub-rescue/grub-rescue-cdrom.iso", self.image)
        assert tailstest("init", self.folder).returncode == 0
        (self.folder / "features" / "first.feature").write_text(FEATURE, encoding="utf-8")

    def command(self, *options):
        self.runs += 1
        self.run = self.folder / f"run-{self.runs}"
        return ["run", "features", "--image", self.image, "--output", self.run, *options]

    def ran(self, *options):
        done = tailstest(*self.command(*options), cwd=self.folder, XDG_CACHE_HOME=str(self.cache))
        assert done.returncode == 1, done.stdout + done.stderr
        told = events(self.run)
        names = {e["scenario_id"]: e["name"] for e in told if e["event"] == "ScenarioStarted"}
        ended = [each for each in told if each["event"] == "ScenarioFinished"]
        assert {names[e["scenario_id"]]: e["verdict"] for e in ended} == VERDICTS
        assert not list(self.run.glob(".checkpoints*"))
        return [each for each in told if each["event"] == "Noted"]

    def went_on(self, *options):
        return len([note for note in self.ran(*options) if "from a checkpoint" in note["text"]])


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


@pytest.mark.timeout(1800)
@pytest.mark.long(2)
def test_verdicts_are_the_same_without_with_new_and_with_old_checkpoints(suite):
    assert suite.went_on("--no-checkpoints") == 0
    assert not suite.store.exists()
    assert suite.went_on() == 2
    (kept,) = suite.store.iterdir()
    assert suite.went_on() == 3
    listed = tailstest("checkpoints", "list", XDG_CACHE_HOME=str(suite.cache))
    assert kept.name[:8] in listed.stdout
    shown = tailstest("checkpoints", "show", kept.name[:6], XDG_CACHE_HOME=str(suite.cache))
    assert 'And I press "c"' in shown.stdout

    # Damaged: reported by us, repaired by the next run.
    packed = kept / "memory.zst"
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    assert tailstest("checkpoints", "verify", XDG_CACHE_HOME=str(suite.cache)).returncode == 3
    warnings = [note["text"] for note in suite.ran() if note["level"] == "warning"]
    assert len([text for text in warnings if "memory.zst" in text]) == 1
    assert tailstest("checkpoints", "verify", XDG_CACHE_HOME=str(suite.cache)).returncode == 0

    # Another image of the same name, another step file: other keys.
    with suite.image.open("ab") as file:
        file.write(bytes(2048))
    assert suite.went_on() == 2
    (suite.folder / "steps" / "own.py").write_text('"""Nothing yet."""\n', encoding="utf-8")
    assert suite.went_on() == 2
    assert len(list(suite.store.iterdir())) == 3
    pruned = tailstest("checkpoints", "prune", "--all", XDG_CACHE_HOME=str(suite.cache))
    assert "3 checkpoints removed" in pruned.stdout
    assert list(suite.store.iterdir()) == []


@pytest.mark.timeout(900)
def test_a_run_that_is_killed_while_it_saves_harms_nobody(suite):
    environment = {**os.environ, "XDG_CACHE_HOME": str(suite.cache)}
    killed = subprocess.Popen(
        [TAILSTEST, *map(str, suite.command())],
        cwd=suite.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    saving = poll(
        lambda: any(suite.run.glob(".checkpoints*/*/memory")) or None,
        Deadline.after(300),
        interval=0.01,
    )
    assert saving
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    first = suite.run
    suite.ran()
    assert machines_of(first) == []
    assert not list(first.glob(".checkpoints*"))
    assert tailstest("checkpoints", "verify", XDG_CACHE_HOME=str(suite.cache)).returncode == 0
    assert suite.went_on() == 3


@pytest.mark.timeout(900)
def test_a_cache_that_takes_no_checkpoints_is_only_a_warning(suite):
    suite.store.parent.mkdir(parents=True, mode=0o700)
    suite.cache.chmod(0o700)
    suite.store.touch()
    warnings = [note["text"] for note in suite.ran() if note["level"] == "warning"]
    assert any("no checkpoints: cannot keep checkpoints in" in text for text in warnings)
