"""The order in which scenarios go to workers."""

import heapq

from hypothesis import given
from hypothesis import strategies as st
from suite_tools import feature, make_suite, scenario

from tailstest.suite.plan import make_plan
from tailstest.suite.spread.turns import expected, turns_of


def turns(scenarios, chains=None, saved=(), seconds=None):
    return {
        turn.scenario: turn
        for turn in turns_of(scenarios, chains or {}, set(saved).__contains__, seconds or {})
    }


def test_without_common_beginnings_nobody_waits():
    found = turns(["a", "b", "c"], {"a": ["1"], "b": ["2"]})
    assert [turn.after for turn in found.values()] == [None, None, None]


def test_one_goes_first_and_the_others_with_its_beginning_wait_for_it():
    chains = {"a": ["1", "2"], "b": ["1", "2"], "c": ["1", "2", "3"], "d": ["1", "2", "3"]}
    found = turns(["a", "b", "c", "d"], chains)
    assert found["a"].after is None
    assert found["b"].after == "a"
    assert found["c"].after == "a"
    assert found["d"].after == "c"  # shares more with that one


def test_a_beginning_that_is_saved_already_keeps_nobody_waiting():
    chains = {"a": ["1", "2"], "b": ["1", "2"], "c": ["1", "2", "3"], "d": ["1", "2", "3"]}
    found = turns(["a", "b", "c", "d"], chains, saved=["2"])
    assert found["b"].after is None
    assert found["c"].after is None
    assert found["d"].after == "c"


def test_a_saved_beginning_that_is_shorter_than_the_shared_one_is_not_enough():
    chains = {"a": ["1", "2"], "b": ["1", "2"]}
    assert turns(["a", "b"], chains, saved=["1"])["b"].after == "a"


def test_a_line_of_scenarios_weighs_what_all_of_it_takes():
    chains = {"a": ["1"], "b": ["1", "2"], "c": ["1", "2"], "d": []}
    found = turns(["a", "b", "c", "d"], chains, seconds={"a": 1, "b": 5, "c": 7, "d": 12})
    assert {name: turn.weight for name, turn in found.items()} == {
        "a": 13,
        "b": 12,
        "c": 7,
        "d": 12,
    }


def test_what_never_ran_counts_as_the_mean():
    assert turns(["a", "b", "c"], seconds={"a": 2, "b": 4})["c"].weight == 3


@given(
    st.lists(st.lists(st.sampled_from("12"), max_size=3), min_size=1, max_size=12),
    st.lists(st.integers(1, 50), min_size=12, max_size=12),
    st.integers(1, 4),
)
def test_everybody_gets_a_turn_and_the_order_is_within_grahams_bound(steps, seconds, workers):
    """The bound of list scheduling: twice the larger of mean load and longest line."""
    names = [f"s{number}" for number in range(len(steps))]
    chains = {
        n: ["".join(s[: i + 1]) for i in range(len(s))] for n, s in zip(names, steps, strict=True)
    }
    known = dict(zip(names, seconds, strict=False))
    found = turns(names, chains, seconds=known)
    assert list(found) == names
    ended, free, waiting = {}, [0.0] * workers, list(found.values())
    while waiting:
        now = heapq.heappop(free)
        ready = [t for t in waiting if t.after is None or ended.get(t.after, 1e9) <= now]
        if not ready:
            heapq.heappush(free, min(end for end in ended.values() if end > now))
            continue
        turn = max(ready, key=lambda each: each.weight)
        waiting.remove(turn)
        ended[turn.scenario] = now + known[turn.scenario]
        heapq.heappush(free, ended[turn.scenario])
    longest = max(turn.weight for turn in found.values())
    assert max(ended.values()) <= sum(known.values()) / workers + longest


def test_what_nobody_has_measured_is_as_long_as_its_steps(tmp_path):
    text = feature(
        scenario("short", "Given I pass"),
        scenario("long", *["Given I pass"] * 4),
        scenario("measured", *["Given I pass"] * 2),
        "Scenario: empty\n",
    )
    plan = make_plan([str(make_suite(tmp_path, x=text))])
    ids = {each.name: each.id for each in plan.scenarios}

    def found(seconds):
        told = expected(plan, {ids[name]: taken for name, taken in seconds.items()})
        return {name: told[key] for name, key in ids.items()}

    assert found({}) == {"short": 1, "long": 4, "measured": 2, "empty": 1}
    assert found({"measured": 20.0}) == {"short": 10, "long": 40, "measured": 20, "empty": 10}
