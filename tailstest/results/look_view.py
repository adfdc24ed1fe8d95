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
_PLACES = ("place", "region")
_FOUND = ("found", "moved", "partly covered")
#: Measures of `screen.look.Scores` as people read them, and whether more is better; what is not
#: listed needs at least its threshold.
_MEASURES = {
    "correlation": ("similarity of shape", True),
    "contrast": ("contrast (1 is equal)", True),
    "brightness": ("change of brightness", False),
    "difference": ("largest difference", False),
    "colour": ("distance in colour", False),
    "changed": ("share of changed pixels", False),
}
_THRESHOLDS = ("threshold", "needed", "limit", "required")


@dataclass(frozen=True)
class Box:
    """A rectangle on the frame, in its pixels.

    `kind` is "searched", "recorded" (where the reference has it), "found", "best" (the nearest
    candidate) or "differs" (where that differs most).
    """

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
    at_least: bool = True

    @property
    def needed(self) -> str:
        """The threshold in words, "" without one."""
        if self.threshold is None:
            return ""
        return f"{'at least' if self.at_least else 'at most'} {self.threshold:.4g}"

    @property
    def result(self) -> str:
        """What the comparison says, "" when nothing was compared."""
        return {True: "good", False: "too low" if self.at_least else "too much", None: ""}[self.ok]


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
            best = self.look.get("read")
            if isinstance(best, str) and best:
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
        """The searched regions first, then where it was recorded, the places, the differences."""
        places = list(_areas(self.look)) or [self.look]
        searched = [*_regions(self.look.get("searched"))]
        for area in places:
            searched += _regions(area.get("searched"))
        boxes = [Box(*region, "searched", "searched") for region in dict.fromkeys(searched)]
        for number, area in enumerate(places, 1):
            label = _outcome(area) or self.outcome
            kind = "found" if self.record.found or label in _FOUND else "best"
            if len(places) > 1:
                label = f"{number}: {label}" if label else str(number)
            place = next((r for key in _PLACES for r in _regions(area.get(key))), None)
            if place is None:
                continue
            recorded = [region for region in _regions(area.get("recorded")) if region != place]
            boxes += [Box(*region, "recorded", "recorded here") for region in recorded]
            boxes.append(Box(*place, kind, label))
            boxes += [Box(*region, "differs", "") for region in _regions(area.get("differs"))]
        return boxes[:MAX_ITEMS]

    @property
    def scores(self) -> list[Score]:
        """Every score with its threshold."""
        areas = list(_areas(self.look))
        rows: list[Score] = []
        for number, area in enumerate(areas, 1):
            name = str(area.get("name") or area.get("id") or f"area {number}")
            rows += _measured(area, name)
            rows += _scores(area, name, _outcome(area))
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
            if (
                key in known
                or (key, value) == ("scale", 1.0)
                or isinstance(value, (Mapping, list, bool))
                or value in (None, "")
            ):
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


def _outcome(area: Json) -> str:
    return str(area.get("outcome", "")).lower().replace("_", " ")


def _measured(area: Json, name: str) -> Iterator[Score]:
    """Yield the scores of an area in the form {"scores": {name: n}, "limits": {name: n}}."""
    scores, limits = area.get("scores"), area.get("limits")
    if not isinstance(scores, Mapping):
        return
    for key, score in scores.items():
        value = _number(score)
        if value is None:
            continue
        label, at_least = _MEASURES.get(key, (str(key), True))
        limit = _number(limits.get(key)) if isinstance(limits, Mapping) else None
        ok = None
        if limit is not None:
            ok = value >= limit if at_least else abs(value) <= limit
        yield Score(name, label, value, limit, ok, _outcome(area), at_least)


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
