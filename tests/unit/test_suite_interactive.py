"""Interactive mode, with a script for a person."""

import contextlib
import io
from types import SimpleNamespace

import pytest
from suite_tools import feature, make_suite, scenario

from tailstest.core.errors import CheckFailed
from tailstest.suite.interactive import Prompt
from tailstest.suite.plan import make_plan


class FakeSession:
    has_machine = False

    def __init__(self):
        self.typed = []
        self.reloads = 0
        self.called = "server"
        self.turns = []
        self.keyboard = SimpleNamespace(type=self.typed.append, press=self.typed.append)

    def reload_references(self):
        self.reloads += 1

    def turn_to(self, name):
        self.turns.append(name)
        self.called = name

    def turn_to_a_machine(self):
        self.turn_to("first")


def context():
    """Return as much of behave's context as running a step needs."""
    return SimpleNamespace(use_with_user_mode=contextlib.nullcontext)


@pytest.fixture
def suite(tmp_path):
    return make_suite(tmp_path, x=feature(scenario("s", "Given I fail")))


def ask(suite, script):
    plan = make_plan([str(suite)])
    session, shown = FakeSession(), io.StringIO()
    prompt = Prompt(session, plan, contextlib.nullcontext, stdin=io.StringIO(script), stdout=shown)
    step = plan.scenarios[0].model.steps[0]
    step.exception = CheckFailed("expected a, seen b")
    repaired = prompt.after_failed_step(context(), step)
    return repaired, session, shown.getvalue()


def test_a_changed_step_is_read_again_and_retried(suite):
    file = suite / "steps" / "tiny.py"

    class Editing(io.StringIO):
        def readline(self, *_arguments):
            line = super().readline()
            if line.startswith("retry") and self.tell() > 6:
                file.write_text(file.read_text().replace("raise CheckFailed", "_ = CheckFailed"))
            return line

    plan = make_plan([str(suite)])
    shown = io.StringIO()
    session = FakeSession()
    prompt = Prompt(
        session,
        plan,
        contextlib.nullcontext,
        stdin=Editing("retry\nretry\n"),
        stdout=shown,
    )
    step = plan.scenarios[0].model.steps[0]
    step.exception = CheckFailed("expected a, seen b")
    file.write_text(file.read_text().replace('hint="look at b"', 'hint=""'))
    assert prompt.after_failed_step(context(), step), shown.getvalue()
    assert session.reloads == 2
    assert "it failed again: expected a, seen b" in shown.getvalue()
    assert "it passes now" in shown.getvalue()
    # A person looks at a machine that was started; the step is about the one that it was about.
    assert session.turns == ["first", "server", "first", "server", "server"]


def test_going_on_leaves_the_step_failed(suite):
    repaired, session, shown = ask(suite, "type hello\npress Ctrl+C\nnext\n")
    assert not repaired
    assert session.typed == ["hello", "Ctrl+C"]
    assert "expected a, seen b" in shown


def test_the_end_of_input_goes_on(suite):
    assert ask(suite, "")[0] is False


def test_quitting_ends_the_run(suite):
    with pytest.raises(KeyboardInterrupt):
        ask(suite, "quit\n")
