"""Closed-loop typing at fields that lose, double and hide characters."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Event, Events, Noted, Typed
from tailstest.input.keyboard import Keyboard
from tailstest.input.layout import Layout
from tailstest.input.pace import Pace
from tailstest.input.sinks import KeyStroke
from tailstest.input.typing_check import (
    TypingReport,
    compare_typed,
    fold_for_ocr,
    type_checked,
    unchanged,
)

START = Pace(0.02, 0.02)
SOON = 0.02  # seconds; a simulated field shows at once what it will ever show


class Field:
    """A text field that damages characters typed faster than `safe_gap`, BackSpaces included."""

    def __init__(
        self, *, safe_gap: float = 0.0, lost: float = 0.0, doubled: float = 0.0, seed: int = 1
    ) -> None:
        self.content = ""
        self.safe_gap, self.lost, self.doubled = safe_gap, lost, doubled
        self.random = random.Random(seed)
        self.longest_send = 0

    def send(self, text: str, pace: Pace) -> None:
        self.longest_send = max(self.longest_send, len(text))
        for character in text:
            self.content += character * self._arrivals(pace)

    def take_back(self, count: int, pace: Pace) -> None:
        for _ in range(count):
            for _ in range(self._arrivals(pace)):
                self.content = self.content[:-1]

    def read(self) -> str | None:
        return self.content

    def _arrivals(self, pace: Pace) -> int:
        if pace.gap >= self.safe_gap:
            return 1
        chance = self.random.random()
        if chance < self.lost:
            return 0
        return 2 if chance < self.lost + self.doubled else 1


def check(field: Field, text: str, **options: object) -> TypingReport:
    arguments = {"send": field.send, "take_back": field.take_back, "pace": START, "within": SOON}
    return type_checked(text, field.read, **{**arguments, **options})  # type: ignore[arg-type]


def test_flawless_typing_is_reported_as_such_and_not_slowed() -> None:
    field = Field()
    text = "the quick brown fox " * 20
    assert check(field, text) == TypingReport(len(text), 0, 0, 0, 0, START)
    assert field.content == text
    assert 4 < field.longest_send <= 64


@pytest.mark.parametrize("seed", range(5))
def test_losses_and_doubles_are_repaired_and_slow_the_pace(seed: int) -> None:
    field = Field(safe_gap=0.08, lost=0.15, doubled=0.15, seed=seed)
    text = "".join(chr(33 + n % 90) for n in range(300))
    report = check(field, text)
    assert field.content == text
    assert report.typed == 300
    assert report.lost + report.doubled > 0
    assert report.repaired > 0
    assert report.pace.gap == 0.08


def test_the_first_letters_lost_before_the_focus_came_are_repaired() -> None:
    field = Field()
    dropped = []

    def send(text: str, pace: Pace) -> None:
        if not dropped:
            dropped.append(text)
            text = text[3:]
        field.send(text, pace)

    report = check(field, "passphrase", send=send)
    assert field.content == "passphrase"
    assert (report.lost, report.doubled, report.wrong) == (3, 0, 0)


def test_a_field_that_loses_everything_fails_with_what_was_expected_and_seen() -> None:
    field = Field(safe_gap=9.0, lost=1.0)
    with pytest.raises(CheckFailed) as caught:
        check(field, "hello world", repairs=2)
    assert "still wrong after 2 repairs: expected 'hell', seen ''" in caught.value.message
    assert "focus" in caught.value.hint


def test_a_field_that_never_can_be_read_fails() -> None:
    field = Field()
    with pytest.raises(CheckFailed, match="cannot be read back: expected 'hell'"):
        type_checked(
            "hello",
            lambda: None,
            send=field.send,
            take_back=field.take_back,
            pace=START,
            within=SOON,
        )


def test_wrong_text_that_does_not_go_away_fails() -> None:
    field = Field()
    field.content = "xyz"
    with pytest.raises(CheckFailed, match="cannot be taken back"):
        check(field, "hello", take_back=lambda count, pace: None)


def test_a_field_that_shows_its_text_late_is_waited_for() -> None:
    field = Field()
    looks = []

    def read() -> str | None:
        looks.append(1)
        return field.content if len(looks) % 4 == 0 else None

    report = type_checked(
        "slow field", read, send=field.send, take_back=field.take_back, pace=START, within=20
    )
    assert report.repaired == 0


@pytest.mark.parametrize("text", ["two\nlines", "a\tb", "a\rb"])
def test_text_that_leaves_the_field_is_refused(text: str) -> None:
    field = Field()
    with pytest.raises(UsageError, match="line end or a tab"):
        check(field, text)
    assert field.content == ""


def test_no_text_needs_no_look() -> None:
    assert check(Field(), "") == TypingReport(0, 0, 0, 0, 0, START)


def test_a_guest_that_shows_endless_text_is_quoted_within_bounds() -> None:
    field = Field()
    field.content = "z" * 100_000
    with pytest.raises(CheckFailed) as caught:
        check(field, "hello", repairs=0)
    assert len(caught.value.message) < 1000


def test_look_alikes_and_lost_spaces_do_not_count_for_text_recognition() -> None:
    field = Field()

    def read() -> str | None:
        return field.content.replace(" ", "").replace("l", "I").replace("0", "O")

    report = type_checked(
        "hello 10 worlds",
        read,
        send=field.send,
        take_back=field.take_back,
        pace=START,
        within=SOON,
        fold=fold_for_ocr,
    )
    assert (report.repaired, field.content) == (0, "hello 10 worlds")


@settings(max_examples=60, deadline=None)
@given(
    text=st.text("ab c", min_size=1, max_size=24),
    seed=st.integers(0, 1000),
)
def test_unseen_spaces_are_neither_lost_nor_doubled_by_a_repair(text: str, seed: int) -> None:
    """Only visible characters are lost here: what cannot be seen cannot be repaired either."""
    field = Field()
    source = random.Random(seed)
    damage = [3]

    def send(part: str, pace: Pace) -> None:
        kept = ""
        for character in part:
            is_lost = character != " " and damage[0] > 0 and source.random() < 0.3
            damage[0] -= is_lost
            kept += "" if is_lost else character
        field.send(kept, pace)

    type_checked(
        text,
        lambda: field.content.replace(" ", ""),
        send=send,
        take_back=field.take_back,
        pace=START,
        within=0.0,
        fold=fold_for_ocr,
    )
    assert field.content == text


@pytest.mark.parametrize(
    ("expected", "shown", "counts"),
    [
        ("hello", "hello", (0, 0, 0)),
        ("hello", "helo", (1, 0, 0)),
        ("hello", "", (5, 0, 0)),
        ("abc", "abbc", (0, 1, 0)),
        ("abc", "aabbcc", (0, 3, 0)),
        ("abc", "abxc", (0, 0, 1)),
        ("A9f", "A(F", (2, 0, 2)),
        ("", "xy", (0, 0, 2)),
    ],
)
def test_lost_doubled_and_wrong_are_counted(
    expected: str, shown: str, counts: tuple[int, int, int]
) -> None:
    assert compare_typed(expected, shown) == counts


def test_folding_gives_one_character_or_none() -> None:
    for number in range(0x20, 0x2100):
        character = chr(number)
        assert unchanged(character) == character
        assert len(fold_for_ocr(character)) <= 1
        assert fold_for_ocr(fold_for_ocr(character)) == fold_for_ocr(character)


class DoublingMachine:
    """A US text field that takes one of the first strikes of the letter e for two."""

    def __init__(self) -> None:
        self.content = ""
        self.damage_left = 1

    def send_keys(self, strokes: Sequence[KeyStroke]) -> None:
        for code, down in strokes:
            if down and code == 14:
                self.content = self.content[:-1]
            elif down:
                letter = {35: "h", 18: "e", 38: "l", 24: "o"}[code]
                times = 2 if letter == "e" and self.damage_left > 0 else 1
                self.damage_left -= times - 1
                self.content += letter * times


def test_the_keyboard_repairs_and_tells() -> None:
    machine, told = DoublingMachine(), list[Event]()
    events = Events()
    events.subscribe(told.append)
    keyboard = Keyboard(machine, Layout.named("us"), Pace(0.001, 0.001), events)
    report = keyboard.type_checked("hello", lambda: machine.content, within=SOON)
    assert machine.content == "hello"
    assert (report.lost, report.doubled) == (0, 1)
    (typed,) = [each for each in told if isinstance(each, Typed)]
    assert (typed.text, typed.keys, typed.repaired) == ("hello", 5, report.repaired)
    notes = [each.text for each in told if isinstance(each, Noted)]
    assert any("0 characters lost, 1 doubled" in text for text in notes)
