"""Finding the first bad one where each answer may be wrong: with chosen rates and seeds."""

from __future__ import annotations

import random

import pytest

from tailstest.results.answers.change_point import ChangePoint, Tally


def search(
    places: int,
    first_bad: int,
    good: float,
    bad: float,
    luck: random.Random,
    *,
    unjudgeable: frozenset[int] = frozenset(),
    history: Tally | None = None,
    most: int = 400,
) -> tuple[tuple[int, int] | None, int]:
    """Return the answer (None when it was never sure) and the number of tries."""
    point = ChangePoint(places, history)
    for tries in range(most):
        answer = point.answer()
        ends = [point.tallies[0].tries, point.tallies[-1].tries]
        if all(ends) and answer.is_sure(0.95):
            return (answer.first, answer.last), tries
        place = point.next_place()
        assert place is not None
        if place in unjudgeable:
            point.skip(place)
            continue
        point.add(place, luck.random() < (bad if place >= first_bad else good))
    return None, most


@pytest.mark.parametrize(
    ("good", "bad", "least"),
    [
        (0.0, 1.0, 99),
        (0.1, 1.0, 95),
        (0.2, 1.0, 95),
        (0.05, 0.95, 95),
        (0.0, 0.5, 95),
        (0.2, 0.8, 95),
        (0.2, 0.6, 90),
    ],
)
def test_nearly_all_of_100_are_right_whatever_the_rates(
    good: float, bad: float, least: int
) -> None:
    luck = random.Random(f"{good} {bad}")
    right = 0
    for _ in range(100):
        first_bad = luck.randrange(1, 8)
        found, _tries = search(8, first_bad, good, bad, luck)
        right += found == (first_bad, first_bad)
    assert right >= least


def test_where_nothing_is_flaky_it_takes_little_more_than_halving() -> None:
    counts = []
    for first_bad in range(1, 64):
        found, tries = search(64, first_bad, 0.0, 1.0, random.Random(1))
        assert found == (first_bad, first_bad)
        counts.append(tries)
    assert max(counts) <= 2 + 6 + 10  # both ends, log2(64), and to be sure of the last two


def test_a_test_known_to_be_steady_needs_fewer_tries_and_a_flaky_one_more() -> None:
    tries = [
        search(16, 7, 0.0, 1.0, random.Random(1), history=history)[1]
        for history in (Tally(0, 500), Tally(), Tally(25, 75))
    ]
    assert tries[0] < tries[1] < tries[2]
    assert tries[0] <= 10


def test_nothing_is_bad_and_everything_is_bad() -> None:
    luck = random.Random(3)
    for first_bad in (0, 5):
        right = sum(
            search(5, first_bad, 0.05, 0.95, luck)[0] == (first_bad, first_bad) for _ in range(100)
        )
        assert right >= 95


def test_the_ends_come_first() -> None:
    point = ChangePoint(9)
    assert point.next_place() == 0
    point.add(0, False)
    assert point.next_place() == 8
    point.add(8, True)
    assert point.next_place() in (3, 4)


def test_what_cannot_be_tried_is_named_together_with_its_neighbour() -> None:
    luck = random.Random(4)
    found, _tries = search(9, 4, 0.0, 1.0, luck, unjudgeable=frozenset({3, 4}))
    assert found == (3, 5)
    found, _tries = search(9, 7, 0.0, 1.0, luck, unjudgeable=frozenset({3, 4}))
    assert found == (7, 7)


def test_nothing_is_left_when_all_are_left_out() -> None:
    point = ChangePoint(3)
    for place in range(3):
        point.skip(place)
    assert point.next_place() is None


def test_probabilities_are_probabilities_also_after_many_tries() -> None:
    point = ChangePoint(5)
    for _ in range(3000):
        point.add(1, False)
        point.add(3, True)
    found = point.probabilities()
    assert sum(found) == pytest.approx(1.0)
    assert found[2] + found[3] == pytest.approx(1.0)


def test_one_thing_has_no_change() -> None:
    with pytest.raises(ValueError, match="fewer than two"):
        ChangePoint(1)
