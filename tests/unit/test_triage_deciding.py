"""The table of triage: every row, and every combination."""

from __future__ import annotations

import itertools

import pytest

from tailstest.results.suspect import Suspect
from tailstest.suite.triage.deciding import (
    TABLE,
    Cell,
    Certainty,
    Decision,
    Kind,
    Ways,
    cell_of,
    decide,
)
from tailstest.suite.trials.outcome import Outcome

LETTERS = dict(zip("pfmu-", Cell, strict=True))


def answer(text: str, suspect: Suspect | None = None) -> str:
    """Return kind and certainty for "again, old suite, old image, both"."""
    found = decide(Ways(*(LETTERS[letter] for letter in text), suspect=suspect))
    assert found.reason
    return f"{found.kind} {found.certainty}"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("fpfp", "test high"),
        ("ffpp", "product high"),
        ("fppp", "product low"),
        ("fffp", "product medium"),
        ("ff-p", "product high"),
        ("fp-p", "test high"),
        ("f-pp", "product medium"),
        ("f-fp", "test high"),
        ("f--p", "undecided low"),
        ("ffff", "infrastructure high"),
        ("fpff", "test low"),
        ("ffpf", "product low"),
        ("fppf", "flake low"),
        ("ff-f", "infrastructure medium"),
        ("fp-f", "test low"),
        ("f-pf", "product low"),
        ("f-ff", "infrastructure medium"),
        ("f--f", "infrastructure medium"),
        ("fpf-", "test medium"),
        ("ffp-", "product medium"),
        ("fpp-", "product low"),
        ("fff-", "undecided low"),
        ("ff--", "product low"),
        ("fp--", "test medium"),
        ("f-p-", "product medium"),
        ("f-f-", "test low"),
        ("f---", "undecided low"),
    ],
)
def test_each_row_of_what_failed_again(cells: str, expected: str) -> None:
    assert answer(cells) == expected
    if cells.count("-") and expected != "undecided low":
        assert answer(cells.replace("-", "u")) == expected  # nothing said is nothing known


def test_the_table_has_each_row_once() -> None:
    rows = [row[:3] for row in TABLE]
    assert set(rows) == set(itertools.product((Cell.PASSED, Cell.FAILED, Cell.MISSING), repeat=3))
    assert len(rows) == 27


@pytest.mark.parametrize("others", ["---", "ppp", "fff", "mmm", "uuu"])
def test_what_passes_again_or_both_ways_is_a_flake(others: str) -> None:
    assert answer("p" + others) == "flake high"
    assert answer("m" + others) == "flake high"


@pytest.mark.parametrize("suspect", [Suspect.HOST, Suspect.AGENT, Suspect.INFRASTRUCTURE])
def test_what_passes_again_after_trouble_of_the_host_was_that(suspect: Suspect) -> None:
    assert answer("p---", suspect) == "infrastructure medium"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("fmpp", "flake medium"),
        ("-m--", "flake medium"),
        ("u---", "infrastructure high"),
        ("uuuu", "infrastructure high"),
        ("uppp", "infrastructure medium"),
        ("--p-", "product low"),
        ("--fp", "test low"),
        ("-ppp", "product low"),
    ],
)
def test_what_cannot_be_run_again_or_says_nothing(cells: str, expected: str) -> None:
    assert answer(cells) == expected


@pytest.mark.parametrize(
    ("suspect", "expected"),
    [
        (Suspect.PRODUCT, "product low"),
        (Suspect.CRASH, "product low"),
        (Suspect.TEST, "test low"),
        (Suspect.HOST, "infrastructure low"),
        (Suspect.UNKNOWN, "undecided low"),
        (None, "undecided low"),
    ],
)
def test_where_nothing_could_be_compared_the_suspect_is_named(
    suspect: Suspect | None, expected: str
) -> None:
    assert answer("f---", suspect) == expected
    assert answer("f--p", suspect) == expected


def test_every_combination_has_an_answer() -> None:
    for cells in itertools.product(Cell, repeat=4):
        for suspect in (None, *Suspect):
            assert decide(Ways(*cells, suspect=suspect)).kind in Kind


def test_each_thing_that_was_not_as_it_should_be_lowers_the_certainty() -> None:
    ways = Ways(Cell.FAILED, Cell.FAILED, Cell.PASSED, Cell.PASSED)
    assert decide(ways).certainty is Certainty.HIGH
    assert decide(ways, ["the suite had changes"]).certainty is Certainty.MEDIUM
    found = decide(ways, ["a", "b", "c"])
    assert found == Decision(Kind.PRODUCT, Certainty.LOW, decide(ways).reason)


@pytest.mark.parametrize(
    ("outcomes", "cell"),
    [
        ([], Cell.UNCLEAR),
        ([Outcome.UNCLEAR], Cell.UNCLEAR),
        ([Outcome.PASSED, Outcome.UNCLEAR], Cell.PASSED),
        ([Outcome.FAILED, Outcome.FAILED], Cell.FAILED),
        ([Outcome.FAILED, Outcome.UNCLEAR, Outcome.PASSED], Cell.MIXED),
    ],
)
def test_trials_of_one_way_together(outcomes: list[Outcome], cell: Cell) -> None:
    assert cell_of(outcomes) is cell
