"""A search of the screen as a report shows it: boxes on the frame, scores, words, plain sentences.

The JSON of a look is read leniently: whatever has the form of a place or of a score with its
threshold is shown, so that a new kind of score needs no change here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tailstest.results.run_record import LookRecord
from tailstest.results.wording import OUTCOMES

Json = Mapping[str, Any]

#: Rows, boxes and words shown of one look; a screen full of text has some hundred words.
MAX_ITEMS = 400
_PLACES = ("place", "found_at", "region", "best", "position")
_THRESHOLDS = ("threshold", "needed", "limit", "required")


@dataclass(frozen=True)
class Box:
    """A rectangle on the frame, in its pixels; `kind` is "searched", "found" or "best"."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    label: str


@dataclass(frozen=True)
class Score:
    """One measure of one area; `ok` is None when nothing says whether it suffices."""

    area: str
    name: str
    value: float
    threshold: float | None
    ok: bool | None
    outcome: str


@dataclass(frozen=True)
class Word:
    """Text that was read, with its score (0 to 1, None when unknown)."""

    text: str
    score: float | None


class LookView:
    """What a page shows of one `LookRecord`."""

    def __init__(self, record: LookRecord) -> None:
        self.record = record
        self.look = record.look
        self.outcome = record.outcome
        self.files = record.files

    @property
    def title(self) -> str:
        """What was searched."""
        names = " or ".join(f"“{name}”" for name in self.record.wanted)
        return f"text {names}" if self.record.kind == "text" else f"picture {names}"

    @property
    def seen(self) -> str:
        """One sentence: what was there instead."""
        own = self.look.get("explanation") or self.look.get("explain")
        if isinstance(own, str) and own:
            return own
        if self.record.kind == "text" and not self.record.found:
            best = self.look.get("text") or self.look.get("best")
            if isinstance(best, str) and best and best not in self.record.wanted:
                return f"The nearest text on the screen reads “{best}”."
            return "This text is not on the screen."
        return OUTCOMES.get(self.outcome, ("", ""))[0]

    def adds_to(self, error: str) -> bool:
        """Tell whether `seen` says something that the error of the step does not say already."""
        words = self.seen.lower().rstrip(".")
        return bool(words) and words not in error.lower()

    @property
    def advice(self) -> str:
        """What to do about it, "" when there is nothing useful to say."""
        if self.record.kind == "text" and not self.record.found:
            return "Compare with the text that was read: is it another screen, or a misread letter?"
        return OUTCOMES.get(self.outcome, ("", ""))[1]

    @property
    def boxes(self) -> list[Box]:
        """The searched regions and the places found, those searched first."""
        boxes = []
        searched = self.look.get("searched")
        for region in _regions(searched):
            boxes.append(Box(*region, "searched", "searched"))
        places = list(_areas(self.look)) or [self.look]
        for number, area in enumerate(places, 1):
            kind = "found" if self.record.found else "best"
            label = str(area.get("outcome", self.outcome)).lower().replace("_", " ")
            if len(places) > 1:
                label = f"{number}: {label}" if label else str(number)
            recorded = next(iter(_regions(area.get("searched"))), None)
            if recorded is not None and area is not self.look:
                boxes.append(Box(*recorded, "searched", "searched"))
            for key in _PLACES:
                place = next(iter(_regions(area.get(key))), None)
                if place is not None:
                    boxes.append(Box(*place, kind, label))
                    break
        return boxes[:MAX_ITEMS]

    @property
    def scores(self) -> list[Score]:
        """Every score with its threshold."""
        areas = list(_areas(self.look))
        rows: list[Score] = []
        for number, area in enumerate(areas, 1):
            name = str(area.get("name") or area.get("id") or f"area {number}")
            if area.get("type"):
                name += f" ({area['type']})"
            outcome = str(area.get("outcome", "")).lower().replace("_", " ")
            rows += _scores(area, name, outcome)
        own = {key: value for key, value in self.look.items() if key != "areas"}
        rows += _scores(own, "text" if self.record.kind == "text" else "picture", self.outcome)
        return rows[:MAX_ITEMS]

    @property
    def words(self) -> list[Word]:
        """The text that OCR read, in its order."""
        words = []
        for key in ("words", "lines", "read"):
            value = self.look.get(key)
            for item in value if isinstance(value, list) else []:
                if isinstance(item, Mapping):
                    text = item.get("text", "")
                    score = item.get("score", item.get("confidence"))
                    words.append(Word(str(text), _number(score)))
                elif isinstance(item, str):
                    words.append(Word(item, None))
            if words:
                break
        return words[:MAX_ITEMS]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Further simple facts: engine, milliseconds, margin to the next best."""
        known = {"outcome", "found", "reference", "explanation", "explain", "text"}
        rows = []
        for key, value in self.look.items():
            if key in known or isinstance(value, (Mapping, list, bool)) or value in (None, ""):
                continue
            if _threshold(self.look, key) is not None or key.endswith(_THRESHOLDS):
                continue
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            rows.append((key.replace("_", " "), text[:400]))
        return rows


def _areas(look: Json) -> Iterator[Json]:
    areas = look.get("areas")
    for area in areas if isinstance(areas, list) else []:
        if isinstance(area, Mapping):
            yield area


def _scores(values: Json, area: str, outcome: str) -> Iterator[Score]:
    """Find scores: {"score": {...}} nested, or "score" beside "score_threshold"/"threshold"."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = next((value[k] for k in ("score", "value") if k in value), None)
            number = _number(inner)
            if number is not None:
                limit = next((_number(value[k]) for k in _THRESHOLDS if k in value), None)
                ok = value.get("ok", value.get("passed"))
                yield Score(area, key, number, limit, _verdict(ok, number, limit), outcome)
            else:
                yield from _scores(value, area, outcome)
        elif isinstance(value, list) and key in ("scores", "measures", "checks"):
            for item in value:
                if isinstance(item, Mapping):
                    name = str(item.get("name") or item.get("measure") or key)
                    yield from _scores({name: item}, area, outcome)
        else:
            number, limit = _number(value), _threshold(values, key)
            if number is not None and limit is not None:
                yield Score(area, key, number, limit, _verdict(None, number, limit), outcome)


def _threshold(values: Json, key: str) -> float | None:
    for word in _THRESHOLDS:
        limit = _number(values.get(f"{key}_{word}"))
        if limit is not None:
            return limit
    return _number(values.get("threshold")) if key in ("score", "similarity") else None


def _verdict(given: object, value: float, limit: float | None) -> bool | None:
    if isinstance(given, bool):
        return given
    return None if limit is None else value >= limit


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def _regions(value: object) -> Iterator[tuple[int, int, int, int]]:
    """Yield the rectangles in a JSON value: [x, y, w, h], {"x": ...}, or a list of those."""
    if isinstance(value, Mapping):
        width = value.get("width", value.get("w"))
        height = value.get("height", value.get("h"))
        value = [value.get("x"), value.get("y"), width, height]
    if not isinstance(value, (list, tuple)):
        return
    if len(value) == 4 and all(_number(item) is not None for item in value):
        x, y, width, height = (int(max(-99_999, min(99_999, item))) for item in value)
        if width > 0 and height > 0:
            yield x, y, width, height
        return
    for item in value[:MAX_ITEMS]:
        if isinstance(item, (Mapping, list, tuple)):
            yield from _regions(item)
