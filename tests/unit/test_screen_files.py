"""Pictures and reference files: good ones of every kind, bad ones named with their reason."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from screen_scenes import LABEL, TIGHT, reference, screen

from tailstest.core.errors import UsageError
from tailstest.core.evidence import EvidenceFolder
from tailstest.screen import candidate
from tailstest.screen.frame import Frame, FrameIncomplete
from tailstest.screen.library import ReferenceLibrary
from tailstest.screen.lint import lint_library
from tailstest.screen.match_files import match_files
from tailstest.screen.matching import Matcher
from tailstest.screen.reference import load_reference

BASE = screen()


def picture(pixels=BASE):
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def write_needle(folder, name, areas, pixels=BASE, **more):
    picture(pixels).save(folder / f"{name}.png")
    needle = {"area": areas, "tags": [], "properties": [], **more}
    (folder / f"{name}.json").write_text(json.dumps(needle), encoding="utf-8")


def area(place=LABEL, **more):
    return {
        "xpos": place.x, "ypos": place.y, "width": place.width, "height": place.height,
        "type": "match", **more,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["PNG", "PPM"])
def test_png_and_ppm_are_told_apart_by_content(form):
    assert np.array_equal(Frame.decode(encoded(picture(), form)).pixels, BASE)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("form", ["PNG", "PPM"])
def test_c33_a_cut_screenshot_is_never_a_frame(form, share):
    data = encoded(picture(), form)
    with pytest.raises(FrameIncomplete, match="incomplete"):
        Frame.decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16", "1"])
def test_c33_every_mode_of_a_picture_finds_the_same_place(mode, tmp_path):
    box = (TIGHT.x, TIGHT.y, TIGHT.right, TIGHT.bottom)
    cut = picture().crop(box)
    grey_screen = mode in {"L", "I;16", "1"}
    if mode == "I;16":
        deep = np.asarray(cut.convert("L")).astype(np.uint16) * 257
        cut = Image.fromarray(deep)
    elif mode == "P":
        cut = cut.quantize(256)
    else:
        cut = cut.convert(mode)
    cut.save(tmp_path / "cut.png")
    shown = picture().convert("L").convert("RGB") if grey_screen else picture()
    if mode == "1":
        shown = picture().convert("1").convert("RGB")
    pixels = np.ascontiguousarray(np.array(shown)[:, :, ::-1])
    look = Matcher().look(Frame(pixels), load_reference(tmp_path / "cut.png"))
    assert look.areas[0].place == TIGHT or mode == "1"
    assert look.found or mode == "1"


def test_an_oversized_picture_is_refused():
    with pytest.raises(FrameIncomplete, match="not accepted"):
        Frame.decode(encoded(Image.new("1", (9000, 10))))


def test_c31_bad_files_are_named_and_the_others_stay_usable(tmp_path):
    write_needle(tmp_path, "good", [area()])
    (tmp_path / "pointer.png").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    )
    (tmp_path / "empty.png").touch()
    picture().save(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").rename(tmp_path / "photo.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "linked.png").symlink_to(tmp_path / "good.png")
    (tmp_path / "broken.json").write_text('{"area": [,]}')
    (tmp_path / "alone.json").write_text(json.dumps({"area": [area()]}))
    write_needle(tmp_path, "outside", [area(LABEL.moved(900, 0))])
    twice = [{"xpos": 1, "ypos": 1, "id": "a"}, {"xpos": 2, "ypos": 2, "id": "a"}]
    write_needle(tmp_path, "clicks", [area(click_point=twice)])
    write_needle(tmp_path, "ocr", [{**area(), "type": "ocr"}])
    library = ReferenceLibrary.load([tmp_path])
    reasons = {problem.file.name: problem.text for problem in library.problems}
    assert "git lfs pull" in reasons["pointer.png"]
    assert "empty" in reasons["empty.png"]
    assert "leads nowhere" in reasons["dangling.png"]
    assert "JSON" in reasons["broken.json"]
    assert "PNG beside" in reasons["alone.json"]
    assert "not inside the picture" in reasons["outside.json"]
    assert "two click points" in reasons["clicks.json"]
    assert 'type "match"' in reasons["ocr.json"]
    assert sorted(library.names) == ["good", "linked", "photo"]
    with pytest.raises(UsageError, match="Git LFS"):
        library.wanted("pointer")


def test_an_unknown_name_names_similar_ones(tmp_path):
    write_needle(tmp_path, "boot-menu", [area()], tags=["start"])
    library = ReferenceLibrary.load([tmp_path])
    assert [each.name for each in library.wanted("start")] == ["boot-menu"]
    with pytest.raises(UsageError, match="boot-menu"):
        library.wanted("boot-men")


def test_openqas_click_points_are_relative_to_the_area(tmp_path):
    points = [{"xpos": 5, "ypos": 6, "id": "ok"}, {"xpos": 50, "ypos": 60, "id": "cancel"}]
    write_needle(tmp_path, "dialog", [area(click_point=points)], properties=["workaround"])
    wanted = load_reference(tmp_path / "dialog.json")
    look = Matcher().look(Frame(BASE.copy()), wanted)
    assert look.click_points["cancel"] == (LABEL.x + 50, LABEL.y + 60)
    assert wanted.properties == {"workaround": ""}


def lint_texts(folder):
    found = lint_library(ReferenceLibrary.load([folder]))
    texts = {}
    for problem in found:
        texts[problem.file.stem] = texts.get(problem.file.stem, "") + problem.text + "\n"
    return texts


def test_lint_finds_references_that_check_too_little(tmp_path):
    flat = np.full((768, 1024, 3), 40, dtype=np.uint8)
    write_needle(tmp_path, "flat", [area()], pixels=flat)
    write_needle(tmp_path, "huge", [area(type(LABEL)(0, 0, 1000, 700))])
    icon = BASE[60:84, 600:760]
    many = np.full((768, 1024, 3), 90, dtype=np.uint8)
    for y in (100, 300, 500):
        many[y : y + 24, 400:560] = icon
    write_needle(tmp_path, "many", [area(type(LABEL)(400, 300, 160, 24))], pixels=many)
    texts = lint_texts(tmp_path)
    assert "even surface" in texts["flat"]
    assert "covers" in texts["huge"]
    assert "found again" in texts["many"]


def test_lint_finds_references_that_pass_for_each_other(tmp_path):
    write_needle(tmp_path, "six-two", [area()], pixels=screen("Tails 6.2"))
    write_needle(tmp_path, "six-three", [area()], pixels=screen("Tails 6.3"))
    assert lint_texts(tmp_path) == {}
    write_needle(tmp_path, "copy", [area()], pixels=screen("Tails 6.3"))
    assert "six-three" in lint_texts(tmp_path)["copy"]


def test_a_failed_look_leaves_a_candidate_that_would_pass(tmp_path):
    changed = screen("Connecteo", at=(20, 0))
    frame = Frame(changed)
    folder = tmp_path / "images"
    folder.mkdir()
    write_needle(folder, "label", [area(TIGHT)])
    wanted = load_reference(folder / "label.json")
    look = Matcher().look(frame, wanted)
    assert not look.found
    run = tmp_path / "run"
    run.mkdir()
    files = candidate.keep(EvidenceFolder(run), frame, look, wanted)
    assert {"frame", "reference", "found", "difference", "candidate", "candidate_json"} <= set(
        files
    )
    new = tmp_path / "new"
    new.mkdir()
    (run / files["candidate"]).rename(new / "label.png")
    (run / files["candidate_json"]).rename(new / "label.json")
    again = Matcher().look(frame, load_reference(new / "label.json"))
    assert again.found
    assert again.areas[0].offset == (0, 0)


def test_match_files_judges_without_a_machine(tmp_path):
    write_needle(tmp_path, "label", [area()])
    picture(screen(ground=(200, 60, 40))).save(tmp_path / "frame.png")
    look = match_files(tmp_path / "frame.png", tmp_path / "label.json")
    assert look.outcome == "another colour"
    with pytest.raises(UsageError, match=r"none\.png"):
        match_files(tmp_path / "none.png", tmp_path / "label.json")


def test_the_reference_helper_and_a_frame_agree():
    assert Matcher().look(Frame(BASE.copy()), reference(BASE, LABEL)).found
