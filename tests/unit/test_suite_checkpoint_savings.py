"""When saving pays: counted in scenarios that would begin there."""

from tailstest.suite.checkpoints.savings import Costs, Savings

CHAINS = {
    "a": ["start", "desktop"],
    "b": ["start", "desktop"],
    "c": ["start", "desktop", "editor"],
    "d": ["start", "welcome"],
    "e": ["start", "welcome"],
    "f": ["start"],
    "g": ["other"],
}


def begun(*names):
    savings = Savings(CHAINS)
    for name in names:
        savings.begin(name)
    return savings


def test_who_ends_there_begins_there_and_a_branch_counts_once():
    savings = begun("a")
    assert savings.beginners("a", 1) == 2  # b, and c behind it
    assert savings.beginners("a", 0) == 2  # f, and one of d and e, which saves for the other


def test_who_is_over_counts_no_more():
    assert begun("a", "b", "c", "f").beginners("a", 0) == 1
    assert begun(*CHAINS).beginners("a", 0) == 0
    assert begun("g").beginners("g", 0) == 0


def test_a_beginning_in_other_words_does_not_count():
    assert begun("a").beginners("g", 0) == 0


def test_it_pays_if_what_is_spared_is_more_than_what_it_costs():
    savings, costs = begun("a"), Costs(saving=10, waking=2)
    assert not savings.pays("a", 1, 7, costs)
    assert savings.pays("a", 1, 7.1, costs)
    assert not begun("a", "b", "c").pays("a", 1, 1000, costs)


def test_a_long_beginning_of_one_scenario_pays_in_later_runs_if_saving_is_cheap_beside_it():
    costs = Costs.on(2)
    assert not costs.are_small_beside(39.9)
    assert costs.are_small_beside(40)  # nobody has measured yet what saving takes
    costs.saw_saving(2)
    assert not costs.are_small_beside(59.9)
    assert costs.are_small_beside(60)


def test_costs_follow_what_is_measured():
    costs = Costs.on(2)
    assert (costs.saving, costs.waking) == (10, 4)
    costs.saw_saving(2)
    costs.saw_waking(1)
    assert (costs.saving, costs.waking) == (6, 2.5)
