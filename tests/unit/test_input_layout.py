"""Layouts: our strokes, fed to libxkbcommon as a guest would, give back the text."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xkbcommon import xkb

from tailstest.core.errors import UsageError
from tailstest.input.dead_keys import DeadKeys
from tailstest.input.keymap import Keymap
from tailstest.input.layout import COMMON_LAYOUTS, Layout, UntypableCharacter
from tailstest.input.sinks import Chord, KeyStroke

COMPOSE = Path("/usr/share/X11/locale/en_US.UTF-8/Compose")
TRIED = ("us", "de", "fr", "es", "ru", "de(nodeadkeys)", "us(intl)", "gr", "de(neo)", "br", "tr")

KEY_A, KEY_LEFTSHIFT, KEY_102ND, KEY_ENTER, KEY_TAB = 30, 42, 86, 28, 15


class Guest:
    """Makes text out of key strokes: an xkb state and a compose state of its own."""

    def __init__(self, layout: str) -> None:
        name, _, variant = layout.rstrip(")").partition("(")
        context = xkb.Context(no_environment_names=True)
        keymap = context.keymap_new_from_names(
            rules="evdev", model="pc105", layout=name, variant=variant
        )
        self.state = keymap.state_new()
        table = context.compose_table_new_from_buffer(COMPOSE.read_bytes(), "en_US.UTF-8")
        self.compose = table.compose_state_new()

    def text_of(self, strokes: list[KeyStroke]) -> str:
        text = ""
        for stroke in strokes:
            if stroke.down:
                text += self._typed(self.state.key_get_one_sym(stroke.code + 8))
            direction = xkb.XKB_KEY_DOWN if stroke.down else xkb.XKB_KEY_UP
            self.state.update_key(stroke.code + 8, direction)
        assert self.compose.get_status() != xkb.XKB_COMPOSE_COMPOSING
        return text

    def _typed(self, keysym: int) -> str:
        if self.compose.feed(keysym) == xkb.XKB_COMPOSE_FEED_IGNORED:
            return ""
        status = self.compose.get_status()
        if status == xkb.XKB_COMPOSE_COMPOSED:
            return str(self.compose.get_utf8())
        if status == xkb.XKB_COMPOSE_NOTHING:
            return str(xkb.keysym_to_string(keysym) or "").replace("\r", "\n")
        return ""


@pytest.mark.parametrize("name", TRIED)
def test_every_character_of_a_layout_comes_back(name: str) -> None:
    layout, guest = Layout.named(name), Guest(name)
    for character in sorted(layout.characters):
        assert guest.text_of(layout.text_to_strokes(character)) == character


@pytest.mark.parametrize("name", ("us", "de", "fr", "es", "ru", "us(intl)"))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_text_of_a_layout_comes_back(name: str, data: st.DataObject) -> None:
    layout = Layout.named(name)
    text = data.draw(st.text(st.sampled_from(sorted(layout.characters)), max_size=60))
    assert Guest(name).text_of(layout.text_to_strokes(text)) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("us", "The quick Brown fox 0123456789 !@#$%^&*()_+-=[]{};:'\"\\|,.<>/?`~\n\t"),
        ("de", "Zwölf Boxkämpfer, ÄÖÜß @€ {[]}\\~|^ áéàê"),
        ("fr", "Voilà l'été où çà coûte 10 € : ÀÉÈ ïâ @#{}[]|\\^"),
        ("es", "¿Qué pingüino? ¡El ñandú! àèìòù €@#|"),
        ("ru", "Съешь ещё этих мягких французских булок, ЁЪ №"),
        ("us(intl)", "naïve café \"quoted\" 'single' ~^` ñ ç €"),
        ("de(nodeadkeys)", "^`´~"),
    ],
)
def test_texts_people_type_come_back(name: str, text: str) -> None:
    assert Guest(name).text_of(Layout.named(name).text_to_strokes(text)) == text


@pytest.mark.parametrize("name", COMMON_LAYOUTS)
def test_common_layouts_exist(name: str) -> None:
    assert len(Layout.named(name).characters) > 90


def test_shift_is_released_before_the_next_key() -> None:
    assert Layout.named("us").text_to_strokes("Aa") == [
        KeyStroke(KEY_LEFTSHIFT, True),
        KeyStroke(KEY_A, True),
        KeyStroke(KEY_A, False),
        KeyStroke(KEY_LEFTSHIFT, False),
        KeyStroke(KEY_A, True),
        KeyStroke(KEY_A, False),
    ]


def test_line_end_is_enter_and_tab_is_tab() -> None:
    chords = Layout.named("us").text_to_chords("\r\n\t\n")
    assert chords == [Chord((), KEY_ENTER), Chord((), KEY_TAB), Chord((), KEY_ENTER)]


def test_the_key_that_us_keyboards_lack_is_used_only_where_it_must() -> None:
    us_codes = {stroke.code for stroke in Layout.named("us").text_to_strokes("<>|\\")}
    assert KEY_102ND not in us_codes
    assert Layout.named("de").text_to_chords("<") == [Chord((), KEY_102ND)]


def test_direct_keys_are_preferred_to_dead_ones() -> None:
    assert len(Layout.named("fr").text_to_chords("é")) == 1
    assert len(Layout.named("de").text_to_chords("é")) == 2


def test_combining_marks_are_typed_as_the_composed_letter() -> None:
    layout = Layout.named("es")
    assert layout.text_to_chords("cafe\u0301s") == layout.text_to_chords("caf\u00e9s")


def test_letters_with_a_stacked_mark_need_two_dead_keys() -> None:
    greek = Layout.named("gr")
    assert len(greek.text_to_chords("ΐ")) <= 3
    assert Guest("gr").text_of(greek.text_to_strokes("ΐ")) == "ΐ"


def test_no_sequence_needs_a_modifier_that_ends_it() -> None:
    # libxkbcommon ends a sequence at Neo's fifth-level key, so its dead key twice is no "¨".
    assert "¨" not in Layout.named("de(neo)").characters


def test_the_hosts_environment_does_not_change_a_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XKB_DEFAULT_LAYOUT", "ru")
    monkeypatch.setenv("XKB_DEFAULT_OPTIONS", "ctrl:swapcaps")
    monkeypatch.setenv("XKB_DEFAULT_VARIANT", "dvorak")
    assert Layout(Keymap("us")).text_to_chords("s") == [Chord((), 31)]


def test_an_untypable_character_is_named_with_its_place_and_other_layouts() -> None:
    with pytest.raises(UntypableCharacter) as caught:
        Layout.named("us").text_to_chords("10 € please")
    assert caught.value.position == 3
    assert "'€' (U+20AC EURO SIGN), character 4 of '10 € please'" in caught.value.message
    assert "de" in caught.value.hint.replace(";", ",").split(": ")[1].split(", ")


def test_cyrillic_layout_says_that_it_has_no_latin_letters() -> None:
    with pytest.raises(UsageError, match=r"'ru' cannot type 'h' .* character 1 of 'hello'"):
        Layout.named("ru").text_to_chords("hello")


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\x7f", "😀", "\r", "\ud800"])
def test_what_no_layout_has_is_refused(character: str) -> None:
    with pytest.raises(UntypableCharacter) as caught:
        Layout.named("us").text_to_chords("ok" + character)
    assert "none has it" in caught.value.hint
    assert caught.value.position == 2


@pytest.mark.parametrize(
    ("wrong", "suggested"),
    [
        ("german", "de (German)"),
        ("French", "fr (French)"),
        ("de(nodead)", "de(nodeadkeys)"),
        ("us(int)", "us(intl)"),
        ("uss", "us"),
    ],
)
def test_an_unknown_layout_suggests_the_one_meant(wrong: str, suggested: str) -> None:
    with pytest.raises(UsageError) as caught:
        Layout.named(wrong)
    assert wrong in caught.value.message
    assert suggested in caught.value.hint


@pytest.mark.parametrize("wrong", ["", "us,de", "../us", "us(", "us()", "zz9", "u s", "us\n(intl)"])
def test_a_name_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="there is no keyboard layout"):
        Layout.named(wrong)


def test_without_the_compose_table_plain_keys_still_work(tmp_path: Path) -> None:
    context = xkb.Context()
    dead_keys = DeadKeys(context, tmp_path / "missing")
    assert not dead_keys.available
    assert dead_keys.text((xkb.keysym_from_name("a"),)) == "a"
    assert dead_keys.text((xkb.keysym_from_name("dead_acute"), xkb.keysym_from_name("e"))) == ""
