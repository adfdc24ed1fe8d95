"""Parts of a plan for jobs that somebody else starts (case C15)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suite_tools import make_suite

from tailstest.core.errors import UsageError
from tailstest.suite.plan import make_plan
from tailstest.suite.spread.durations import read_durations
from tailstest.suite.spread.shards import Shard, keep_shard, shards_of


def test_a_shard_is_its_number_and_how_many_there_are():
    assert Shard.of(" 2/3") == Shard(2, 3)
    assert str(Shard.of("2/3")) == "2/3"
    for wrong in ("0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/3/4", "", "1/99999"):
        with pytest.raises(UsageError, match="--shard"):
            Shard.of(wrong)


def test_more_shards_than_scenarios_leave_some_empty():
    shards = shards_of(["a", "b"], {}, {}, 5)
    assert sorted(map(len, shards)) == [0, 0, 0, 1, 1]


def test_scenarios_with_one_beginning_stay_together_and_in_order():
    beginnings = {"a": "x", "b": "y", "c": "x", "d": "y"}
    assert shards_of(["a", "b", "c", "d"], beginnings, {}, 2) == [["a", "c"], ["b", "d"]]


def test_a_group_that_is_more_than_a_share_is_cut():
    beginnings = dict.fromkeys("abcdef", "x")
    shards = shards_of(list("abcdef"), beginnings, {}, 3)
    assert [len(shard) for shard in shards] == [2, 2, 2]


def test_what_takes_long_is_balanced():
    seconds = {"a": 10, "b": 1, "c": 1, "d": 8}
    assert shards_of(list("abcd"), {}, seconds, 2) == [["a"], ["b", "c", "d"]]


@given(
    st.lists(st.integers(0, 5), max_size=30),
    st.lists(st.floats(0.1, 100), min_size=30, max_size=30),
    st.integers(1, 9),
)
def test_each_scenario_is_in_exactly_one_shard_every_time(groups, seconds, count):
    names = [f"s{number}" for number in range(len(groups))]
    beginnings = {name: str(group) for name, group in zip(names, groups, strict=True)}
    times = dict(zip(names, seconds, strict=False))
    shards = shards_of(names, beginnings, times, count)
    assert len(shards) == count
    assert sorted(each for shard in shards for each in shard) == sorted(names)
    assert shards == shards_of(names, beginnings, times, count)
    loads = [sum(times[each] for each in shard) for shard in shards]
    total = sum(times[each] for each in names)
    largest = max([total / count, *(times[each] for each in names)], default=0)
    assert max(loads) <= total / count + largest + 1e-6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no JSON", "no plan"),
        ("[]", "no plan"),
        ('{"scenarios": [{"scenario": "a"}]}', "seconds_before"),
        ('{"scenarios": [{"scenario": "a", "seconds_before": "long"}]}', "no plan"),
        ('{"scenarios": [{"scenario": "a", "seconds_before": -1}]}', "no number of seconds"),
        ('{"scenarios": [{"scenario": "a", "seconds_before": Infinity}]}', "no number of seconds"),
        ("[" * 100_000, "no plan"),
        (None, "No such file"),
    ],
)
def test_a_file_without_durations_is_refused(tmp_path, content, said):
    file = tmp_path / "durations.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=said):
        read_durations(file)


def test_a_plan_is_cut_by_the_durations_of_an_earlier_plan(tmp_path):
    names = {"a": 100, "b": 1, "c": 1, "d": 1}
    text = "".join(f"  Scenario: {name}\n    Given I pass\n" for name in names)
    make_suite(tmp_path, x=f"Feature: f\n{text}")
    told = [
        {"scenario": f"features/x.feature#{name}", "seconds_before": taken}
        for name, taken in names.items()
    ]
    file = tmp_path / "durations.json"
    file.write_text(json.dumps({"scenarios": [*told, {"scenario": "e", "seconds_before": None}]}))

    def parts(durations):
        plans = [make_plan([str(tmp_path)]) for _ in range(2)]
        for number, plan in enumerate(plans, 1):
            keep_shard(plan, f"{number}/2", durations)
        return [[each.name for each in plan.scenarios] for plan in plans]

    assert parts(None) == [["a", "b"], ["c", "d"]]
    assert parts(file) == [["a"], ["b", "c", "d"]]
    with pytest.raises(UsageError, match="--shard is missing"):
        keep_shard(make_plan([str(tmp_path)]), "", file)
