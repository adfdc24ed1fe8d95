"""Scenarios that are run more than once."""

import pytest
from suite_tools import Keeper, feature, make_suite, scenario

from tailstest.core.events import Events, RunFinished
from tailstest.core.verdict import Verdict, verdict_of_attempts
from tailstest.results.run_builder import RunBuilder
from tailstest.suite.plan import make_plan
from tailstest.suite.repeating import PATIENCE, RETRIED, Repeating
from tailstest.suite.runner import SuiteRunner

P, F, E, INC = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED, Verdict.INCOMPLETE
FLAKY = Verdict.FLAKY
COUNTING = '''
from behave import step
from tailstest.core.errors import CheckFailed, InfrastructureError

@step('it goes as "{letters}" say')
def goes(context, letters):
    """Pass, fail, or be incomplete."""
    number = len(context.test.words)
    context.test.words.append(letters)
    if letters[number] == "f":
        raise CheckFailed(f"attempt {number + 1}")
    if letters[number] == "i":
        raise InfrastructureError("the disk is full")
    if letters[number] == "s":
        context.scenario.skip("no network today")
'''


def test_a_scenario_is_repeated_as_often_as_wanted_however_it_ends():
    policy = Repeating(times=3)
    assert policy.goes_on([F], [])
    assert policy.goes_on([P, E], [])
    assert not policy.goes_on([P, P, F], [])


def test_only_what_may_be_different_next_time_is_retried():
    policy = Repeating(retries=2)
    assert not policy.goes_on([P], [])
    assert not policy.goes_on([E], [])
    assert not policy.goes_on([Verdict.SKIPPED], [])
    assert policy.goes_on([F], [])
    assert policy.goes_on([INC, F], [])
    assert not policy.goes_on([F, P], [])
    assert not policy.goes_on([F, INC, F], [])
    assert not policy.goes_on([F], ["no-retry"])


def test_what_is_retried_can_be_left_to_one_cause():
    host = Repeating(retries=2, retried=RETRIED["infrastructure"])
    assert host.goes_on([INC], [])
    assert host.goes_on([F, INC], [])
    assert not host.goes_on([F], [])
    assert not host.goes_on([INC, F], [])
    assert not host.goes_on([INC], ["no-retry"])
    product = Repeating(retries=2, retried=RETRIED["product"])
    assert product.goes_on([F], [])
    assert not product.goes_on([INC], [])
    assert not product.goes_on([E], [])


def test_until_failure_ends_at_the_first_one_and_has_a_limit():
    policy = Repeating(until_failure=True)
    assert policy.goes_on([P] * 50, [])
    assert not policy.goes_on([P, INC], [])
    assert not policy.goes_on([P] * PATIENCE, [])
    assert not Repeating(times=4, until_failure=True).goes_on([P] * 4, [])


def ran(folder, letters, repeating):
    make_suite(folder, one=feature(scenario("s", f'When it goes as "{letters}" say')))
    (folder / "steps" / "counting.py").write_text(COUNTING, encoding="utf-8")
    plan = make_plan([str(folder / "features")])
    events, builder, keeper = Events(), RunBuilder(), Keeper()
    events.subscribe(builder)
    events.publish(plan.event())
    finished = []
    events.subscribe(lambda event: isinstance(event, RunFinished) and finished.append(event))
    result = SuiteRunner(plan, events, keeper, repeating=repeating).run()
    run = builder.end()
    assert finished[0].counts == {str(each): n for each, n in run.counts.items() if n}
    attempts = [attempt.verdict for attempt in run.scenarios[0].attempts]
    assert len(keeper.ended) == len(attempts)
    assert result.exit_status == run.exit_status
    assert not run.notes  # no disagreement about the status
    return attempts, run


def counted(run):
    return {verdict: number for verdict, number in run.counts.items() if number}


def test_what_fails_and_then_passes_is_flaky_and_does_not_count_as_passed(tmp_path):
    attempts, run = ran(tmp_path, "ffp", Repeating(retries=3))
    assert attempts == [F, F, P]
    assert run.exit_status == 1
    assert counted(run) == {FLAKY: 1}
    assert run.flaky == run.bad == run.scenarios


def test_what_the_host_broke_passes_when_it_passes_at_last(tmp_path):
    attempts, run = ran(tmp_path, "ip", Repeating(retries=1))
    assert attempts == [INC, P]
    assert run.exit_status == 0
    assert counted(run) == {P: 1}
    assert not run.flaky


@pytest.mark.parametrize("letters", ["fpppp", "ppfpp", "ppppf"])
def test_one_failure_in_five_is_flaky_and_never_passed(tmp_path, letters):
    attempts, run = ran(tmp_path, letters, Repeating(times=5))
    assert sorted(attempts) == [F, P, P, P, P]
    assert run.exit_status == 1
    assert counted(run) == {FLAKY: 1}
    assert run.scenarios[0].failures == 1


def test_until_failure_stops_there(tmp_path):
    attempts, run = ran(tmp_path, "pppfp", Repeating(until_failure=True))
    assert attempts == [P, P, P, F]
    assert run.exit_status == 1
    assert counted(run) == {FLAKY: 1}


@pytest.mark.parametrize("repeating", [Repeating(retries=1), Repeating(times=2)])
@pytest.mark.parametrize(("letters", "last"), [("fs", Verdict.SKIPPED), ("fi", INC)])
def test_what_comes_after_a_failure_does_not_take_it_back(tmp_path, letters, last, repeating):
    attempts, run = ran(tmp_path, letters, repeating)
    assert attempts == [F, last]
    assert run.exit_status == 1
    assert run.scenarios[0].verdict is F
    assert run.scenarios[0].decisive is run.scenarios[0].attempts[0]


@pytest.mark.parametrize(
    ("attempts", "together"),
    [
        ([P], P),
        ([F, P], FLAKY),
        ([P, F], FLAKY),
        ([P, E], FLAKY),
        ([E, P, INC], FLAKY),
        ([F, P, Verdict.SKIPPED], FLAKY),
        ([FLAKY, P], FLAKY),
        ([P, INC, FLAKY], FLAKY),
        ([INC, P], P),
        ([P, INC], INC),
        ([E, F, INC], F),
        ([F, E], F),
        ([E, Verdict.SKIPPED], E),
        ([INC, Verdict.SKIPPED], INC),
        ([P, Verdict.SKIPPED], Verdict.SKIPPED),
        ([Verdict.NOT_RUN], Verdict.NOT_RUN),
    ],
)
def test_attempts_together_are_flaky_or_what_the_worst_says_unless_the_last_one_passed(
    attempts, together
):
    assert verdict_of_attempts(attempts) is together


def test_a_failure_is_left_alone_where_only_trouble_of_the_host_is_retried(tmp_path):
    policy = Repeating(retries=3, retried=RETRIED["infrastructure"])
    assert ran(tmp_path / "one", "fp", policy)[0] == [F]
    assert ran(tmp_path / "two", "ifp", policy)[0] == [INC, F]


@pytest.mark.parametrize(("tag", "count"), [("", 3), ("@no-retry", 1)])
def test_a_tag_forbids_retries(tmp_path, tag, count):
    folder = tmp_path
    text = f'{tag}\nFeature: f\n  Scenario: s\n    When it goes as "fff" say\n'
    make_suite(folder, one=text)
    (folder / "steps" / "counting.py").write_text(COUNTING, encoding="utf-8")
    keeper = Keeper()
    plan = make_plan([str(folder / "features")])
    SuiteRunner(plan, Events(), keeper, repeating=Repeating(retries=2)).run()
    assert len(keeper.ended) == count
