"""Cucumber's JSON, as cucumber-jvm writes it and Jenkins, Xray and others read it.

The form is that of https://github.com/cucumber/cucumber-json-schema. It knows no attempts, so each
attempt at a scenario is an element of its own. Who counts elements, or believes the last one, would
see a flaky scenario pass: an attempt that passed while others failed has a failed hook behind it.
There is no word for infrastructure trouble or for what a person is to do: such a scenario is
"pending", which nobody counts as a failure of the product, nor as passed. The key `tailstest` of an
element says it exactly, who a scenario is, and what is suspected, so that our own import loses
nothing.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from tailstest.core.verdict import Verdict
from tailstest.results.outputs.limits import MAX_ERROR, NANOSECONDS, OWN_KEY, line_of
from tailstest.results.pictures import Pictures
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import AttemptRecord, Run, ScenarioRecord, StepRecord
from tailstest.results.shown import one_line, shown
from tailstest.results.suspect import Suspicion
from tailstest.results.suspect_rules import suspicion_of
from tailstest.results.suspect_told import suspect_fields, suspect_line
from tailstest.results.wording import attempts_failed

#: Bytes of all pictures together (as base64).
PICTURE_BUDGET = 20_000_000
_STATUS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "failed",
    Verdict.ERRORED: "undefined",
    Verdict.INCOMPLETE: "pending",
    Verdict.SKIPPED: "skipped",
    Verdict.NOT_RUN: "skipped",
    Verdict.MANUAL: "pending",
}
Json = dict[str, Any]


def cucumber_features(run: Run, folder: RunFolder) -> list[Json]:
    """Return a run as the features of Cucumber's JSON, pictures of failures in it."""
    pictures = Pictures(folder, budget=PICTURE_BUDGET)
    features: dict[str, Json] = {}
    for scenario in run.scenarios:
        uri = one_line(scenario.feature_file) or "(no file)"
        feature = features.setdefault(
            uri,
            {
                "uri": uri,
                "id": _slug(scenario.feature or uri),
                "keyword": "Feature",
                "name": one_line(scenario.feature) or uri,
                "description": "",
                "line": 1,
                "tags": [],
                "elements": [],
            },
        )
        attempts: list[AttemptRecord | None] = [*scenario.attempts] or [None]
        feature["elements"] += [
            _element(scenario, attempt, feature["id"], pictures, run) for attempt in attempts
        ]
    return list(features.values())


def _element(
    scenario: ScenarioRecord,
    attempt: AttemptRecord | None,
    feature: str,
    pictures: Pictures,
    run: Run,
) -> Json:
    verdict = attempt.verdict if attempt else Verdict.NOT_RUN
    element: Json = {
        "id": f"{feature};{_slug(scenario.name)}",
        "type": "scenario",
        "keyword": "Scenario",
        "name": one_line(scenario.name) or "(unnamed scenario)",
        "description": shown(scenario.description, MAX_ERROR),
        "line": line_of(scenario.location),
        "start_timestamp": _stamp(attempt.started if attempt else run.started),
        "tags": [{"name": f"@{one_line(tag)}"} for tag in scenario.tags],
        "steps": [],
        OWN_KEY: {
            "id": shown(scenario.id),
            "verdict": verdict.value,
            "scenario_verdict": scenario.verdict.value,
            "seconds": round(attempt.seconds, 6) if attempt else 0.0,
            "error": shown(attempt.reason if attempt else "", MAX_ERROR),
            "machines": [one_line(machine) for machine in attempt.machines] if attempt else [],
        },
    }
    suspicion = suspicion_of(attempt) if attempt else None
    if suspicion is not None:
        element[OWN_KEY]["suspect"] = suspect_fields(suspicion)
    if attempt is None:
        element["after"] = [_hook("skipped", "the run ended before this scenario began")]
        return element
    element["steps"] = [_step(each, pictures, attempt, suspicion) for each in attempt.steps]
    if scenario.is_flaky and verdict is Verdict.PASSED:
        how_often = attempts_failed(scenario.failures, len(scenario.attempts))
        element["after"] = [_hook("failed", f"flaky: {how_often}")]
    elif attempt.bad_step is None and verdict is not Verdict.PASSED:
        element["after"] = [_hook(_STATUS[verdict], _with_suspect(attempt.reason, suspicion))]
    return element


def _step(
    step: StepRecord, pictures: Pictures, attempt: AttemptRecord, suspicion: Suspicion | None
) -> Json:
    result: Json = {
        "status": _STATUS[step.verdict],
        "duration": max(0, round(step.seconds * NANOSECONDS)),
    }
    if step.error:
        error = _with_suspect(step.error, suspicion if step is attempt.bad_step else None)
        words = [error, f"What to do: {step.hint}" if step.hint else "", step.details]
        result["error_message"] = shown("\n".join(word for word in words if word), MAX_ERROR)
    told: Json = {
        "keyword": f"{one_line(step.keyword) or 'Step'} ",
        "name": one_line(step.text, 2_000),
        "line": line_of(step.location),
        "match": {"location": one_line(step.location)},
        "result": result,
    }
    if step.table:
        told["rows"] = [{"cells": [one_line(cell) for cell in row]} for row in step.table]
    if step is attempt.bad_step:
        told["embeddings"] = _embeddings(step, attempt, pictures)
    return told


def _embeddings(step: StepRecord, attempt: AttemptRecord, pictures: Pictures) -> list[Json]:
    """Return the picture of a failure, if it was kept and fits."""
    frame = step.frames[-1] if step.frames else attempt.last_frame
    picture = pictures.full(frame.path) if frame else None
    kind, _, data = (picture.src if picture else "").partition(";base64,")
    if not data:
        return []
    return [{"mime_type": kind.removeprefix("data:"), "data": data, "name": "screen"}]


def _with_suspect(error: str, suspicion: Suspicion | None) -> str:
    """Return an error with its suspect behind the first line, by which failures are compared."""
    if suspicion is None or not error:
        return error
    first, _, rest = error.partition("\n")
    return "\n".join(line for line in (first, suspect_line(suspicion), rest) if line)


def _hook(status: str, error: str) -> Json:
    result: Json = {"status": status, "duration": 0}
    if error:
        result["error_message"] = shown(error, MAX_ERROR)
    return {"match": {"location": "tailstest"}, "result": result}


def _stamp(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(min(max(0.0, seconds), 2e11), datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _slug(text: str) -> str:
    return re.sub(r"[\W_]+", "-", one_line(text).casefold()).strip("-") or "unnamed"
