"""The keyboard: order and timing of strokes, held keys, what is told about it."""

import time
from collections.abc import Sequence

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Event, Events, Noted, Typed
from tailstest.input.keyboard import Keyboard
from tailstest.input.layout import Layout
from tailstest.input.pace import Pace, Pacer
from tailstest.input.sinks import KeyStroke

A, S, TAB, SHIFT, CTRL, ALT, DELETE = 30, 31, 15, 42, 29, 56, 111
QUICK = Pace(0.001, 0.001)


class Recorder:
    """A machine that writes down what it gets, and may stop taking keys."""

    def __init__(self) -> None:
        self.strokes: list[KeyStroke] = []
        self.times: list[float] = []
        self.fails_at: int | None = None

    def send_keys(self, strokes: Sequence[KeyStroke]) -> None:
        if self.fails_at is not None and len(self.strokes) >= self.fails_at:
            self.fails_at = None
            raise InfrastructureError("the machine takes no input")
        for stroke in strokes:
            self.strokes.append(stroke)
            self.times.append(time.monotonic())

    def text(self) -> str:
        """What a US keyboard makes of it; a key counts when it goes down."""
        characters = {}
        for character in Layout.named("us").characters:
            chord = Layout.named("us").single_chord(character)
            assert chord is not None
            characters[chord.code, bool(chord.modifiers)] = character
        down: set[int] = set()
        text = ""
        for code, is_down in self.strokes:
            assert (code in down) is not is_down, f"key {code} pressed or released twice"
            if is_down and code != SHIFT:
                text += characters[code, SHIFT in down]
            (down.add if is_down else down.remove)(code)
        assert not down
        return text


class Desk:
    """A keyboard at a recorder, with what it published."""

    def __init__(self, layout: str = "us", pace: Pace = QUICK) -> None:
        self.machine = Recorder()
        self.told: list[Event] = []
        events = Events()
        events.subscribe(self.told.append)
        self.keyboard = Keyboard(self.machine, Layout.named(layout), pace, events)

    def codes(self) -> list[int]:
        """Codes as they came: positive for a press, negative for a release."""
        return [code if down else -code for code, down in self.machine.strokes]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    "text", ["A9f", "TTyyS0", "!@#$%^&*", "console=ttyS0", "aA" * 100, "_-(9)0\t\n", ""]
)
def test_shift_touches_no_other_key_and_none_is_lost_or_doubled(desk: Desk, text: str) -> None:
    desk.keyboard.type(text)
    assert desk.machine.text() == text


def test_every_key_is_up_before_the_next_goes_down(desk: Desk) -> None:
    desk.keyboard.type("A9")
    assert desk.codes() == [SHIFT, A, -A, -SHIFT, 10, -10]


def test_a_key_is_held_and_followed_by_the_gap() -> None:
    desk = Desk(pace=Pace(0.02, 0.03))
    desk.keyboard.type("aa")
    first_down, first_up, second_down, second_up = desk.machine.times
    assert first_up - first_down >= 0.02
    assert second_down - first_up >= 0.03
    assert second_up - second_down >= 0.02


def test_the_gap_holds_between_calls_of_every_kind() -> None:
    desk = Desk(pace=Pace(0.001, 0.03))
    desk.keyboard.type("a")
    desk.keyboard.press("Tab")
    with desk.keyboard.hold("Shift"):
        pass
    desk.keyboard.type("a")
    strokes = list(zip(desk.machine.strokes, desk.machine.times, strict=True))
    released = [when for stroke, when in strokes if not stroke.down]
    pressed = [when for stroke, when in strokes if stroke.down]
    for up, down in zip(released, pressed[1:], strict=False):
        assert down - up >= 0.03


def test_a_pace_for_one_text_does_not_stay() -> None:
    desk = Desk(pace=Pace(0.02, 0.001))
    desk.keyboard.type("a", pace=Pace(0.05, 0.001))
    desk.keyboard.type("a")
    times = desk.machine.times
    assert times[1] - times[0] >= 0.05
    assert desk.keyboard.pace == Pace(0.02, 0.001)


def test_modifiers_go_down_first_and_up_last(desk: Desk) -> None:
    desk.keyboard.press("Ctrl+Alt+Del", "Tab")
    assert desk.codes() == [CTRL, ALT, DELETE, -DELETE, -ALT, -CTRL, TAB, -TAB]


def test_nothing_is_sent_unless_all_of_it_can_be(desk: Desk) -> None:
    with pytest.raises(UsageError):
        desk.keyboard.type("abc€")
    with pytest.raises(UsageError):
        desk.keyboard.press("Enter", "Retrun")
    assert desk.codes() == []


def test_held_keys_stay_down_and_come_up_in_reverse(desk: Desk) -> None:
    with desk.keyboard.hold("Ctrl+Alt"):
        assert desk.keyboard.held == (CTRL, ALT)
        desk.keyboard.press("Tab")
    assert desk.codes() == [CTRL, ALT, TAB, -TAB, -ALT, -CTRL]
    assert desk.keyboard.held == ()


def test_held_keys_come_up_after_an_error_inside(desk: Desk) -> None:
    with pytest.raises(ValueError, match="inside"), desk.keyboard.hold("Ctrl+Shift"):
        raise ValueError("inside")
    assert desk.codes() == [CTRL, SHIFT, -SHIFT, -CTRL]


def test_a_modifier_that_is_held_is_not_released_by_a_key_that_needs_it(desk: Desk) -> None:
    with desk.keyboard.hold("Shift"):
        desk.keyboard.type("A")
        assert desk.keyboard.held == (SHIFT,)
    assert desk.codes() == [SHIFT, A, -A, -SHIFT]


def test_a_held_key_is_not_struck(desk: Desk) -> None:
    with desk.keyboard.hold("a"), pytest.raises(UsageError, match="while it is held"):
        desk.keyboard.type("a")
    assert desk.codes() == [A, -A]


def test_release_all_releases_whatever_is_down(desk: Desk) -> None:
    with desk.keyboard.hold("Ctrl+Alt"):
        desk.keyboard.release_all()
        assert desk.keyboard.held == ()
    assert desk.codes() == [CTRL, ALT, -ALT, -CTRL]


def test_keys_that_may_be_down_are_released_after_an_error(desk: Desk) -> None:
    desk.machine.fails_at = 0
    with pytest.raises(InfrastructureError, match="takes no input"):
        desk.keyboard.type("A")
    assert desk.keyboard.held == ()
    assert desk.codes() == [-A, -SHIFT]


def test_a_machine_that_takes_no_release_is_told(desk: Desk) -> None:
    desk.machine.fails_at = 2
    with pytest.raises(InfrastructureError, match="takes no input"):
        desk.keyboard.type("A")
    assert desk.keyboard.held == ()
    desk.keyboard.press("Tab")  # a machine that came back is typed at as before
    assert desk.codes() == [SHIFT, A, TAB, -TAB]


def test_what_was_typed_is_told_within_bounds(desk: Desk) -> None:
    desk.keyboard.type("x" * 700, pace=Pace(0.0, 0.0))
    desk.keyboard.press("Ctrl+Alt+Del")
    # A host that was busy meanwhile may be noted as well.
    long, combination = [each for each in desk.told if isinstance(each, Typed)]
    assert (long.keys, len(long.text) < 650, "left out" in long.text) == (700, True, True)
    assert (combination.keys, combination.text) == (1, "Ctrl+Alt+Del")


def test_a_secret_is_told_nowhere(desk: Desk) -> None:
    desk.keyboard.type("s3cret", secret=True)
    with pytest.raises(UsageError) as caught:
        desk.keyboard.type("p€ss", secret=True)
    assert "character 2 of the secret text" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "€" not in str(caught.value)
    assert [(event.text, event.keys) for event in desk.told if isinstance(event, Typed)] == [
        ("(secret)", 0)
    ]


def test_a_key_held_until_it_may_repeat_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.7])
    monkeypatch.setattr("tailstest.input.keyboard.time.monotonic", lambda: next(clock, 0.7))
    monkeypatch.setattr("tailstest.input.keyboard.pause", lambda seconds: None)
    monkeypatch.setattr(Pacer, "wait_turn", lambda self: None)
    monkeypatch.setattr(Pacer, "released", lambda self, gap: None)
    desk.keyboard.type("a")
    notes = [event for event in desk.told if isinstance(event, Noted)]
    assert [note.level for note in notes] == ["warning"]
    assert "stayed down for 0.70 s" in notes[0].text


def test_slowing_down_has_an_end() -> None:
    pace = Pace.from_milliseconds(20, 20)
    assert pace.slower == Pace.from_milliseconds(40, 40)
    for _ in range(20):
        pace = pace.slower
    assert pace.hold < 0.25  # longer and guests repeat the key
    assert pace.gap <= 0.5
    very_slow = Pace(1.0, 2.0)
    assert very_slow.slower == very_slow
