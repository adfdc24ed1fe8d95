"""What the engines read on drawn pictures and on frames of real machines."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tailstest.core.errors import SetupError, UsageError
from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame, Pixels
from tailstest.screen.ocr.console import UNKNOWN, ConsoleEngine
from tailstest.screen.ocr.plain_ground import on_plain_ground
from tailstest.screen.ocr.rapid import RapidEngine
from tailstest.screen.ocr.tesseract import TesseractEngine, find_models
from tailstest.screen.ocr.uefi_font import uefi_font
from tailstest.screen.ocr.vga_font import vga_font
from tailstest.screen.reader import Reader

FRAMES = Path(__file__).parents[2] / "benchmarks" / "data"
BLUE, WHITE, BLACK = (170, 0, 0), (255, 255, 255), (0, 0, 0)

needs_font = pytest.mark.skipif(not vga_font().glyphs, reason="no VGA firmware (package seabios)")

needs_uefi = pytest.mark.skipif(not uefi_font().glyphs, reason="no UEFI firmware (package ovmf)")


def real_frame(name: str) -> Frame:
    return Frame.decode((FRAMES / f"{name}.png").read_bytes())


def button(pixels: Pixels, text: str, place: Region, ground: object, ink: object) -> None:
    cv2.rectangle(pixels, (place.x, place.y), (place.right, place.bottom), ground, -1)
    where = (place.x + 12, place.centre.y + 6)
    cv2.putText(pixels, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)


def buttons() -> Frame:
    """Draw black on white beside white on blue, and dark red on grey."""
    pixels = np.full((200, 420, 3), 240, np.uint8)
    button(pixels, "Install now", Region(20, 20, 150, 36), WHITE, BLACK)
    button(pixels, "Rescue System", Region(220, 20, 160, 36), BLUE, WHITE)
    button(pixels, "Memory Test", Region(20, 100, 150, 36), (128, 128, 128), (0, 0, 120))
    return Frame(pixels)


def console(text: str, *, width: int = 9, invert: bool = False) -> Pixels:
    """Draw text with the VGA font: light grey on black, 80 columns, 25 rows."""
    glyphs = {}
    for rows, sign in vga_font().glyphs.items():
        glyphs.setdefault(sign, rows)
    pixels = np.zeros((400, 80 * width, 3), np.uint8)
    for row, line in enumerate(text.splitlines()):
        for column, sign in enumerate(line):
            bits = np.unpackbits(np.frombuffer(glyphs[sign], np.uint8)).reshape(16, 8)
            cell = pixels[row * 16 : row * 16 + 16, column * width : column * width + 8]
            cell[bits == (0 if invert else 1)] = 170
            if invert:
                pixels[row * 16 : row * 16 + 16, column * width + 8 : (column + 1) * width] = 170
    return pixels


@pytest.fixture(scope="module")
def reader():
    reader = Reader()
    yield reader
    reader.close()


@pytest.mark.parametrize("text", ["Install now", "Rescue System", "Memory Test"])
def test_buttons_in_any_colours_are_read(reader: Reader, text: str) -> None:
    look = reader.look(buttons(), text)
    assert look.found, look.transcript()
    assert look.engine.startswith("tesseract")


def test_the_place_lies_inside_of_the_button(reader: Reader) -> None:
    place = reader.look(buttons(), "Rescue System").place
    assert Region(220, 20, 160, 36).contains(place)
    assert place.width > 90


def test_a_region_is_read_alone_and_answers_in_screen_coordinates(reader: Reader) -> None:
    right = Region(200, 0, 220, 80)
    look = reader.look(buttons(), "Rescue System", region=right, patient=True)
    assert look.found
    assert right.contains(look.place)
    assert look.searched == right
    assert not reader.look(buttons(), "Install now", region=right, patient=True).found


def test_text_of_every_colour_becomes_dark_on_white() -> None:
    plain = on_plain_ground(buttons().pixels)
    for place in (Region(24, 24, 142, 28), Region(224, 24, 152, 28), Region(24, 104, 142, 28)):
        part = plain[place.y : place.bottom, place.x : place.right]
        assert np.median(part) > 240
        assert part.min() < 60


def test_a_selected_line_on_a_gradient_becomes_dark_on_white() -> None:
    pixels = np.full((120, 300, 3), 255, np.uint8)
    for row in range(24):
        pixels[50 + row, 10:290] = (150 - row, 120 - row, 40)
    cv2.putText(pixels, "English", (16, 67), cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1, cv2.LINE_AA)
    part = on_plain_ground(pixels)[53:71, 14:286]
    assert np.median(part) > 240
    assert part.min() < 60


@pytest.mark.parametrize(
    ("name", "present", "absent"),
    [
        ("grub-menu", "2.06-13+deb12u2", "2.06-13+deb12u1"),
        ("grub-menu", "GNU/Linux", "automatically in 2s"),
        ("memtest", "Memtest86+ v6.10", "Memtest86+ v6.11"),
        ("memtest", "Errors: 0", "Errors: 8"),
        ("ipxe", "iPXE 1.0.0+git-20190125.36a4c85-5.1", "iPXE 1.0.1"),
        ("ipxe", "http://ipxe.org", "https://ipxe.com"),
        ("uefi-menu", "Graphical install", "Text install"),
        ("uefi-menu", "automatically in 6s", "automatically in 5s"),
        ("installer-graphical", "debian 12", "debian 13"),
        ("installer-graphical", "Screenshot", "Spanish"),
        ("installer-text", "<Tab> moves; <Space> selects; <Enter> activates", "<Yes>"),
    ],
)
def test_texts_of_real_machines_are_found_and_similar_ones_are_not(
    reader: Reader, name: str, present: str, absent: str
) -> None:
    frame = real_frame(name)
    found = reader.look(frame, present, patient=True)
    assert found.found, found.transcript()
    assert not reader.look(frame, absent, patient=True).found


def test_the_selected_line_of_a_menu_is_read_by_the_quick_engine() -> None:
    lines = TesseractEngine().read(real_frame("grub-menu").pixels)
    assert any("GNU/Linux" in line.text for line in lines)


def test_a_huge_screen_is_enlarged_less_and_places_stay_right(monkeypatch) -> None:
    monkeypatch.setattr("tailstest.screen.ocr.tesseract.MAX_PIXELS", 4 * 200 * 420)
    words = [word for line in TesseractEngine().read(buttons().pixels) for word in line.words]
    rescue = next(word for word in words if word.text == "Rescue")
    assert Region(220, 20, 100, 36).contains(rescue.place)


def test_lines_whose_places_are_known_are_read_by_the_accurate_engine() -> None:
    lines = RapidEngine().read_places(buttons().pixels, [Region(228, 26, 140, 24)])
    assert [line.text for line in lines] == ["Rescue System"]


def test_the_accurate_engine_reads_a_small_region() -> None:
    pixels = buttons().pixels[10:64, 200:400]
    assert [line.text for line in RapidEngine().read(pixels)] == ["Rescue System"]


@needs_font
@pytest.mark.parametrize("width", [8, 9])
@pytest.mark.parametrize("invert", [False, True])
def test_a_console_is_read_exactly(width: int, invert: bool) -> None:
    text = "pam-modules-32bit-12.1-22.1 (44/222)\nO0 l1I| rn m 5S 8B, ok: 100%"
    lines = ConsoleEngine().read(console(text, width=width, invert=invert))
    assert [line.text for line in lines] == text.splitlines()
    assert lines[1].words[0].place == Region(0, 16, 2 * width, 16)


@needs_uefi
def test_the_console_of_uefi_firmware_is_read_exactly() -> None:
    lines = ConsoleEngine().read(real_frame("uefi-menu").pixels)
    assert lines[0].text == "GNU GRUB version 2.06-13+deb12u2"
    assert lines[1].text == "*Graphical install"
    assert lines[1].place == Region(128, 165, 144, 19)
    assert lines[-1].text == "The highlighted entry will be executed automatically in 6s."


@needs_uefi
def test_text_outside_of_the_grid_is_not_lost() -> None:
    pixels = np.array(real_frame("uefi-menu").pixels)
    pixels[10:40, 10:40] = 90
    assert ConsoleEngine().read(pixels) == []


@pytest.mark.parametrize("name", ["vgabios-stdvga.bin", "OVMF_CODE.fd"])
def test_firmware_that_is_missing_or_broken_leaves_text_to_other_engines(
    tmp_path: Path, name: str
) -> None:
    section = bytes.fromhex("98584eee143959429d6edc7bd79403cf") + b"\x18\x00" + bytes(40)
    (tmp_path / name).write_bytes(bytes(100) + section)
    for folder in (tmp_path, tmp_path / "none"):
        assert not vga_font((folder,)).glyphs
        assert not uefi_font((folder,)).glyphs
    assert ConsoleEngine([vga_font((tmp_path,))]).read(real_frame("grub-menu").pixels) == []


@needs_font
def test_a_cursor_does_not_hide_its_letter() -> None:
    pixels = console("grub> ls (hd0)/boot")
    pixels[13:15, 6 * 9 : 7 * 9] = 170
    assert ConsoleEngine().read(pixels)[0].text == "grub> ls (hd0)/boot"


@needs_font
def test_a_cell_with_something_else_is_marked_as_unknown() -> None:
    pixels = console("a line of text that is long enough for one doubt in forty signs or so")
    pixels[4:12, 2 * 9 : 2 * 9 + 8 : 2] = 99
    assert UNKNOWN in ConsoleEngine().read(pixels)[0].text


@needs_font
def test_what_is_no_console_is_left_to_others() -> None:
    assert ConsoleEngine().read(buttons().pixels) == []
    assert ConsoleEngine().read(real_frame("installer-graphical").pixels) == []
    assert ConsoleEngine().read(np.zeros((400, 720, 3), np.uint8)) == []
    assert ConsoleEngine().read(np.zeros((3, 9, 3), np.uint8)) == []


@needs_font
def test_a_console_needs_no_second_opinion(reader: Reader) -> None:
    look = reader.look(Frame(console("version 6.2 of it")), "version 6.3", patient=True)
    assert not look.found
    assert look.engine == "console font"
    assert "digits differ" in look.explain()


@needs_font
def test_a_region_of_a_console_holds_the_words_whose_middle_lies_in_it(reader: Reader) -> None:
    frame = Frame(console("left                     right"))
    lines = reader.read(frame, region=Region(100, 0, 300, 40))
    assert [line.text for line in lines] == ["right"]


def test_the_accurate_engine_reads_a_region_that_is_low_and_wide() -> None:
    lines = RapidEngine().read(real_frame("installer-text").crop(Region(0, 0, 300, 60)))
    assert any("the language" in line.text for line in lines)


def test_an_empty_screen_has_no_text(reader: Reader) -> None:
    look = reader.look(Frame(np.zeros((300, 400, 3), np.uint8)), "hello", patient=True)
    assert (look.found, look.place, look.lines) == (False, None, ())
    assert "no text at all" in look.explain()


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (700, 5), (40, 40)])
def test_frames_of_any_size_are_read(reader: Reader, size: tuple[int, int]) -> None:
    frame = Frame(np.full((*size, 3), 200, np.uint8))
    assert not reader.look(frame, "hello", patient=True).found


def test_bad_questions_are_refused(reader: Reader) -> None:
    with pytest.raises(UsageError, match="empty"):
        reader.look(buttons(), "  ")
    with pytest.raises(UsageError, match="outside the screen of 420x200"):
        reader.look(buttons(), "x", region=Region(500, 0, 10, 10))
    with pytest.raises(UsageError, match="threshold"):
        reader.look(buttons(), "x", threshold=85)


def test_a_missing_model_is_told_with_the_package_to_install(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"eng\.traineddata") as caught:
        find_models("eng", folders=[tmp_path])
    assert "apt install tesseract-ocr-eng" in caught.value.hint
    (tmp_path / "eng.traineddata").touch()
    assert find_models("eng", folders=[tmp_path / "none", tmp_path]) == tmp_path


def test_a_frame_is_read_once_for_many_texts() -> None:
    class Counting:
        name = "counting"
        calls = 0

        def read(self, pixels: Pixels) -> list:
            Counting.calls += 1
            return []

    reader = Reader(quick=Counting(), accurate=Counting(), exact=NoConsole())
    frame = buttons()
    for text in ("a", "b", "c"):
        reader.look(frame, text)
        reader.look(frame.taken_again(), text, region=frame.region)
    assert Counting.calls == 1
    reader.look(frame, "a", patient=True)
    assert Counting.calls == 2
    reader.close()


class NoConsole:
    name = "none"

    def read(self, pixels: Pixels) -> list:
        return []
