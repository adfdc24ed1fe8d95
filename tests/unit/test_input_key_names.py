"""Names of keys and combinations."""

import pytest

from tailstest.core.errors import UsageError
from tailstest.input.key_names import combination, key_names, split_combination
from tailstest.input.layout import Layout
from tailstest.input.sinks import Chord
from tailstest.machine.monitor_input import key_number

US = Layout.named("us")

#: Linux input event codes, from linux/input-event-codes.h.
CODES = {
    "Esc": 1,
    "Escape": 1,
    "Backspace": 14,
    "Tab": 15,
    "Enter": 28,
    "Return": 28,
    "Ctrl": 29,
    "Control": 29,
    "Strg": 29,
    "Shift": 42,
    "Right Shift": 54,
    "Keypad Multiply": 55,
    "Alt": 56,
    "Space": 57,
    "Caps Lock": 58,
    "F1": 59,
    "F2": 60,
    "F3": 61,
    "F4": 62,
    "F5": 63,
    "F6": 64,
    "F7": 65,
    "F8": 66,
    "F9": 67,
    "F10": 68,
    "Num Lock": 69,
    "Scroll Lock": 70,
    "Keypad 7": 71,
    "KP8": 72,
    "Keypad Minus": 74,
    "Keypad Plus": 78,
    "Keypad 0": 82,
    "Keypad Decimal": 83,
    "F11": 87,
    "F12": 88,
    "Keypad Enter": 96,
    "Right Ctrl": 97,
    "Keypad Divide": 98,
    "Print": 99,
    "Print Screen": 99,
    "SysRq": 99,
    "AltGr": 100,
    "Right Alt": 100,
    "Home": 102,
    "Up": 103,
    "Arrow Up": 103,
    "Page Up": 104,
    "PgUp": 104,
    "Left": 105,
    "Right": 106,
    "End": 107,
    "Down": 108,
    "Page Down": 109,
    "PageDown": 109,
    "page_down": 109,
    "Page-Down": 109,
    "PGDN": 109,
    "Insert": 110,
    "Ins": 110,
    "Delete": 111,
    "Del": 111,
    "Mute": 113,
    "Volume Down": 114,
    "Volume Up": 115,
    "Power": 116,
    "Pause": 119,
    "Super": 125,
    "Win": 125,
    "Windows": 125,
    "Meta": 125,
    "Right Super": 126,
    "a": 30,
    "Z": 44,
    "1": 2,
    "-": 12,
    "minus": 12,
    ".": 52,
    "period": 52,
    "/": 53,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_a_name_means_this_key(name: str, code: int) -> None:
    assert combination(name, US) == Chord((), code)
    assert combination(name.upper(), US) == combination(name.lower(), US)


def test_every_named_key_exists_and_names_are_unambiguous() -> None:
    chords = [combination(name, US) for name in key_names()]
    assert len(set(chords)) == len(key_names()) > 60
    assert all(key_number(code) for chord in chords for code in chord.keys)
    assert all(not chord.modifiers for chord in chords)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Ctrl+Alt+T", (29, 56, 20)),
        ("ctrl + alt + t", (29, 56, 20)),
        ("ctrl-alt-f2", (29, 56, 60)),
        ("Ctrl+Alt+Del", (29, 56, 111)),
        ("Alt+F4", (56, 62)),
        ("Ctrl++", (29, 42, 13)),
        ("Ctrl+plus", (29, 42, 13)),
        ("Ctrl+-", (29, 12)),
        ("Ctrl--", (29, 12)),
        ("+", (42, 13)),
        ("Shift+Tab", (42, 15)),
        ("Shift+a", (42, 30)),
        ("Shift+!", (42, 2)),
        ("Super+L", (125, 38)),
        ("Alt+SysRq+B", (56, 99, 48)),
        ("Ctrl+Alt", (29, 56)),
        ("Ctrl+Space", (29, 57)),
    ],
)
def test_a_combination_is_these_keys_in_this_order(text: str, keys: tuple[int, ...]) -> None:
    assert combination(text, US).keys == keys


@pytest.mark.parametrize(
    ("layout", "text", "keys"),
    [
        ("de", "Ctrl+Z", (29, 21)),  # where a US keyboard has Y
        ("de", "Ctrl+Y", (29, 44)),
        ("fr", "Ctrl+A", (29, 16)),
        ("fr", "Alt+1", (56, 42, 2)),
        ("de", "AltGr+q", (100, 16)),
        ("de", "Ctrl++", (29, 27)),
        ("ru", "Ctrl+C", (29, 46)),  # no Latin letters: the place on a US keyboard
        ("ru", "Ctrl+с", (29, 46)),  # the Cyrillic letter on the same key
    ],
)
def test_letters_are_keys_of_the_layout(layout: str, text: str, keys: tuple[int, ...]) -> None:
    assert combination(text, Layout.named(layout)).keys == keys


@pytest.mark.parametrize(
    ("wrong", "suggested"),
    [
        ("Retrun", "'Return'"),
        ("Ctl+x", "'Ctrl'"),
        ("Page Dwon", "'Page Down'"),
        ("Supper", "'Super'"),
        ("F25", "'F2'"),
        ("Escpae", "'Escape'"),
    ],
)
def test_an_unknown_name_suggests_near_ones(wrong: str, suggested: str) -> None:
    with pytest.raises(UsageError) as caught:
        combination(wrong, US)
    assert repr(wrong.split("+")[0]) in caught.value.message
    assert suggested in caught.value.hint


@pytest.mark.parametrize(
    "wrong", ["", "Ctrl+", "+a", "Ctrl++T", "+ +", "++", "Ctrl+Alt+", "--", "Ctrl-"]
)
def test_a_combination_with_a_hole_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="key combination"):
        split_combination(wrong)


@pytest.mark.parametrize(("layout", "text"), [("de", "Ctrl+é"), ("us", "Ctrl+ä"), ("us", "😀")])
def test_a_character_without_a_single_key_is_refused(layout: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"{layout!r} has no single key for"):
        combination(text, Layout.named(layout))
