"""Bisecting: the search with a judge of chosen flake rates, its state, images and commands."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.results.answers.change_point import Answer
from tailstest.suite.bisecting.images import BuiltImages, CannotJudge
from tailstest.suite.bisecting.question import STATE_FILE, Question, State, Try
from tailstest.suite.bisecting.search import STATUS, Bisection, Ending, Judge, Result
from tailstest.suite.bisecting.shown import result_json, sentence
from tailstest.suite.trials.outcome import Outcome

NAMES = tuple(f"image-{number}.iso" for number in range(9))


def question(**changes: object) -> State:
    values = {
        "images": NAMES,
        "folder": Path("/nowhere"),
        "paths": ("/s/features/a.feature:3",),
        "scenarios": ("features/a.feature#a",),
        "suite": Path("/s"),
    }
    return State(question=Question(**{**values, **changes}))


class FakeJudge:
    """Judges images with chosen rates; some cannot be had, some say nothing."""

    def __init__(
        self,
        first_bad: int,
        *,
        flakes: float = 0.0,
        shows: float = 1.0,
        seed: object = 1,
        gone: tuple[int, ...] = (),
        unclear: Mapping[int, int] | None = None,
        known: Mapping[int, list[Outcome]] | None = None,
    ) -> None:
        self.first_bad, self.flakes, self.shows = first_bad, flakes, shows
        self.gone, self.unclear, self.store = gone, dict(unclear or {}), dict(known or {})
        self.luck = random.Random(seed)
        self.tried: list[int] = []

    def foreseen(self) -> list[int]:
        return sorted(self.store)

    def known(self, place: int) -> list[Try]:
        outcomes = self.store.get(place, [])
        return [Try(place=place, outcome=each, source="store", run="r") for each in outcomes]

    def judge(self, place: int, number: int) -> Try:
        self.tried.append(place)
        if place in self.gone:
            raise CannotJudge("building it failed")
        if self.unclear.get(place, 0) > 0:
            self.unclear[place] -= 1
            return Try(place=place, outcome=Outcome.UNCLEAR, reason="the disk is full")
        rate = self.shows if place >= self.first_bad else self.flakes
        is_bad = self.luck.random() < rate
        return Try(place=place, outcome=Outcome.FAILED if is_bad else Outcome.PASSED)


def bisect(folder: Path, judge: Judge, state: State | None = None) -> tuple[Result, State]:
    folder.mkdir(exist_ok=True)
    state = state or question()
    return Bisection(state, folder, judge).run(), state


@pytest.mark.parametrize(("flakes", "shows"), [(0.0, 1.0), (0.2, 1.0), (0.1, 0.9)])
def test_the_right_image_is_found_in_95_of_100(tmp_path: Path, flakes: float, shows: float) -> None:
    right = 0
    for seed in range(100):
        first_bad = 1 + seed % 8
        judge = FakeJudge(first_bad, flakes=flakes, shows=shows, seed=seed)
        found, _state = bisect(tmp_path, judge, question(max_runs=400))
        right += (found.ending, found.answer.first) == (Ending.FOUND, first_bad)
    assert right >= 95


def test_only_what_is_needed_is_run(tmp_path: Path) -> None:
    judge = FakeJudge(6)
    found, state = bisect(tmp_path, judge)
    assert (found.answer.first, found.answer.last, found.last_good) == (6, 6, 5)
    assert judge.tried[:2] == [0, 8]
    assert len(judge.tried) == found.trials <= 11
    assert STATUS[found.ending] == 0
    assert sentence(state, found).startswith("First bad image: image-6.iso (9")
    assert "last good image: image-5.iso" in sentence(state, found)


def test_what_the_store_knows_is_not_run_again(tmp_path: Path) -> None:
    good, bad = [Outcome.PASSED] * 4, [Outcome.FAILED] * 4
    judge = FakeJudge(4, known={0: good, 3: good, 4: bad, 8: bad})
    found, state = bisect(tmp_path, judge)
    assert found.answer.first == 4
    assert judge.tried == []
    assert found.trials == 0
    assert {each.source for each in state.tries} == {"store"}


@pytest.mark.parametrize(
    ("first_bad", "ending", "words"),
    [(9, Ending.NONE_BAD, "the newest image, image-8.iso, is good"), (0, Ending.ALL_BAD, "older")],
)
def test_nothing_to_find(tmp_path: Path, first_bad: int, ending: Ending, words: str) -> None:
    found, state = bisect(tmp_path, FakeJudge(first_bad))
    assert found.ending is ending
    assert STATUS[found.ending] == 1
    assert words in sentence(state, found)
    assert result_json(state, found)["first_bad"] == []


def test_images_that_cannot_be_had_are_left_out_and_named(tmp_path: Path) -> None:
    found, state = bisect(tmp_path, FakeJudge(5, gone=(3, 4)))
    assert (found.answer.first, found.answer.last, found.last_good) == (3, 5, 2)
    assert set(state.skipped) == {3, 4}
    assert "one of: image-3.iso, image-4.iso, image-5.iso" in sentence(state, found)


def test_trouble_of_the_host_is_tried_again_and_then_left_out(tmp_path: Path) -> None:
    once, state = bisect(tmp_path, FakeJudge(6, unclear={4: 1}))
    assert (once.answer.first, state.skipped) == (6, {})
    always, state = bisect(tmp_path / "b", FakeJudge(6, unclear={4: 99}))
    assert (always.answer.first, state.skipped) == (6, {4: "the disk is full"})
    assert sum(each.place == 4 for each in state.tries) == 2


@pytest.mark.parametrize(("place", "end"), [(0, "oldest"), (8, "newest")])
def test_an_end_that_cannot_be_judged_is_trouble_that_can_be_mended(
    tmp_path: Path, place: int, end: str
) -> None:
    state = question()
    with pytest.raises(InfrastructureError, match=f"the {end} image .* the disk is full"):
        bisect(tmp_path, FakeJudge(6, unclear={place: 99}), state)
    found, _state = bisect(tmp_path, FakeJudge(6), State.load(tmp_path))
    assert found.answer.first == 6


def test_an_interrupted_one_goes_on_where_it_was(tmp_path: Path) -> None:
    class Interrupted(FakeJudge):
        def judge(self, place: int, number: int) -> Try:
            if len(self.tried) == 4:
                raise KeyboardInterrupt
            return super().judge(place, number)

    first = Interrupted(6)
    with pytest.raises(KeyboardInterrupt):
        bisect(tmp_path, first)
    state = State.load(tmp_path)
    assert [each.place for each in state.tries] == first.tried
    second = FakeJudge(6)
    found, _state = bisect(tmp_path, second, state)
    whole = FakeJudge(6)
    bisect(tmp_path / "b", whole)
    assert first.tried + second.tried == whole.tried
    assert found.answer.first == 6


def test_it_ends_undecided_when_that_was_asked(tmp_path: Path) -> None:
    found, state = bisect(tmp_path, FakeJudge(6), question(max_runs=4))
    assert (found.ending, found.trials, STATUS[found.ending]) == (Ending.UNSURE, 4, 3)
    assert "Not decided after 4 trials" in sentence(state, found)


def test_each_trial_is_told(tmp_path: Path) -> None:
    told: list[tuple[Try, Answer]] = []
    state = question()
    Bisection(
        state, tmp_path, FakeJudge(6, gone=(4,)), lambda each, answer: told.append((each, answer))
    ).run()
    assert [each for each, _ in told if each.outcome is not Outcome.UNCLEAR] == state.tries
    assert [each.reason for each, _ in told if each.outcome is Outcome.UNCLEAR] == [
        "left out: building it failed"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "question"),
        ('{"question": 7}', "question"),
        (None, "not the folder"),
    ],
)
def test_a_state_that_is_none(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(UsageError, match=words):
        State.load(tmp_path)


def test_a_state_of_images_that_it_does_not_have(tmp_path: Path) -> None:
    state = question()
    state.tries.append(Try(place=77, outcome=Outcome.PASSED))
    state.save(tmp_path)
    with pytest.raises(UsageError, match="images that it does not have"):
        State.load(tmp_path)


def iso(file: Path) -> Path:
    file.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 1000)
    return file


def built(folder: Path, command: str, limit: float = 30.0) -> BuiltImages:
    return BuiltImages(command, folder, folder / "logs", limit)


def test_an_image_is_built_and_its_path_is_the_last_line(tmp_path: Path) -> None:
    iso(tmp_path / "it's 1.iso")
    command = 'echo building; echo trouble >&2; echo {}"."iso; echo'
    path, name = built(tmp_path, command).get("it's 1", 3)
    assert (path.name, name) == ("it's 1.iso", str(tmp_path / "it's 1.iso"))
    assert (tmp_path / "logs" / "build-0003.log").read_text() == "trouble\n"


def test_a_version_is_no_shell_word_and_also_a_variable(tmp_path: Path) -> None:
    iso(tmp_path / "x.iso")
    label = "$(touch owned); '\"`touch owned`"
    command = 'test {} = "$BISECT_VERSION" && echo x.iso'
    assert built(tmp_path, command).get(label, 0)[0].name == "x.iso"
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exit 125", "status 125"),
        ("true", "printed no path"),
        ("echo gone.iso", "no image"),
        ("echo text; echo notes.txt", "no image"),
        ("sleep 30", "not built within"),
    ],
)
def test_what_cannot_be_built(tmp_path: Path, command: str, words: str) -> None:
    (tmp_path / "notes.txt").write_text("no image at all")
    with pytest.raises(CannotJudge, match=words):
        built(tmp_path, command, limit=0.3 if "sleep" in command else 30.0).get("v1", 0)
