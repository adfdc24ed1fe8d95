from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Events, Looked
from tailstest.core.settings import Settings
from tailstest.results.recorder import attach
from tailstest.results.reference_files import merged_definition, replace_files
from tailstest.results.review import ACCEPTED, REFUSED, Review
from tailstest.results.review_session import accept_many, review_one_by_one
from tailstest.results.run_folder import RunFolder

OLD = {
    "tags": ["continue", "ENV-LANG-en"],
    "properties": [{"name": "workaround", "value": "bug 7"}],
    "note": "kept",
    "area": [
        {
            "xpos": 1,
            "ypos": 2,
            "width": 10,
            "height": 8,
            "type": "match",
            "match": 93,
            "margin": 70,
            "click_point": "center",
        }
    ],
}
NEW = {
    "tags": [],
    "area": [{"xpos": 5, "ypos": 6, "width": 11, "height": 9, "type": "match", "match": 50}],
}


def png(shade: int) -> np.ndarray:
    return np.full((30, 40, 3), shade, np.uint8)


class Suite:
    """An images folder with two references, and a run that left candidates for both."""

    def __init__(self, root: Path) -> None:
        self.images = root / "images"
        (self.images / "debian").mkdir(parents=True)
        self.button = self.images / "debian" / "continue.png"
        cv2.imwrite(str(self.button), png(10))
        self.button.with_suffix(".json").write_text(json.dumps(OLD))
        self.plain = self.images / "plain.png"
        cv2.imwrite(str(self.plain), png(20))
        self.folder, self.events = RunFolder.create(root / "runs"), Events()
        self.recorder = attach(self.events, self.folder, Settings())
        self.looked("continue", 110, NEW)
        self.looked("continue", 110, NEW)
        self.looked("continue", 120, NEW)
        self.looked("plain", 130, None)
        self.looked("../../outside", 140, NEW)

    def looked(self, reference: str, shade: int, definition: Any) -> None:
        candidate = self.folder.evidence.path("candidates", reference, ".png")
        cv2.imwrite(str(candidate), png(shade))
        old = self.folder.evidence.path("candidates", reference + "-old", ".png")
        shutil.copyfile(self.plain, old)
        files = {
            "candidate": self.folder.evidence.relative(candidate),
            "reference": self.folder.evidence.relative(old),
        }
        if definition is not None:
            file = candidate.with_suffix(".json")
            file.write_text(json.dumps(definition))
            files["candidate_json"] = self.folder.evidence.relative(file)
        look = {
            "reference": reference,
            "outcome": "another colour",
            "areas": [{"scores": {"colour": 20.0}, "limits": {"colour": 9.0}}],
        }
        self.events.publish(
            Looked(kind="reference", wanted=[reference], found=False, look=look, files=files)
        )

    def review(self) -> Review:
        self.recorder.close()
        return Review(self.folder, [self.images])


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def shade(file: Path) -> int:
    return int(cv2.imread(str(file))[0, 0, 0])


def test_candidates_are_listed_once_each(suite: Suite) -> None:
    review = suite.review()
    keys = [candidate.key for candidate in review.candidates]
    assert keys == ["continue", "continue~2", "plain", "../../outside"]
    text = review.describe(review.candidates[0])
    assert str(suite.button) in text
    assert "another colour" in text
    assert "distance in colour: 20.000, needed at most 9  <- too much" in text


def test_accepting_replaces_the_picture_and_keeps_what_a_person_set(suite: Suite) -> None:
    review = suite.review()
    (candidate,) = review.select(["continue"])
    written = review.accept(candidate)
    assert written == [suite.button, suite.button.with_suffix(".json")]
    assert shade(suite.button) == 110
    definition = json.loads(suite.button.with_suffix(".json").read_text())
    assert definition["tags"] == OLD["tags"]
    assert definition["properties"] == OLD["properties"]
    assert definition["note"] == "kept"
    assert definition["area"] == [
        {**OLD["area"][0], "xpos": 5, "ypos": 6, "width": 11, "height": 9}  # type: ignore[index]
    ]
    assert shade(suite.folder.path / "replaced" / "continue" / "continue.png") == 10
    assert sorted(path.name for path in suite.button.parent.iterdir()) == [
        "continue.json",
        "continue.png",
    ]


def test_a_picture_alone_stays_one(suite: Suite) -> None:
    review = suite.review()
    assert review.accept(review.select(["plain"])[0]) == [suite.plain]
    assert shade(suite.plain) == 130
    assert not suite.plain.with_suffix(".json").exists()


def test_nothing_outside_the_images_folders_is_written(suite: Suite, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    cv2.imwrite(str(outside), png(1))
    review = suite.review()
    with pytest.raises(UsageError, match="no longer"):
        review.accept(review.select(["../../outside"])[0])
    suite.plain.unlink()
    suite.plain.symlink_to(outside)
    with pytest.raises(UsageError, match="outside of the suite"):
        review.accept(review.select(["plain"])[0])
    assert shade(outside) == 1


def test_two_references_of_one_name_are_not_guessed(suite: Suite) -> None:
    cv2.imwrite(str(suite.images / "debian" / "plain.png"), png(3))
    review = suite.review()
    with pytest.raises(UsageError, match="any of these files"):
        review.accept(review.select(["plain"])[0])
    assert shade(suite.plain) == 20


def test_a_damaged_candidate_changes_nothing(suite: Suite) -> None:
    review = suite.review()
    (candidate,) = review.select(["continue"])
    (suite.folder.path / candidate.picture).write_bytes(b"\x89PNG\r\n\x1a\n cut")
    with pytest.raises(UsageError, match="no picture"):
        review.accept(candidate)
    (candidate,) = review.select(["continue~2"])
    (suite.folder.path / candidate.definition).write_text("{")
    with pytest.raises(UsageError, match="not valid JSON"):
        review.accept(candidate)
    assert shade(suite.button) == 10
    assert json.loads(suite.button.with_suffix(".json").read_text()) == OLD


def test_decisions_are_remembered(suite: Suite) -> None:
    review = suite.review()
    review.accept(review.select(["continue"])[0])
    review.refuse(review.select(["continue~2"])[0])
    again = Review(suite.folder, [suite.images])
    assert [candidate.decision for candidate in again.candidates] == [ACCEPTED, REFUSED, "", ""]
    assert [candidate.key for candidate in again.pending] == ["plain", "../../outside"]


def test_one_by_one(suite: Suite) -> None:
    review = suite.review()
    answers = iter(["what?", "p", "y", "n", "s", "y"])
    said: list[str] = []
    counts = review_one_by_one(review, ask=lambda _: next(answers), say=said.append)
    assert counts == (1, 1)
    assert shade(suite.button) == 110
    text = "\n".join(said)
    assert "review.html" in text
    assert "not (or no longer) in the suite" in text


def test_an_end_of_input_stops_the_questions(suite: Suite) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    assert review_one_by_one(suite.review(), ask=nobody, say=lambda _: None) == (0, 0)
    assert shade(suite.button) == 10


def test_the_page_shows_each_beside_the_old_one(suite: Suite) -> None:
    review = suite.review()
    review.refuse(review.select(["continue~2"])[0])
    page = review.write_page().read_text()
    assert page.count('class="wanted"') == 4
    assert page.count('class="diff"') == 4
    assert "refused" in page


def test_an_unknown_name_lists_the_known_ones(suite: Suite) -> None:
    with pytest.raises(UsageError, match="continue~2"):
        suite.review().select(["contniue"])


def test_other_areas_are_taken_as_they_are() -> None:
    new = {"area": [*NEW["area"], {"xpos": 1}], "tags": ["other"]}
    merged = merged_definition(OLD, new)
    assert merged["area"] == new["area"]
    assert merged["tags"] == OLD["tags"]


def test_files_are_replaced_together_or_not_at_all(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text("old")
    with pytest.raises(InfrastructureError, match="cannot replace"):
        replace_files([(first, b"new"), (tmp_path / "gone" / "second", b"new")])
    assert first.read_text() == "old"
    assert list(tmp_path.iterdir()) == [first]


def test_many_are_accepted_at_once_and_trouble_with_one_stops_no_other(suite: Suite) -> None:
    review = suite.review()
    written, trouble = accept_many(review, review.pending)
    assert suite.button in written
    assert suite.plain in written
    assert [error.exit_status for error in trouble] == [2]
    assert shade(suite.button) == 110  # the first of its two candidates
    assert [one.key for one in review.pending] == ["continue~2", "../../outside"]
