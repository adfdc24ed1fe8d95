"""When a screen counts as still or blank."""

import numpy as np
import pytest

from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame, Pixels
from tailstest.screen.stillness import Stillness, changed_region, is_blank


def screen(*boxes: tuple[int, int, int, int, int]) -> Pixels:
    """Return a black screen of 200x100 with boxes: x, y, width, height, brightness."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    for x, y, width, height, value in boxes:
        pixels[y : y + height, x : x + width] = value
    return pixels


CARET = (50, 40, 2, 14, 255)
TEXT = (10, 40, 38, 14, 180)


def still_for(*pictures: Pixels, every: float = 0.5, region: Region | None = None) -> list[float]:
    stillness = Stillness(region)
    return [
        stillness.seconds(Frame(picture, taken=100 + every * number))
        for number, picture in enumerate(pictures)
    ]


def test_time_passes_while_nothing_moves() -> None:
    assert still_for(*[screen(TEXT)] * 4) == [0, 0.5, 1.0, 1.5]


def test_time_and_not_the_number_of_frames_counts() -> None:
    assert still_for(*[screen(TEXT)] * 3, every=4.0)[-1] == 8.0


def test_a_change_starts_the_clock_again() -> None:
    moved = screen(TEXT, (100, 10, 60, 60, 90))
    assert still_for(screen(TEXT), screen(TEXT), moved, moved) == [0, 0.5, 0, 0.5]


def test_a_blinking_caret_is_ignored() -> None:
    on, off = screen(TEXT, CARET), screen(TEXT)
    assert still_for(on, off, on, off, on, off, on)[-1] == 2.5


def test_a_spinner_is_no_caret() -> None:
    states = [screen(TEXT, (50, 40, 2 + 2 * n, 14, 255)) for n in range(4)]
    assert max(still_for(*(states * 4))) <= 0.5


def test_a_spinner_that_fills_its_cell_in_every_state_is_no_caret() -> None:
    states = [screen(TEXT, (50, 40, 8, 14, value)) for value in (250, 150, 90)]
    assert max(still_for(*(states * 4))) <= 0.5


def test_typing_moves_the_caret_and_is_a_change() -> None:
    pictures = [screen((10, 40, 8 * n, 14, 180), (12 + 8 * n, 40, 2, 14, 255)) for n in range(1, 9)]
    assert max(still_for(*pictures)) == 0


def test_a_large_block_that_blinks_is_a_change() -> None:
    on, off = screen((20, 20, 80, 40, 255)), screen()
    assert max(still_for(on, off, on, off, on, off)) == 0


def test_changes_outside_of_the_region_do_not_count() -> None:
    pictures = [screen(TEXT, (100 + n, 10, 40, 40, 90)) for n in range(5)]
    assert still_for(*pictures, region=Region(0, 30, 90, 40))[-1] == 2.0
    assert still_for(*pictures)[-1] == 0


def test_another_resolution_starts_the_clock_again() -> None:
    assert still_for(screen(), screen(), np.zeros((50, 50, 3), np.uint8))[-1] == 0


def test_the_changed_region_is_the_smallest_around_all_changes() -> None:
    one, other = Frame(screen(TEXT)), Frame(screen(TEXT, (100, 5, 10, 10, 9), (150, 60, 5, 5, 9)))
    assert changed_region(one, other) == Region(100, 5, 55, 60)
    assert changed_region(one, one.taken_again()) is None
    assert changed_region(one, Frame(screen(TEXT, (100, 5, 10, 10, 4)))) is None
    assert changed_region(one, other, Region(0, 0, 90, 100)) is None
    assert changed_region(one, other, Region(500, 0, 90, 100)) is None


@pytest.mark.parametrize(
    ("pixels", "blank"),
    [
        (screen(), True),
        (np.full((100, 200, 3), (200, 30, 10), np.uint8), True),
        (screen((5, 5, 8, 2, 170)), True),
        (screen((90, 40, 12, 20, 255)), True),
        (screen(TEXT, (150, 80, 10, 10, 99)), False),
        (screen((0, 0, 100, 100, 255)), False),
    ],
)
def test_a_blank_screen_has_one_colour_but_for_a_cursor(pixels: Pixels, blank: bool) -> None:
    assert is_blank(Frame(pixels)) is blank
