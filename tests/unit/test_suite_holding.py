"""Which scenario's machine is held at the end of a run with `--keep`."""

from suite_tools import Keeper, feature, make_suite, scenario

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Events
from tailstest.core.verdict import Verdict
from tailstest.suite.plan import make_plan
from tailstest.suite.runner import SuiteRunner


def held(suite, *, fails=None, stop=True):
    """Run a suite; return what was held, and the events."""
    plan, told, held_ = make_plan([str(suite)]), [], []
    events = Events()
    events.subscribe(told.append)
    keeper = Keeper()

    def hold(verdict):
        held_.append((keeper.name, verdict, list(keeper.ended)))
        if fails:
            raise fails

    SuiteRunner(plan, events, keeper, stop=stop, before_end=hold).run()
    return held_, told


def test_the_last_scenario_is_held_before_its_machine_goes(tmp_path):
    text = feature(scenario("a", "Given I pass"), scenario("b", "Given I pass"))
    ((name, verdict, ended),), _told = held(make_suite(tmp_path, x=text))
    assert (name, verdict) == ("b", Verdict.PASSED)
    assert [each for each, _verdict in ended] == ["a"]


def test_the_first_scenario_that_fails_is_held(tmp_path):
    text = feature(scenario("a", "Given I fail"), scenario("b", "Given I pass"))
    ((name, verdict, ended),), _told = held(make_suite(tmp_path, x=text))
    assert (name, verdict, ended) == ("a", Verdict.FAILED, [])


def test_an_undefined_scenario_is_never_the_one_that_is_held(tmp_path):
    text = feature(scenario("a", "Given I pass"), scenario("b", "Given nobody knows"))
    ((name, _verdict, _ended),), _told = held(make_suite(tmp_path, x=text), stop=False)
    assert name == "a"


def test_an_interrupted_run_holds_nothing(tmp_path):
    text = feature(scenario("a", "Given I am interrupted"))
    assert held(make_suite(tmp_path, x=text))[0] == []


def test_trouble_with_holding_is_told_and_the_scenario_ends(tmp_path):
    text = feature(scenario("a", "Given I pass"))
    _held, told = held(make_suite(tmp_path, x=text), fails=InfrastructureError("no terminal"))
    (finished,) = [event for event in told if type(event).__name__ == "ScenarioFinished"]
    assert "no terminal" in finished.error
