"""The order of tests that run beside one another."""

import pytest
from dealing import dealt

TESTS = ["a", "b", "c2", "d", "e9", "f", "g", "h2", "i", "j2", "k", "l"]


def weight(test):
    return int(test[1:] or 0)


@pytest.mark.parametrize(
    ("processes", "order"),
    [
        (3, "e9 a b d  c2 j2 f g  h2 i k l"),
        (6, "e9 a  c2 b  h2 d  j2 f  g i  k l"),
        (1, "e9 c2 h2 j2 a b d f g i k l"),
    ],
)
def test_each_part_begins_with_something_long_and_the_longest_has_no_other(processes, order):
    assert dealt(TESTS, processes, weight) == order.split()


def test_nothing_is_lost_or_run_twice_whatever_is_dealt():
    for processes in range(1, 9):
        for count in range(len(TESTS) + 1):
            for tests in (TESTS[:count], TESTS[count:], TESTS[4:5] * count):
                assert sorted(dealt(tests, processes, weight)) == sorted(tests)
    assert dealt(TESTS[:2], 4, weight) == ["a", "b"]
