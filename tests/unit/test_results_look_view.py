"""The report's view of looks as the screen room writes them."""

from __future__ import annotations

import json

import pytest

from tailstest.core.geometry import Region
from tailstest.results.look_view import LookView
from tailstest.results.run_record import LookRecord
from tailstest.results.wording import OUTCOMES
from tailstest.screen.look import AreaLook, Limits, Look, Outcome, Scores
from tailstest.screen.text_line import TextLine, Word
from tailstest.screen.text_look import TextLook

LIMITS = Limits(correlation=0.9, contrast=0.8, brightness=24, difference=0.2, colour=9)


def area(outcome: Outcome, scores: Scores, *, x: int = 100) -> AreaLook:
    return AreaLook(
        recorded=Region(100, 50, 40, 20),
        place=Region(x, 50, 40, 20),
        outcome=outcome,
        scores=scores,
        limits=LIMITS,
        next_best=0.5,
        searched=Region(60, 10, 120, 100),
        differs=Region(x + 5, 55, 9, 9),
    )


def view_of(*areas: AreaLook) -> LookView:
    look = Look(reference="button", areas=areas, searched=Region(60, 10, 120, 100))
    value = json.loads(json.dumps(look.to_json()))
    return LookView(LookRecord("reference", ["button"], look.found, value, {}, 0.0))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words(outcome: Outcome) -> None:
    view = view_of(area(outcome, Scores(correlation=0.95)))
    assert view.outcome == outcome.value
    assert view.outcome in OUTCOMES
    assert '"button" is ' in view.seen
    assert bool(view.advice) == (outcome is not Outcome.FOUND)


def test_scores_are_judged_in_their_direction() -> None:
    scores = Scores(correlation=0.95, contrast=0.3, brightness=-60.0, difference=0.05, colour=30.0)
    rows = {score.name: score for score in view_of(area(Outcome.GREYED_OUT, scores)).scores}
    assert [(name, row.ok) for name, row in rows.items()] == [
        ("similarity of shape", True),
        ("contrast (1 is equal)", False),
        ("change of brightness", False),
        ("largest difference", True),
        ("distance in colour", False),
        ("share of changed pixels", None),
    ]
    assert rows["contrast (1 is equal)"].needed == "at least 0.8"
    assert rows["distance in colour"].result == "too much"


def test_boxes_show_searched_recorded_found_and_different_places() -> None:
    good = area(Outcome.FOUND, Scores(correlation=1.0))
    bad = area(Outcome.OTHER_COLOUR, Scores(correlation=0.99, colour=40.0), x=120)
    boxes = view_of(good, bad).boxes
    assert [(box.kind, box.x, box.label) for box in boxes] == [
        ("searched", 60, "searched"),
        ("found", 100, "1: found"),
        ("differs", 105, ""),
        ("recorded", 100, "recorded here"),
        ("best", 120, "2: another colour"),
        ("differs", 125, ""),
    ]


def test_a_text_look_shows_its_score_its_place_and_what_was_read() -> None:
    line = TextLine(
        (Word("GNU", Region(1, 2, 30, 10), 0.9), Word("GRUB", Region(40, 2, 40, 10), 0.9))
    )
    look = TextLook(
        text="GNU GRUP",
        found=False,
        place=line.place,
        score=0.88,
        threshold=0.92,
        read="GNU GRUB",
        objection="",
        lines=(line,),
        engine="tesseract",
        milliseconds=410.0,
        searched=Region(0, 0, 720, 400),
    )
    value = json.loads(json.dumps(look.to_json()))
    view = LookView(LookRecord("text", ["GNU GRUP"], False, value, {}, 0.0))
    assert "GNU GRUB" in view.seen
    assert [(word.text, word.score) for word in view.words] == [("GNU GRUB", 0.9)]
    assert [(s.area, s.value, s.threshold, s.ok) for s in view.scores] == [
        ("text", 0.88, 0.92, False)
    ]
    assert [(box.kind, box.x, box.width) for box in view.boxes] == [
        ("searched", 0, 720),
        ("best", 1, 79),
    ]
    assert ("engine", "tesseract") in view.facts
