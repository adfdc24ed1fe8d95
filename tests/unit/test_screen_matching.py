"""Finding tolerantly and verifying strictly, with a name for every outcome."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screen_scenes import LABEL, TIGHT, reference, screen, with_pointer

from tailstest.core.errors import UsageError
from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame
from tailstest.screen.look import Outcome
from tailstest.screen.matching import Matcher

BASE = screen()


def look(pixels, wanted):
    return Matcher().look(Frame(pixels.copy()), wanted)


def shifted_half_a_pixel(pixels):
    matrix = np.array([[1, 0, 0.5], [0, 1, 0]], dtype=np.float32)
    return cv2.warpAffine(pixels, matrix, (1024, 768), borderMode=cv2.BORDER_REPLICATE)


def as_jpeg(pixels):
    _done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def with_caret(pixels):
    changed = pixels.copy()
    changed[262:286, 352:354] = 255
    return changed


CASES = {
    "clean": (BASE, Outcome.FOUND),
    "half a pixel": (shifted_half_a_pixel(BASE), Outcome.FOUND),
    "jpeg": (as_jpeg(BASE), Outcome.FOUND),
    "caret": (with_caret(BASE), Outcome.PARTLY_COVERED),
    "pointer": (with_pointer(BASE, 260, 270), Outcome.PARTLY_COVERED),
    "greyed out": (screen(ground=(150, 155, 170), ink=(175, 180, 190)), Outcome.GREYED_OUT),
    "red": (screen(ground=(200, 60, 40)), Outcome.OTHER_COLOUR),
    "one letter": (screen("Connecteo"), Outcome.TEXT_DIFFERS),
    "moved a little": (screen(at=(20, 4)), Outcome.FOUND),
    "moved far": (screen(at=(0, 200)), Outcome.MOVED),
    "gone": (screen("", ground=(200, 205, 210)), Outcome.ABSENT),
}


@pytest.mark.parametrize("place", [LABEL, TIGHT], ids=["large area", "tight area"])
@pytest.mark.parametrize("case", CASES)
def test_every_change_has_its_name(case, place):
    pixels, outcome = CASES[case]
    assert look(pixels, reference(BASE, place)).outcome is outcome


def test_a_found_look_says_where_it_is_and_where_to_click():
    found = look(screen(at=(20, 4)), reference(BASE, TIGHT))
    assert found.found
    assert found.areas[0].offset == (20, 4)
    assert found.click_points[""] == TIGHT.moved(20, 4).centre
    assert "moved by +20,+4" in found.explain()


def test_a_look_that_failed_offers_no_click_point():
    assert look(screen(ground=(200, 60, 40)), reference(BASE, LABEL)).click_points == {}


def test_version_numbers_are_told_apart():
    one = screen("Tails 6.2")
    assert look(screen("Tails 6.3"), reference(one, LABEL)).outcome is Outcome.TEXT_DIFFERS


def test_of_twins_the_nearer_one_is_taken_in_screen_coordinates():
    icon = screen()[60:84, 600:760]
    pixels = np.full((768, 1024, 3), 90, dtype=np.uint8)
    with_twins = pixels.copy()
    original = Region(400, 300, icon.shape[1], icon.shape[0])
    wanted_in = pixels.copy()
    wanted_in[300:324, 400:560] = icon
    with_twins[270:294, 390:550] = icon  # 10 left, 30 up
    with_twins[345:369, 430:590] = icon  # 30 right, 45 down
    found = look(with_twins, reference(wanted_in, original))
    assert (found.areas[0].place.x, found.areas[0].place.y) == (390, 270)


@pytest.mark.parametrize(("had", "has"), [("Hall", "Hal"), ("Hal", "Hall"), ("fil", "fill")])
def test_a_thin_letter_that_came_or_went_is_no_caret(had, has):
    result = look(screen(has), reference(screen(had), TIGHT))
    assert result.outcome is Outcome.TEXT_DIFFERS


def test_excluded_parts_move_with_the_match():
    exclude = Region(300, 255, 60, 40)
    wanted = reference(BASE, LABEL, exclude=(exclude,))
    assert look(screen("Connecteo", at=(20, 0)), wanted).outcome is Outcome.FOUND
    assert look(screen("Xonnected", at=(20, 0)), wanted).outcome is Outcome.TEXT_DIFFERS


def test_a_flat_reference_is_not_found_everywhere():
    flat = np.full((768, 1024, 3), 128, dtype=np.uint8)
    wanted = reference(flat, Region(10, 10, 80, 60))
    assert not look(BASE, wanted).found
    assert look(flat, wanted).found


def test_c32_a_nearly_black_reference_does_not_match_a_text_console():
    black = np.full((768, 1024, 3), 2, dtype=np.uint8)
    console = np.zeros((768, 1024, 3), dtype=np.uint8)
    for row in range(20, 760, 20):
        cv2.putText(
            console, "kernel: BUG: soft lockup", (8, row), cv2.FONT_HERSHEY_PLAIN, 1, (170,) * 3
        )
    assert not look(console, reference(black, Region(0, 0, 300, 200))).found


def test_all_areas_must_be_there():
    listed = Region(595, 55, 200, 60)
    wanted = reference(BASE, TIGHT, listed)
    assert look(BASE, wanted).found
    without = BASE.copy()
    without[50:130, 590:820] = 210
    result = look(without, wanted)
    assert result.outcome is Outcome.ABSENT
    assert "1 of its 2 areas are right" in result.explain()


def test_the_best_of_several_references_wins():
    red = reference(screen(ground=(200, 60, 40)), LABEL, name="red")
    blue = reference(BASE, LABEL, name="blue")
    best = Matcher().best(Frame(BASE.copy()), [red, blue])
    assert (best.reference, best.found) == ("blue", True)
    with pytest.raises(UsageError):
        Matcher().best(Frame(BASE.copy()), [])


def test_match_is_a_strictness():
    slightly = BASE.copy()
    slightly[262:268, 260:266] = (90, 120, 210)
    assert look(slightly, reference(BASE, TIGHT, match=80)).found
    assert not look(slightly, reference(BASE, TIGHT, match=100)).found


@pytest.mark.parametrize("scale", [1.25, 1.5, 2.0])
def test_c35_a_scaled_desktop_is_found_only_when_asked_for(scale):
    large = cv2.resize(BASE, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    assert not look(large, reference(BASE, LABEL)).found
    found = look(large, reference(BASE, LABEL, may_scale=True))
    assert found.found
    assert found.scale == scale
    x, y = found.click_points[""]
    assert abs(x - LABEL.centre.x * scale) <= 3
    assert abs(y - LABEL.centre.y * scale) <= 3


def test_c35_another_resolution_is_named_when_nothing_is_found():
    wide = np.full((800, 1280, 3), 60, dtype=np.uint8)
    text = look(wide, reference(BASE, TIGHT)).explain()
    assert "1280x800" in text
    assert "1024x768" in text


@settings(max_examples=25, deadline=None)
@given(x=st.integers(0, 340), y=st.integers(480, 660))
def test_any_textured_crop_is_found_at_its_own_place(x, y):
    place = Region(min(x, 330) + 20, min(y, 660), 60, 40)
    found = look(BASE, reference(BASE, place))
    assert found.found
    assert found.areas[0].place == place


def test_a_reference_larger_than_the_frame_is_absent():
    small = BASE[:300, :400].copy()
    result = look(small, reference(BASE, LABEL))
    assert result.outcome is Outcome.ABSENT
    assert Region(0, 0, 400, 300).contains(result.areas[0].place)


def test_a_bug_that_is_named_by_a_reference_is_told_with_every_look():
    plain = reference(BASE, TIGHT)
    known = dataclasses.replace(plain, properties={"known": "BUG-1:2026-12-31"})
    assert look(BASE, known).to_json()["known"] == "BUG-1:2026-12-31"
    assert "known" not in look(BASE, plain).to_json()
