"""Which texts count as read, and which must not."""

import pytest

from tailstest.core.geometry import Region
from tailstest.screen.text_line import TextLine, Word, as_rows
from tailstest.screen.text_look import MAX_PRINTED, TextLook
from tailstest.screen.text_match import DEFAULT_THRESHOLD, find_text


def line(
    text: str, x: int = 10, y: int = 10, *, size: int = 8, confidence: float = 0.9
) -> TextLine:
    """Return a line of a fixed-width font, 16 pixels high."""
    words, column = [], 0
    for part in text.split(" "):
        if part:
            place = Region(x + column * size, y, len(part) * size, 16)
            words.append(Word(part, place, confidence))
        column += len(part) + 1
    return TextLine(tuple(words))


def is_found(wanted: str, *texts: str) -> bool:
    match = find_text(wanted, [line(text, y=10 + 40 * n) for n, text in enumerate(texts)])
    return match is not None and match.counts(DEFAULT_THRESHOLD)


@pytest.mark.parametrize(
    ("wanted", "read"),
    [
        ("Select a language", "Select a language"),
        ("select A LANGUAGE", "Select a language"),
        ("Select a language", "Selectalanguage"),
        ("Select a language", "Sel ect a lan guage"),
        ("Installation", "1nstallation"),
        ("Français", "Francais"),
        ("Rescue System", "Boot from Rescue Systern"),
        ("Tails 6.2", "Welcome to Tails 6.2!"),
        ("version 6.2", "This is version 6.2."),
        ("pam-modules-32bit-12.1-22.1", "Loading pam-modules-32bit-12.1-22.1 (44/222)"),
        ("Время", "ВРЕМЯ"),
        ("Straße", "STRASSE"),
        ("it's “here”", 'it’s "here"'),
        ("Booting from DVD/CD...", "Booting from DUD/CD..."),
        ("The quick brown fox jumps over", "The quiok brown tox jumps over"),
    ],
)
def test_what_a_person_would_call_the_same_text_is_found(wanted: str, read: str) -> None:
    assert is_found(wanted, read)


@pytest.mark.parametrize(
    ("wanted", "read"),
    [
        ("Tails 6.2", "Tails 6.3"),
        ("Tails 6.2", "Tails 6.l2"),
        ("6.2", "16.2"),
        ("6.2", "6.25"),
        ("6.2", "6.2.1"),
        ("6.2", "5.6.2"),
        ("2 GB", "12 GB"),
        ("Errors: 0", "Errors: O"),
        ("Errors: 0", "Errors: 10"),
        ("(44/222)", "(44/22)"),
        ("1024", "1O24"),
        ("Tails 6.2", "Tails 62"),
        ("Tails 62", "Tails 6.2"),
        ("10.0.2.15", "10.0.215"),
        ("connected", "disconnected"),
        ("mounted", "unmounted"),
        ("the service is enabled", "the service is disabled"),
        ("the update succeeded", "the update failed"),
        ("the disk is encrypted", "the disk is not encrypted"),
        ("Spanish", "Danish"),
        ("No", "On"),
        ("Continue", "Cancel"),
        ("Debian 12", "Debian"),
        ("a long sentence about it", "a long"),
    ],
)
def test_another_number_or_word_is_not_found(wanted: str, read: str) -> None:
    assert not is_found(wanted, read)


def test_a_text_is_found_although_it_is_wrapped() -> None:
    lines = [line("The selected language will also", y=10), line("be the default language.", y=30)]
    match = find_text("will also be the default", lines)
    assert match is not None
    assert match.counts(DEFAULT_THRESHOLD)
    assert match.text == "will also be the default"
    assert (match.place.y, match.place.bottom) == (10, 46)


def test_a_wrapped_text_in_one_of_two_columns_is_found() -> None:
    lines = [
        line("Press enter", 10, 10),
        line("Memory test", 400, 10),
        line("to boot", 10, 30),
        line("is running", 400, 30),
    ]
    assert find_text("Press enter to boot", lines).counts(DEFAULT_THRESHOLD)
    assert find_text("Memory test is running", lines).counts(DEFAULT_THRESHOLD)


def test_pieces_of_one_row_are_read_together() -> None:
    pieces = [line("version 2.06", 300, 12), line("GNU GRUB", 100, 10)]
    assert [row.text for row in as_rows(pieces)] == ["GNU GRUB version 2.06"]
    assert find_text("GRUB version", pieces).counts(DEFAULT_THRESHOLD)


def test_the_place_is_that_of_the_words_only() -> None:
    match = find_text("direct boot", [line("FreeBSD (kernel), direct boot of it", 100, 50)])
    assert match.place == Region(100 + 18 * 8, 50, 11 * 8, 16)


def test_a_button_wins_over_a_sentence_about_it() -> None:
    lines = [line("Press Continue to go on with it", 10, 10), line("Continue", 300, 200)]
    assert find_text("Continue", lines).place.y == 200


def test_of_equal_places_the_first_in_reading_order_wins() -> None:
    lines = [line("English", 300, 10), line("English", 10, 10), line("English", 10, 60)]
    assert find_text("English", lines).place == Region(10, 10, 56, 16)


def test_the_most_similar_text_is_named_when_digits_differ() -> None:
    match = find_text("Tails 6.2", [line("Help"), line("Welcome to Tails 6.3", y=60)])
    assert match.objection == "its digits differ"
    assert match.text == "Tails 6.3"
    assert find_text("Errors: 1", [line("Pass: 5 Errors: 0")]).text == "Errors: 0"


def test_a_text_that_is_not_similar_is_not_blamed_on_its_digits() -> None:
    match = find_text("GNU GRUB version 2.06", [line("Open Source Network Boot Firmware")])
    assert match is None or match.objection != "its digits differ"
    assert find_text("version 6.2", [line("a)"), line("x: y")]) is None


def test_a_lower_threshold_tolerates_more_but_no_other_digit() -> None:
    read = [line("Cohhectod to 6.2")]
    assert not find_text("Connected to 6.2", read).counts(0.95)
    assert find_text("Connected to 6.2", read).counts(0.6)
    assert not find_text("Connected to 6.3", read, 0.1).counts(0.1)


def test_nothing_read_gives_no_match() -> None:
    assert find_text("anything", []) is None
    assert find_text("...", [line("abc")]) is None


def test_a_screen_full_of_words_is_searched_in_bounded_time() -> None:
    lines = [line("word " * 40, y=16 * n) for n in range(300)]
    assert find_text("not there at all", lines) is None


def look(lines: list[TextLine]) -> TextLook:
    return TextLook(
        text="wan\x1bted",
        found=False,
        place=Region(1, 2, 3, 4),
        score=0.5,
        threshold=0.85,
        read="x\x1b[31my\x07",
        objection="",
        lines=tuple(lines),
        engine="tesseract",
        milliseconds=1.0,
        searched=Region(0, 0, 100, 100),
    )


def test_what_was_read_is_printed_with_place_and_confidence() -> None:
    assert look([line("Hello there", confidence=0.5)]).transcript() == (
        "  Hello there   [at 10,10 88x16, 50% sure]"
    )
    assert look([]).transcript() == "  (nothing)"


def test_text_of_a_guest_cannot_write_to_the_terminal() -> None:
    hostile = look([line("a\x1b]0;title\x07b\x00c\nd")])
    shown = hostile.transcript() + hostile.explain()
    assert not set(shown) & {"\x1b", "\x07", "\x00"}
    assert "\\x00" in shown
    assert "\n" not in hostile.transcript()


def test_what_is_printed_and_kept_is_bounded() -> None:
    endless = look([line("x" * 5000, y=20 * n) for n in range(3000)])
    assert len(endless.transcript()) < MAX_PRINTED + 200
    assert "left out" in endless.transcript()
    assert len(endless.to_json()["lines"]) == 200
    assert len(str(endless.to_json())) < 100_000
