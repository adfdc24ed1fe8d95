"""Waits: what ends them, what they cost, what they say when they fail."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tailstest.core.errors import (
    CheckFailed,
    InfrastructureError,
    MachineStopped,
    SetupError,
    UsageError,
)
from tailstest.core.events import Event, Events, FrameKept, Looked
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame, FrameIncomplete, Pixels, save_picture
from tailstest.screen.library import ReferenceLibrary
from tailstest.screen.reader import Reader
from tailstest.screen.screen import Screen
from tailstest.screen.text_line import TextLine, Word

SOON = 0.3
LONG = 20.0


def desk(*shapes: tuple[int, int, tuple[int, int, int]]) -> Pixels:
    """Return a grey screen of 320x200 with striped boxes of 60x40 at x, y in a colour."""
    pixels = np.full((200, 320, 3), 200, np.uint8)
    for x, y, colour in shapes:
        cv2.rectangle(pixels, (x, y), (x + 59, y + 39), colour, -1)
        for row in range(y + 6, y + 36, 8):
            cv2.line(pixels, (x + 6, row), (x + 40, row), (0, 0, 0), 2)
        cv2.circle(pixels, (x + 48, y + 20), 7, (255, 255, 255), -1)
    return pixels


RED, GREEN = (40, 40, 220), (40, 180, 40)


class Film:
    """A source that shows one picture after the other; the last one stays."""

    def __init__(self, *steps: Pixels | Exception, every: int = 1) -> None:
        self.steps = list(steps)
        self.every = every
        self.taken = 0

    def capture(self) -> Frame:
        step = self.steps[min(self.taken // self.every, len(self.steps) - 1)]
        self.taken += 1
        if isinstance(step, Exception):
            raise step
        return Frame(step.copy())


class Written:
    """An engine for which the colour of the top left pixel is the text."""

    name = "written"

    def __init__(self, texts: dict[int, str], gate: threading.Event | None = None) -> None:
        self.texts = texts
        self.gate = gate
        self.calls = 0

    def read(self, pixels: Pixels) -> list[TextLine]:
        self.calls += 1
        if self.gate is not None:
            assert self.gate.wait(LONG)
        text = self.texts.get(int(pixels[0, 0, 0]), "")
        words = [Word(part, Region(10, 10, 50, 16), 0.9) for part in text.split()]
        return [TextLine(tuple(words))] if words else []


class Blind:
    name = "blind"

    def read(self, pixels: Pixels) -> list[TextLine]:
        return []


def page(number: int) -> Pixels:
    return np.full((40, 80, 3), number, np.uint8)


class Stage:
    """A screen whose events are kept."""

    def __init__(self, folder: Path, film: Film, reader: Reader | None = None) -> None:
        pictures = folder / "images"
        pictures.mkdir(exist_ok=True)
        save_picture(desk((100, 80, RED))[76:124, 96:164], pictures / "red.png")
        save_picture(desk((100, 80, GREEN))[76:124, 96:164], pictures / "green.png")
        self.run = folder / "run"
        self.run.mkdir(exist_ok=True)
        self.events: list[Event] = []
        events = Events()
        events.subscribe(self.events.append)
        self.film = film
        self.screen = Screen(
            film,
            ReferenceLibrary.load([pictures]),
            events=events,
            evidence=EvidenceFolder(self.run),
            deadline_scale=1.0,
            default_deadline=LONG,
            reader=reader,
        )

    def looked(self) -> Looked:
        found = [event for event in self.events if isinstance(event, Looked)]
        return found[-1]


@pytest.fixture
def stage(tmp_path: Path):
    stages: list[Stage] = []

    def make(*steps: Pixels | Exception, every: int = 1, reader: Reader | None = None) -> Stage:
        stages.append(Stage(tmp_path, Film(*steps, every=every), reader))
        return stages[-1]

    yield make
    for each in stages:
        each.screen.close()


Make = Callable[..., Stage]


def reading(
    texts: dict[int, str], second: dict[int, str] | None = None, gate: threading.Event | None = None
) -> Reader:
    accurate = Written(second, gate) if second is not None else Blind()
    return Reader(quick=Written(texts), accurate=accurate, exact=Blind())


def test_a_reference_is_waited_for(stage: Make) -> None:
    there = stage(desk(), desk(), desk((150, 90, RED)))
    look = there.screen.wait_for("red")
    assert look.found
    assert look.click_points[""] == (180, 110)
    assert there.looked().found
    assert there.looked().wanted == ["red"]


def test_any_of_several_references_ends_the_wait(stage: Make) -> None:
    assert stage(desk(), desk((20, 20, GREEN))).screen.wait_for("red", "green").reference == "green"


def test_a_reference_that_never_comes_leaves_a_candidate(stage: Make) -> None:
    there = stage(desk((150, 90, GREEN)))
    with pytest.raises(CheckFailed, match="another colour") as caught:
        there.screen.wait_for("red", within=SOON)
    assert re.search(r"waited \d+ s\b", caught.value.message)
    event = there.looked()
    assert not event.found
    for role in ("frame", "reference", "difference", "candidate", "candidate_json"):
        assert (there.run / event.files[role]).stat().st_size > 0
    assert event.files["frame"] in caught.value.message


def test_an_unchanged_frame_is_not_searched_again(stage: Make, monkeypatch) -> None:
    there = stage(desk())
    searched: list[Frame] = []
    best = there.screen._matcher.best
    monkeypatch.setattr(
        there.screen._matcher,
        "best",
        lambda frame, wanted: (searched.append(frame), best(frame, wanted))[1],
    )
    with pytest.raises(CheckFailed):
        there.screen.wait_for("red", within=2.0)
    assert there.film.taken > 2
    assert len(searched) == 1


def test_unknown_names_are_mistakes_of_the_test(stage: Make) -> None:
    there = stage(desk())
    with pytest.raises(UsageError, match="rad"):
        there.screen.wait_for("rad")
    with pytest.raises(UsageError):
        there.screen.wait_for()


def test_a_reference_is_waited_for_to_go(stage: Make) -> None:
    stage(desk((10, 10, RED)), desk((10, 10, RED)), desk()).screen.wait_gone("red")
    there = stage(desk((10, 10, RED)))
    with pytest.raises(CheckFailed, match="disappear"):
        there.screen.wait_gone("red", within=SOON)
    assert there.looked().found


def test_a_watch_ends_every_wait_at_once(stage: Make) -> None:
    def panic() -> None:
        raise MachineStopped("kernel panic")

    still = stage(desk(), reader=reading({}))
    still.screen.watches.append(panic)
    waits: Sequence[Callable[[], object]] = (
        lambda: still.screen.wait_for("red"),
        lambda: still.screen.wait_text("hello"),
        lambda: still.screen.wait_change(),
        lambda: still.screen.wait_still(seconds=5),
    )
    for wait in waits:
        started = time.monotonic()
        with pytest.raises(MachineStopped):
            wait()
        assert time.monotonic() - started < LONG / 2


def test_a_slow_engine_does_not_hold_up_watches(stage: Make) -> None:
    gate = threading.Event()
    reader = Reader(quick=Written({}, gate), accurate=Blind(), exact=Blind())
    there = stage(page(1), reader=reader)
    calls: list[int] = []

    def watch() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise MachineStopped("crashed")

    there.screen.watches.append(watch)
    with pytest.raises(MachineStopped):
        there.screen.wait_text("hello")
    gate.set()


def test_a_text_is_waited_for(stage: Make) -> None:
    there = stage(page(1), page(2), every=4, reader=reading({1: "please wait", 2: "it is ready"}))
    look = there.screen.wait_text("is ready")
    assert (look.found, look.read) == (True, "is ready")
    assert there.looked().kind == "text"


def test_the_accurate_engine_is_asked_while_time_is_left(stage: Make) -> None:
    there = stage(page(1), reader=reading({1: "something else"}, {1: "version 6.2"}))
    started = time.monotonic()
    look = there.screen.wait_text("version 6.2")
    assert look.engine == "written"
    assert look.found
    assert time.monotonic() - started < LONG / 2


def test_the_last_frame_gets_both_opinions_even_at_once(stage: Make) -> None:
    there = stage(page(1), reader=reading({1: "garbage"}, {1: "version 6.2"}))
    assert there.screen.wait_text("version 6.2", within=0).found


def test_a_text_that_never_comes_is_told_with_all_that_was_read(stage: Make) -> None:
    there = stage(page(1), reader=reading({1: "version 6.3 of\x1b[2J it"}))
    with pytest.raises(CheckFailed) as caught:
        there.screen.wait_text("version 6.2", within=SOON)
    text = str(caught.value)
    assert "its digits differ" in text
    assert "90% sure" in text
    assert "\x1b" not in text
    assert (there.run / there.looked().files["frame"]).is_file()
    assert there.looked().look["lines"][0]["text"].startswith("version 6.3")


def test_a_text_is_gone_only_when_both_engines_say_so(stage: Make) -> None:
    second = {1: "loading", 2: "loading", 3: "done"}
    there = stage(page(1), page(2), page(3), every=6, reader=reading({1: "loading"}, second))
    there.screen.wait_text_gone("loading")
    assert there.film.taken >= 12
    stuck = stage(page(2), reader=reading({}, {2: "loading"}))
    with pytest.raises(CheckFailed, match="disappear"):
        stuck.screen.wait_text_gone("loading", within=SOON)


def test_a_broken_engine_ends_the_wait_with_its_error(stage: Make) -> None:
    class Missing:
        name = "missing"

        def read(self, pixels: Pixels) -> list[TextLine]:
            raise SetupError("the model is not installed", hint="apt install it")

    reader = Reader(quick=Missing(), accurate=Blind(), exact=Blind())
    with pytest.raises(SetupError, match="not installed"):
        stage(page(1), reader=reader).screen.wait_text("hello")


def test_a_change_after_an_earlier_frame_is_not_missed(stage: Make) -> None:
    there = stage(desk(), desk((10, 10, RED)))
    before = there.screen.frame()
    changed = there.screen.wait_change(since=before)
    assert not np.array_equal(changed.pixels, before.pixels)


def test_only_changes_in_the_region_count(stage: Make) -> None:
    there = stage(desk(), desk((10, 10, RED)))
    with pytest.raises(CheckFailed, match="nothing moved"):
        there.screen.wait_change(region=Region(200, 0, 100, 200), within=SOON)
    assert any(isinstance(event, FrameKept) for event in there.events)
    assert stage(desk(), desk((210, 10, RED))).screen.wait_change(region=Region(200, 0, 100, 200))


def test_a_key_that_does_nothing_is_no_failure_when_pacing(stage: Make) -> None:
    there = stage(desk(), desk((10, 10, RED)))
    before = there.screen.frame()
    assert there.screen.reacts(before, within=LONG)
    assert not there.screen.reacts(there.screen.frame(), within=0.1)
    assert there.events == []


def test_another_resolution_is_a_change(stage: Make) -> None:
    assert stage(page(1), desk()).screen.wait_change().width == 320


def test_a_screen_becomes_still(stage: Make) -> None:
    moving = [desk((x, 10, RED)) for x in range(10, 100, 10)]
    there = stage(*moving)
    frame = there.screen.wait_still(seconds=0.3)
    assert np.array_equal(frame.pixels, moving[-1])


def test_a_screen_that_keeps_moving_is_not_still(stage: Make) -> None:
    moving = [desk((x, 10, RED)) for x in range(10, 250)]
    with pytest.raises(CheckFailed, match="kept moving"):
        stage(*moving).screen.wait_still(seconds=0.3, within=0.8)


def test_a_blank_screen_can_be_refused_as_still(stage: Make) -> None:
    black = np.zeros((200, 320, 3), np.uint8)
    assert stage(black).screen.wait_still(seconds=0.1)
    with pytest.raises(CheckFailed, match="stayed blank"):
        stage(black).screen.wait_still(seconds=0.1, within=SOON, refuse_blank=True)


def test_too_little_time_to_be_still_is_a_mistake_of_the_test(stage: Make) -> None:
    with pytest.raises(UsageError, match="within 2 s"):
        stage(desk()).screen.wait_still(seconds=3, within=2)


def test_a_blank_screen_is_waited_out(stage: Make) -> None:
    black = np.zeros((200, 320, 3), np.uint8)
    cursor = black.copy()
    cursor[10:12, 4:12] = 170
    assert stage(black, cursor, desk((9, 9, RED))).screen.wait_not_blank().pixels[0, 0, 0] == 200
    with pytest.raises(CheckFailed, match="stayed blank"):
        stage(black, cursor).screen.wait_not_blank(within=SOON)


def test_a_picture_that_was_cut_off_is_taken_again(stage: Make) -> None:
    cut = FrameIncomplete("cut off")
    there = stage(cut, cut, desk((9, 9, RED)))
    assert there.screen.frame().width == 320
    assert stage(cut, cut, desk((9, 9, RED))).screen.wait_for("red").found


def test_pictures_that_are_always_cut_off_end_in_a_clear_error(stage: Make) -> None:
    there = stage(FrameIncomplete("the last line is missing"))
    with pytest.raises(FrameIncomplete, match="screenshot incomplete: every picture"):
        there.screen.wait_for("red", within=SOON)


def test_a_machine_without_a_screen_ends_in_a_clear_error(stage: Make) -> None:
    there = stage(InfrastructureError("display not active"))
    with pytest.raises(InfrastructureError, match=r"no screen for \d+ s: display not active"):
        there.screen.wait_text("hello", within=SOON)
    with pytest.raises(InfrastructureError, match="display not active"):
        there.screen.frame()


def test_the_last_frame_stays_when_the_machine_is_gone(stage: Make) -> None:
    there = stage(desk(), InfrastructureError("off"))
    assert there.screen.last_frame is None
    there.screen.frame()
    with pytest.raises(InfrastructureError):
        there.screen.frame()
    assert there.screen.last_frame is not None


def test_single_looks_do_not_wait(stage: Make) -> None:
    there = stage(desk(), reader=reading({200: "hello"}, {200: "hello you"}))
    assert not there.screen.look("red").found
    assert there.screen.look_text("hello").found
    assert [line.text for line in there.screen.read()] == ["hello you"]
    assert not there.screen.look_text("bye").found
    assert there.film.taken == 4
