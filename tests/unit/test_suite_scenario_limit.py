"""A scenario that takes too long is interrupted while its steps run, and at no other time."""

import signal
from types import SimpleNamespace

import pytest
from suite_tools import Keeper, Ran, feature, make_suite, scenario

from tailstest.core.events import Events, HeldUp, Noted, ScenarioStarted, StepStarted
from tailstest.core.settings import Settings, load_settings
from tailstest.core.verdict import Verdict
from tailstest.hypervisor.memory_claims import LONG_WAIT
from tailstest.suite import scenario_limit
from tailstest.suite.assembly import RunOrder
from tailstest.suite.run_options import RunOptions
from tailstest.suite.scenario_limit import ScenarioLimit

#: Seconds that nothing here takes, however slow this host is.
LONG = 3600.0

#: Steps that hang in many ways. Before they do, the time that their scenario has is over: so each
#: hangs when it is interrupted, and scenarios that do not hang have all the time of the world.
STEPS = '''
import os, signal, subprocess, sys, threading, time
from behave import step
from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed
from tailstest.core.events import Noted

def time_runs_out(context):
    context.test.limit._ends = time.monotonic() + 0.05
    context.test.limit._set_timer()

def hang():
    poll(lambda: None, Deadline.after(3600))

@step("I hang in a wait")
def hang_in_a_wait(context):
    """Wait for what never comes."""
    time_runs_out(context)
    hang()

@step("I hang in a program")
def hang_in_a_program(context):
    """Wait for a program that never ends."""
    time_runs_out(context)
    subprocess.run(["sleep", "3600"])

@step("I hang in a lock")
def hang_in_a_lock(context):
    """Wait for nobody."""
    time_runs_out(context)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

@step("I hang in a question")
def hang_in_a_question(context):
    """Wait for an answer."""
    time_runs_out(context)
    ours, _theirs = os.pipe()
    os.read(ours, 1)

@step("I hang in a step that is called")
def hang_deeper(context):
    """Call another step."""
    context.execute_steps("When I hang in a wait")

@step("I try again and again")
def try_again(context):
    """Take every trouble for one that goes away."""
    time_runs_out(context)
    while True:
        try:
            hang()
        except Exception:
            context.test.words.append("caught")

@step("I hear nothing")
def hear_nothing(context):
    """Go on whatever comes."""
    time_runs_out(context)
    try:
        hang()
    except BaseException:
        pass

@step("I hear nothing twice")
def hear_nothing_twice(context):
    """Hang again whatever comes."""
    time_runs_out(context)
    for _ in range(2):
        try:
            hang()
        except BaseException:
            context.test.words.append("caught")

@step("I blame the product")
def blame(context):
    """Take the interruption for a failure."""
    time_runs_out(context)
    try:
        hang()
    finally:
        raise CheckFailed("no answer")

@step("I leave")
def leave(context):
    """End the program when it goes wrong."""
    time_runs_out(context)
    try:
        hang()
    except BaseException:
        sys.exit(1)

@step("I hang by myself")
def hang_by_myself(context):
    """Wait for what never comes."""
    hang()

@step("I look at the alarm")
def look(context):
    """Remember who hears it."""
    context.test.words.append(signal.getsignal(signal.SIGALRM))

@step("time runs out while I tell something")
def tell(context):
    """Let it ring just then."""
    context.test.events.publish(Noted(text="now"))

@step("I am told to end")
def told_to_end(context):
    """Get the signal of an end."""
    os.kill(os.getpid(), signal.SIGTERM)
    hang()
'''


def suite_of(folder, *steps, hooks=""):
    """Write a suite: a scenario of these steps, and one that passes."""
    suite = make_suite(
        folder,
        x=feature(
            "@tagged",
            scenario("s", *(f"When {each}" for each in steps)),
            scenario("t", "Given I pass"),
        ),
    )
    (suite / "steps" / "hanging.py").write_text(STEPS, encoding="utf-8")
    if hooks:
        (suite / "environment.py").write_text(hooks, encoding="utf-8")
    return suite


ONE_HANGS = {"s": Verdict.INCOMPLETE, "t": Verdict.PASSED}


@pytest.mark.parametrize(
    "step",
    [
        "I hang in a wait",
        "I hang in a program",
        "I hang in a lock",
        "I hang in a question",
        "I hang in a step that is called",
        "I try again and again",
        "I hear nothing",
        "I blame the product",
        "I leave",
    ],
)
def test_a_step_that_hangs_is_interrupted_and_the_others_run(tmp_path, step):
    ran = Ran([suite_of(tmp_path, step, "I pass")], limit=LONG)
    assert ran.verdicts == ONE_HANGS
    assert ran.result.exit_status == 3
    assert not ran.result.interrupted
    assert ran.keeper.ended == [("s", Verdict.INCOMPLETE), ("t", Verdict.PASSED)]
    assert ran.keeper.words == []
    ended, after = ran.of("StepFinished")[:2]
    assert ended.error == (
        "the scenario took longer than 3600 s (the setting scenario_limit); "
        f"“When {step}” was going on"
    )
    assert "scenario_limit" in ended.hint
    assert "hanging.py" in ended.details
    assert "in during" not in ended.details
    assert ended.kind == "LimitReached"
    assert after.verdict == Verdict.SKIPPED
    assert ran.of("ScenarioFinished")[0].error == ended.error


def test_the_time_is_counted(tmp_path):
    ran = Ran([suite_of(tmp_path, "I hang by myself")], name="s", limit=0.3)
    assert ran.verdicts == {"s": Verdict.INCOMPLETE}
    (error,) = [each.error for each in ran.of("ScenarioFinished")]
    assert "longer than 0.3 s" in error


def test_a_step_that_goes_on_all_the_same_is_interrupted_again(tmp_path, monkeypatch):
    monkeypatch.setattr(scenario_limit, "_AGAIN", 0.05)
    ran = Ran([suite_of(tmp_path, "I hear nothing twice")], limit=LONG)
    assert ran.verdicts == ONE_HANGS
    assert ran.keeper.words == ["caught", "caught"]


def test_without_a_limit_nobody_hears_an_alarm(tmp_path):
    before = signal.getsignal(signal.SIGALRM)
    suite = suite_of(tmp_path, "I look at the alarm")
    assert Ran([suite], name="s").keeper.words == [before]
    (during,) = Ran([suite], name="s", limit=LONG).keeper.words
    assert during != before
    assert signal.getsignal(signal.SIGALRM) is before


class Looking(Keeper):
    """Remembers who hears an alarm while it works."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def look(self):
        self.seen.append(signal.getsignal(signal.SIGALRM))

    def begin_scenario(self, scenario_id, name):
        super().begin_scenario(scenario_id, name)
        self.look()

    def after_step(self, verdict, *, hurry=False):
        self.look()

    def end_scenario(self, verdict):
        super().end_scenario(verdict)
        self.look()


LOOKING = """
def before_scenario(context, scenario):
    context.add_cleanup(context.test.look)

def after_scenario(context, scenario):
    context.test.look()
"""


def test_nothing_is_interrupted_that_puts_something_away(tmp_path):
    before, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    suite = suite_of(tmp_path, "I hang in a wait", hooks=LOOKING)
    ran = Ran([suite], keeper=Looking(), limit=LONG)
    assert ran.verdicts == ONE_HANGS
    assert ran.keeper.seen == [before] * 10
    # Somebody else's alarm, pytest-timeout's here, goes on.
    assert bool(signal.getitimer(signal.ITIMER_REAL)[0]) == bool(timer[0])


class Slow(Keeper):
    """Keeps what a step leaves until the time of its scenario is over."""

    def after_step(self, verdict, *, hurry=False):
        self.limit._ends = 0.0


def test_time_that_ran_out_between_two_steps_ends_the_next_one(tmp_path):
    ran = Ran([suite_of(tmp_path, "I pass", 'I say "a"')], keeper=Slow(), limit=LONG)
    assert ran.verdicts == ONE_HANGS
    assert ran.keeper.words == []
    error = ran.of("ScenarioFinished")[0].error
    assert error.endswith('“When I say "a"” was going on')


def test_what_an_event_is_told_is_told_to_all(tmp_path):
    heard = []

    class Ringing(Keeper):
        @property
        def events(self):
            return self._events

        @events.setter
        def events(self, events):
            self._events = events
            events.subscribe(self.ring)
            events.subscribe(lambda event: heard.append(event.text) if is_it(event) else None)

        def ring(self, event):
            if is_it(event):
                self.limit._ends = 0.0
                signal.raise_signal(signal.SIGALRM)

    def is_it(event):
        return isinstance(event, Noted) and event.text == "now"

    suite = suite_of(tmp_path, "time runs out while I tell something")
    ran = Ran([suite], keeper=Ringing(), limit=LONG)
    assert heard == ["now"]
    assert ran.verdicts == ONE_HANGS


@pytest.mark.parametrize("name", ["before_tag", "before_scenario", "before_step"])
def test_a_hook_in_front_of_steps_may_hang_as_well(tmp_path, name):
    hooks = f"""
import time
from tailstest.core.deadline import Deadline, poll

def {name}(context, what):
    if context.test.name == "s":
        context.test.limit._ends = time.monotonic() + 0.05
        context.test.limit._set_timer()
        poll(lambda: None, Deadline.after(3600))
"""
    ran = Ran([suite_of(tmp_path, "I pass", hooks=hooks)], limit=LONG)
    assert ran.verdicts == ONE_HANGS
    assert ran.of("ScenarioFinished")[0].error.endswith(f"the hook {name} was going on")


def test_a_hook_outside_of_scenarios_has_no_limit(tmp_path):
    suite = make_suite(tmp_path, x="@a\n" + feature(scenario("s", "Given I pass")))
    (suite / "environment.py").write_text(
        "def before_tag(context, tag):\n    context.test.words.append(tag)\n"
    )
    ran = Ran([suite], limit=LONG)
    assert ran.keeper.words == ["a"]
    assert ran.verdicts == {"s": Verdict.PASSED}


def test_who_ends_the_run_ends_it(tmp_path):
    before = signal.getsignal(signal.SIGALRM)
    ran = Ran([suite_of(tmp_path, "I am told to end")], limit=LONG)
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.NOT_RUN}
    assert ran.of("ScenarioFinished")[0].error == "interrupted"
    assert signal.getsignal(signal.SIGALRM) is before


@pytest.mark.parametrize("step", ["I fail", "I hang in a wait"])
def test_the_time_of_a_person_does_not_count(tmp_path, step):
    keeper = Keeper()

    def person(_context, _step):
        keeper.limit._ends = 0.0
        return True

    suite = suite_of(tmp_path, step, 'I say "and on"')
    ran = Ran([suite], keeper=keeper, limit=LONG, on_failed_step=person)
    assert ran.verdicts == {"s": Verdict.PASSED, "t": Verdict.PASSED}
    assert keeper.words == ["and on"]


@pytest.fixture
def limit():
    """A scenario that may take 200 s has begun; gives its limit, its events, what it told."""
    events, told = Events(), []
    limit = ScenarioLimit(100.0, events, scale=2.0, tell=told.append)
    events.publish(
        ScenarioStarted(
            scenario_id="s",
            name="s",
            feature="f",
            feature_file="f",
            location="f:1",
            tags=[],
            steps=[],
        )
    )
    return SimpleNamespace(of=limit, publish=events.publish, told=told)


def step(text):
    return StepStarted(scenario_id="s", index=0, keyword="When", text=text, location="f:2")


@pytest.mark.parametrize("end", [HeldUp(text=""), step("the next one")])
def test_waiting_for_memory_does_not_count(limit, end):
    def wait():
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        limit.publish(HeldUp(text="waits for 736 MiB"))
        limit.publish(HeldUp(text="waits for 700 MiB"))
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        limit.of._held_since -= 50.0  # as if all of this had begun 50 s before
        limit.of._ends -= 50.0
        limit.publish(end)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        limit.publish(HeldUp(text=""))

    limit.publish(step("I wait"))
    limit.of.during(wait)
    begun, held, going_on = limit.told
    assert begun == 200.0
    assert going_on == pytest.approx(held - LONG_WAIT)
    assert LONG_WAIT < held <= LONG_WAIT + 200.0


def test_the_message_tells_how_far_the_setting_was_stretched(limit):
    limit.of._ends = 0.0
    with pytest.raises(scenario_limit.LimitReached, match=r"100 s .*, times 2 on this"):
        limit.of.during(lambda: None, "a hook")


def test_the_limit_is_a_setting_that_is_stretched_as_deadlines_are(tmp_path):
    assert Settings().scenario_limit == 7200.0
    settings = load_settings(environment={"TAILSTEST_SCENARIO_LIMIT": "60"})
    told, events = [], Events()
    order = RunOrder(RunOptions([]), settings, None, (), tmp_path)
    order.limit(events, {"host": {"deadline_scale": 1.5}}, told.append)
    events.publish(
        ScenarioStarted(
            scenario_id="s", name="", feature="", feature_file="", location="", tags=[], steps=[]
        )
    )
    assert told == [90.0]
