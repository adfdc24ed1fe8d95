"""The order of tests that run beside one another."""

from dealing import dealt

TESTS = ["a", "b", "c2", "d", "e9", "f", "g", "h2", "i", "j2", "k", "l"]


def weight(test):
    return int(test[1:] or 0)


def test_each_process_begins_with_something_long_and_the_longest_is_alone():
    assert dealt(TESTS, 3, weight) == [
        "e9",
        "a",
        "b",
        "d",
        "c2",
        "j2",
        "f",
        "g",
        "h2",
        "i",
        "k",
        "l",
    ]


def test_one_process_runs_the_long_ones_first_and_the_others_as_they_come():
    assert dealt(TESTS, 1, weight) == [
        "e9",
        "c2",
        "h2",
        "j2",
        "a",
        "b",
        "d",
        "f",
        "g",
        "i",
        "k",
        "l",
    ]


def test_nothing_is_lost_or_run_twice_whatever_is_dealt():
    for processes in range(1, 9):
        for count in range(len(TESTS) + 1):
            for tests in (TESTS[:count], TESTS[count:], TESTS[4:5] * count):
                assert sorted(dealt(tests, processes, weight)) == sorted(tests)
    assert dealt(TESTS[:2], 4, weight) == ["a", "b"]
