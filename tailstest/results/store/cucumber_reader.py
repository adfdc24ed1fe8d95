"""Runs out of Cucumber's JSON, as cucumber-ruby, -jvm and -js write it."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.event_fields import Json, list_of, number_of, text_of, verdict_in
from tailstest.results.outputs.limits import NANOSECONDS, OWN_KEY
from tailstest.results.run_record import AttemptRecord, Run, ScenarioRecord, StepRecord
from tailstest.results.store.foreign_file import MAX_CASES, read_foreign
from tailstest.results.store.kept_texts import digest_of, storable
from tailstest.results.suspect_told import suspect_in

_VERDICTS = {
    "passed": Verdict.PASSED,
    "failed": Verdict.FAILED,
    "undefined": Verdict.ERRORED,
    "ambiguous": Verdict.ERRORED,
    "pending": Verdict.SKIPPED,
    "skipped": Verdict.SKIPPED,
}
_FROM_BAD_TO_GOOD = (Verdict.ERRORED, Verdict.FAILED, Verdict.INCOMPLETE)


def read_cucumber(run: Run, files: Sequence[Path]) -> None:
    """Add what Cucumber's JSON files hold to `run`.

    The same scenario (file, name and line) again is another attempt. Rows of an outline carry the
    same name, and the format gives no values; they are told apart by the texts of their steps,
    which hold the values, so that a row that is added above renames no other.

    Raises:
        UsageError: a file cannot be read, or is no Cucumber JSON; names it.
    """
    for file in files:
        for feature in _parsed(file):
            _add_feature(run, feature, file)
    if not run.scenarios:
        raise UsageError(f"{', '.join(map(str, files))}: there is no scenario in it")
    attempts = [attempt for scenario in run.scenarios for attempt in scenario.attempts]
    run.started = min((each.started for each in attempts), default=0.0)
    run.ended = max((each.started + each.seconds for each in attempts), default=0.0)


def _parsed(file: Path) -> list[Json]:
    data = read_foreign(file)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not valid JSON: {error}") from error
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UsageError(f"{file}: no Cucumber JSON: it is no list of features")
    return value


def _add_feature(run: Run, feature: Json, file: Path) -> None:
    uri = text_of(feature, "uri") or text_of(feature, "id") or file.name
    background: list[Any] = []
    elements: list[tuple[Json, list[Any]]] = []
    for element in list_of(feature, "elements"):
        if not isinstance(element, dict):
            continue
        if text_of(element, "type") == "background":
            background = list_of(element, "steps")
        else:
            elements.append((element, [*background, *list_of(element, "steps")]))
            background = []
    lines: dict[str, set[int]] = defaultdict(set)
    for element, _steps in elements:
        lines[text_of(element, "name")].add(int(number_of(element, "line")))
    for element, steps in elements:
        if len(run.scenarios) >= MAX_CASES:
            raise UsageError(f"{file}: more than {MAX_CASES} scenarios in one run")
        name = text_of(element, "name")
        own = _own(element)
        key = text_of(own, "id") or f"{uri}#{name}"
        if not text_of(own, "id") and (
            len(lines[name]) > 1 or "outline" in text_of(element, "keyword").casefold()
        ):
            words = "\n".join(text_of(step, "name") for step in steps if isinstance(step, dict))
            key += f" {digest_of(storable(words))[:12]}"
        scenario = run.add(
            ScenarioRecord(
                id=key,
                name=name or f"(unnamed, line {int(number_of(element, 'line'))})",
                feature=text_of(feature, "name"),
                feature_file=uri,
                location=f"{uri}:{int(number_of(element, 'line'))}",
                tags=_tags(feature) + _tags(element),
            )
        )
        attempt = _attempt(element, steps)
        if own:
            attempt = _exact(attempt, own)
        if attempt.verdict is not Verdict.NOT_RUN:
            scenario.attempts.append(attempt)


def _attempt(element: Json, raw: list[Any]) -> AttemptRecord:
    attempt = AttemptRecord(_time_of(element), [], verdict=Verdict.PASSED, is_finished=True)
    # What our own hooks say to others, our key says better.
    hooks = [] if _own(element) else [*list_of(element, "before"), *list_of(element, "after")]
    for step in [each for each in [*raw, *hooks] if isinstance(each, dict)]:
        result = step.get("result")
        result = result if isinstance(result, dict) else {}
        attempt.steps.append(
            StepRecord(
                index=len(attempt.steps),
                text=text_of(step, "name"),
                keyword=text_of(step, "keyword").strip(),
                verdict=_VERDICTS.get(text_of(result, "status").lower(), Verdict.INCOMPLETE),
                seconds=max(0.0, _nanoseconds(result)) / NANOSECONDS,
                error=text_of(result, "error_message"),
            )
        )
    attempt.seconds = sum(step.seconds for step in attempt.steps)
    seen = {step.verdict for step in attempt.steps}
    bad = [verdict for verdict in _FROM_BAD_TO_GOOD if verdict in seen]
    if bad:
        first = next(step for step in attempt.steps if step.is_bad)
        attempt.verdict, attempt.error = first.verdict, first.error.partition("\n")[0]
    elif Verdict.SKIPPED in seen or not attempt.steps:
        attempt.verdict = Verdict.SKIPPED
    return attempt


def _own(element: Json) -> Json:
    """Return what our own output says beyond the format; see `results.outputs.cucumber`."""
    own = element.get(OWN_KEY)
    return own if isinstance(own, dict) else {}


def _exact(attempt: AttemptRecord, own: Json) -> AttemptRecord:
    """Return an attempt with what the format cannot say: verdict, duration, error, suspect."""
    attempt.verdict = verdict_in(own)
    attempt.seconds = max(0.0, number_of(own, "seconds"))
    attempt.error = text_of(own, "error")
    attempt.machines = [str(machine) for machine in list_of(own, "machines")[:20]]
    suspect = own.get("suspect")
    attempt.suspicion = suspect_in(suspect) if isinstance(suspect, dict) else None
    return attempt


def _nanoseconds(result: Json) -> float:
    value = result.get("duration")
    # `number_of` takes no more than 1e12, which are 17 minutes in nanoseconds.
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 1e18 else 0.0


def _tags(place: Json) -> list[str]:
    names = [
        text_of(tag, "name") if isinstance(tag, dict) else str(tag)
        for tag in list_of(place, "tags")
    ]
    return ["".join(name.removeprefix("@").split()) for name in names]


def _time_of(element: Json) -> float:
    try:
        text = text_of(element, "start_timestamp").replace("Z", "+00:00")
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
