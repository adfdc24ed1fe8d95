"""Hooks, clean-ups and interruptions: nothing that goes wrong outside of a step is lost."""

import os
import signal

import pytest
from suite_tools import Keeper, Ran, feature, make_suite, scenario

from tailstest.core.verdict import Verdict
from tailstest.suite.image_guard import ImageChanged


def hooked(tmp_path, environment, *steps, more=""):
    suite = make_suite(
        tmp_path,
        x=feature(scenario("s", *(steps or ("Given I pass",))), scenario("t", "Given I pass")),
    )
    head = "from tailstest.core.errors import CheckFailed, InfrastructureError\n"
    (suite / "environment.py").write_text(head + environment)
    return suite


LOSES = "    raise InfrastructureError('the disk is full')\n"


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("    1 / 0\n", Verdict.ERRORED),
        (LOSES, Verdict.INCOMPLETE),
        ("    raise CheckFailed('no desktop')\n", Verdict.FAILED),
        ("    context.execute_steps('Given I fail')\n", Verdict.FAILED),
        ("    context.execute_steps('Given I lose the host')\n", Verdict.INCOMPLETE),
    ],
)
@pytest.mark.parametrize("hook", ["before_scenario", "after_scenario"])
def test_c12_a_hook_of_a_scenario_has_the_verdict_of_its_error(tmp_path, hook, body, verdict):
    code = f"def {hook}(context, scenario):\n    if scenario.name != 's':\n        return\n{body}"
    ran = Ran([hooked(tmp_path, code)])
    assert ran.verdicts == {"s": verdict, "t": Verdict.PASSED}
    (error,) = [each.error for each in ran.of("ScenarioFinished") if each.error]
    assert "HOOK-ERROR" not in error


@pytest.mark.parametrize("hook", ["before_step", "after_step"])
def test_c12_a_hook_of_a_step_has_the_verdict_of_its_error(tmp_path, hook):
    ran = Ran([hooked(tmp_path, f"def {hook}(context, step):\n{LOSES}")])
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.INCOMPLETE}
    assert ran.of("ScenarioFinished")[0].error == "the disk is full"


@pytest.mark.parametrize("hook", ["before_feature", "before_all"])
def test_c12_a_hook_that_keeps_scenarios_from_running_is_named_in_each(tmp_path, hook):
    arguments = "context" if hook == "before_all" else "context, feature"
    ran = Ran([hooked(tmp_path, f"def {hook}({arguments}):\n{LOSES}")])
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.INCOMPLETE}
    assert ran.result.exit_status == 3
    assert all("the disk is full" in each.error for each in ran.of("ScenarioFinished"))
    assert not ran.result.interrupted


@pytest.mark.parametrize("hook", ["after_feature", "after_all"])
def test_c12_a_hook_after_the_last_scenario_counts(tmp_path, hook):
    arguments = "context" if hook == "after_all" else "context, feature"
    ran = Ran([hooked(tmp_path, f"def {hook}({arguments}):\n    1 / 0\n")])
    assert ran.verdicts == {"s": Verdict.PASSED, "t": Verdict.PASSED}
    assert ran.result.exit_status == 2
    (finished,) = ran.of("RunFinished")
    assert finished.exit_status == 2
    assert sum(finished.counts.values()) == 3
    assert finished.trouble == {f"{hook} (1)": "errored"}
    assert any(hook in each.text and each.level == "warning" for each in ran.of("Noted"))


@pytest.mark.parametrize("hook", ["before_tag", "after_tag"])
def test_c12_a_hook_of_a_tag_counts(tmp_path, hook):
    suite = make_suite(tmp_path, x=feature("@a", scenario("s", "Given I pass")))
    (suite / "environment.py").write_text(f"def {hook}(context, tag):\n    1 / 0\n")
    ran = Ran([suite])
    assert ran.verdicts == {"s": Verdict.ERRORED}
    assert "division by zero" in ran.of("ScenarioFinished")[0].error


def test_c12_a_clean_up_that_fails_counts(tmp_path):
    code = "def before_scenario(context, scenario):\n    context.add_cleanup(lambda: 1 / 0)\n"
    ran = Ran([hooked(tmp_path, code)])
    assert ran.verdicts == {"s": Verdict.ERRORED, "t": Verdict.ERRORED}
    assert "division by zero" in ran.of("ScenarioFinished")[0].error


def test_an_interruption_in_a_hook_does_not_pass_the_scenario(tmp_path):
    code = "def before_scenario(context, scenario):\n    raise KeyboardInterrupt\n"
    ran = Ran([hooked(tmp_path, code)])
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.NOT_RUN}
    assert ran.result.exit_status == 3
    assert ran.result.interrupted


class InterruptingKeeper(Keeper):
    """Is interrupted while it keeps what a step left: after the step, not in it."""

    def after_step(self, verdict, *, hurry=False):
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_interruption_between_two_steps_does_not_pass_the_scenario(tmp_path):
    text = feature(scenario("s", "Given I pass", "And I fail"), scenario("t", "Given I pass"))
    ran = Ran([make_suite(tmp_path, x=text)], keeper=InterruptingKeeper())
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.NOT_RUN}
    assert ran.result.interrupted
    assert ran.of("ScenarioFinished")[0].error == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_current_step_promptly(tmp_path, number):
    suite = make_suite(
        tmp_path, x=feature(scenario("s", "Given I wait"), scenario("t", "Given I pass"))
    )
    (suite / "steps" / "waiting.py").write_text(
        "import os, signal\nfrom behave import step\n"
        "from tailstest.core.deadline import Deadline, poll\n"
        "@step('I wait')\ndef waits(context):\n    '''Wait long.'''\n"
        f"    signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        f"    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), {int(number)}))\n"
        "    assert poll(lambda: None, Deadline.after(600))\n"
    )
    before = signal.getsignal(number)
    ran = Ran([suite])
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.NOT_RUN}
    assert ran.result.exit_status == 3
    assert signal.getsignal(number) is before
    assert ran.keeper.ended == [("s", Verdict.INCOMPLETE)]


class BreakingKeeper(Keeper):
    """Cannot take a machine away."""

    def end_scenario(self, verdict):
        super().end_scenario(verdict)
        raise OSError(28, "No space left on device")


def test_trouble_of_the_keeper_is_a_verdict_and_the_run_goes_on(tmp_path):
    text = feature(scenario("s", "Given I pass"), scenario("t", "Given I fail"))
    ran = Ran([make_suite(tmp_path, x=text)], keeper=BreakingKeeper())
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.FAILED}
    assert "No space left" in ran.of("ScenarioFinished")[0].error


class ReplacedKeeper(Keeper):
    """Finds that somebody has replaced the image."""

    def end_scenario(self, verdict):
        super().end_scenario(verdict)
        raise ImageChanged("the image /a.iso has changed")


def test_an_image_that_was_replaced_takes_the_blame_for_what_failed(tmp_path):
    text = feature(scenario("s", "Given I pass"), scenario("t", "Given I fail"))
    ran = Ran([make_suite(tmp_path, x=text)], keeper=ReplacedKeeper())
    assert ran.verdicts == {"s": Verdict.INCOMPLETE, "t": Verdict.INCOMPLETE}
    assert {each.error for each in ran.of("ScenarioFinished")} == {"the image /a.iso has changed"}
    assert ran.result.exit_status == 3


def test_stop_holds_for_trouble_known_before_anything_starts(tmp_path):
    text = feature(scenario("a", "Given I am unknown"), scenario("b", "Given I pass"))
    ran = Ran([make_suite(tmp_path, x=text)], stop=True)
    assert ran.verdicts == {"a": Verdict.ERRORED, "b": Verdict.NOT_RUN}
    assert ran.result.exit_status == 2


def test_logging_of_a_step_goes_into_the_report(tmp_path, capfd):
    suite = make_suite(tmp_path, x=feature(scenario("s", "Given I log")))
    (suite / "steps" / "logging_step.py").write_text(
        "import logging, sys\nfrom behave import step\n@step('I log')\ndef logs(context):\n"
        "    '''Log.'''\n    logging.getLogger('a').warning('logged by a step')\n"
        "    print('to stderr', file=sys.stderr)\n"
    )
    ran = Ran([suite])
    said = "\n".join(each.text for each in ran.of("Noted"))
    assert "logged by a step" in said
    assert "to stderr" in said
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        ("I nest something undefined", Verdict.ERRORED),
        ("I am pending", Verdict.ERRORED),
        ("I leave", Verdict.ERRORED),
    ],
)
def test_c12_every_way_out_of_a_step_has_a_verdict(tmp_path, step, verdict):
    suite = make_suite(tmp_path, x=feature(scenario("s", f"Given {step}", "And I pass")))
    (suite / "steps" / "ways.py").write_text(
        "import sys\nfrom behave import step\n"
        "from behave.exception import StepNotImplementedError\n"
        "@step('I nest something undefined')\ndef a(context):\n"
        "    context.execute_steps('Given nobody knows this')\n"
        "@step('I am pending')\ndef b(context):\n    raise StepNotImplementedError('later')\n"
        "@step('I leave')\ndef c(context):\n    sys.exit(0)\n"
    )
    ran = Ran([suite])
    assert ran.verdicts == {"s": verdict}
    assert [each.verdict for each in ran.of("StepFinished")] == [verdict.value, "skipped"]


class EndInterruptedKeeper(Keeper):
    """Is interrupted while it puts a scenario away."""

    def end_scenario(self, verdict):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("step", "verdict"), [("I pass", Verdict.PASSED), ("I fail", Verdict.FAILED)]
)
def test_an_interruption_while_a_scenario_is_put_away_leaves_its_verdict(tmp_path, step, verdict):
    text = feature(scenario("s", f"Given {step}"), scenario("t", "Given I pass"))
    ran = Ran([make_suite(tmp_path, x=text)], keeper=EndInterruptedKeeper())
    assert ran.verdicts == {"s": verdict, "t": Verdict.NOT_RUN}
    assert [each.verdict for each in ran.of("ScenarioFinished")] == [verdict.value]
    assert ran.result.interrupted
    assert any("put away" in each.text for each in ran.of("Noted"))


def test_who_interrupts_a_step_is_in_a_hurry(tmp_path):
    class Asked(Keeper):
        def after_step(self, verdict, *, hurry=False):
            self.ended.append((verdict, hurry))

    text = feature(scenario("s", "Given I pass", "And I am interrupted"))
    ran = Ran([make_suite(tmp_path, x=text)], keeper=Asked())
    assert ran.keeper.ended[:2] == [(Verdict.PASSED, False), (Verdict.INCOMPLETE, True)]
