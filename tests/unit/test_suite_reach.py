"""The way inside: what is put right when the first step goes in after a checkpoint."""

import time
from types import SimpleNamespace

import pytest

from tailstest.core.events import Events
from tailstest.guest.answers import AgentInfo
from tailstest.guest.errors import GuestRefused
from tailstest.guest.results import Completed
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.inside_state import InsideState
from tailstest.machine.profile import DesktopFacts
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.reach import Reach


class Guest:
    """Ends every command with the same status; its clock may be set, or may not."""

    def __init__(self):
        self.done = []
        self.status, self.refuses = 0, False

    def wait_ready(self, _deadline=None):
        return AgentInfo(1, "", 1, 0, "boot", 0.0)

    def run(self, command, **_more):
        self.done.append(command)
        return Completed((command,), self.status, b"", b"", 0.1)

    def set_clock(self, seconds):
        if self.refuses:
            raise GuestRefused("only root may do that")
        assert seconds == pytest.approx(time.time(), abs=10)
        self.done.append("clock")


class Woken:
    """A machine that has just run on from a checkpoint, and the way into it."""

    def __init__(self, state=None):
        self.guest = self.guest_now = Guest()
        self.runs_on = True
        self.name, self.definition = "m", MachineDefinition()
        self.deadline_scale = self.default_deadline = 1.0
        self.told = []
        events = Events()
        events.subscribe(self.told.append)
        profile = SimpleNamespace(
            checkpoints=SimpleNamespace(after="renew"), desktop=DesktopFacts(users=())
        )
        choice = SimpleNamespace(profile=profile, times=SimpleNamespace(boot=1, desktop=1))
        files = SimpleNamespace(use=lambda _file: None)
        self.reach = Reach(lambda: self, choice, events, LatePatch((), events), files)
        self.reach.resume(state)


@pytest.fixture
def woken():
    return Woken()


def test_where_no_step_has_been_inside_the_first_one_puts_the_clock_right(woken):
    assert woken.guest.done == []  # nobody may be inside yet
    for _ in range(2):
        woken.reach.inside.run("say")
    assert woken.guest.done == ["clock", "renew", "say", "say"]


def test_where_one_has_it_is_right_at_once():
    woken = Woken(InsideState())
    assert woken.guest.done == ["clock", "renew"]
    woken.reach.inside.run("say")
    assert woken.guest.done == ["clock", "renew", "say"]


def test_a_system_that_was_started_anew_since_needs_nothing(woken):
    woken.runs_on = False
    woken.reach.inside.run("say")
    woken.runs_on = True
    woken.reach.inside.run("say")
    assert woken.guest.done == ["say", "say"]


def test_a_machine_that_was_never_saved_needs_nothing():
    woken = Woken()
    woken.reach.forget()
    woken.reach.inside.run("say")
    assert woken.guest.done == ["say"]


def test_what_the_profile_wants_may_fail_where_the_system_has_just_begun_to_start(woken):
    woken.guest.status = 1
    woken.reach.inside.run("say")
    assert woken.guest.done == ["clock", "renew", "say"]
    (warning,) = [each.text for each in woken.told if getattr(each, "level", "") == "warning"]
    assert "after a checkpoint failed" in warning


def test_a_clock_that_cannot_be_set_is_told_and_no_failure_of_the_image(woken):
    woken.guest.refuses = True
    woken.reach.inside.run("say")
    assert woken.guest.done == ["renew", "say"]
    (warning,) = [each.text for each in woken.told if getattr(each, "level", "") == "warning"]
    assert "only root may do that" in warning
