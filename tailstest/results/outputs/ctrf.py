"""The Common Test Report Format (https://ctrf.io), JSON that dashboards of many tools read.

Only fields that all published versions of its schema have are used. Its word for a test that
failed and then passed is "flaky", which we never count as passed: such a test is "other".
Infrastructure trouble and what did not run is "other", too; what a person is to do is "pending".
There is no field for whose trouble a failure seems to be; that stands in `extra`, which is for
anything, and as the first line of the trace, which dashboards show.
"""

from __future__ import annotations

import datetime
import mimetypes
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tailstest import __version__
from tailstest.core.verdict import Verdict
from tailstest.results.environment_view import find_fact, image_digest, image_name
from tailstest.results.outputs.limits import MAX_ERROR, line_of
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import AttemptRecord, Run, ScenarioRecord
from tailstest.results.shown import one_line, shown
from tailstest.results.suspect_rules import suspicion_about, suspicion_of
from tailstest.results.suspect_told import suspect_fields, suspect_line

#: The version of the specification, https://github.com/ctrf-io/ctrf.
SPEC_VERSION = "0.0.0"
#: Files named for one attempt.
MAX_ATTACHMENTS = 20
#: Our names of tests and reports; any fixed one makes the same ids every time.
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "https://ctrf.io/tailstest")
_STATUS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "failed",
    Verdict.ERRORED: "failed",
    Verdict.FLAKY: "other",
    Verdict.INCOMPLETE: "other",
    Verdict.SKIPPED: "skipped",
    Verdict.NOT_RUN: "other",
    Verdict.MANUAL: "pending",
}
_KINDS = ("passed", "failed", "skipped", "pending", "other")
Json = dict[str, Any]


def ctrf_report(run: Run, folder: RunFolder) -> Json:
    """Return a run as a CTRF document; paths in it are relative to the folder of the run."""
    tests = [_test(scenario, folder) for scenario in run.scenarios]
    counts = Counter(test["status"] for test in tests)
    started, ended = _milliseconds(run.started), _milliseconds(run.ended)
    return {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "reportId": str(uuid.uuid5(_NAMES, f"run {run.run_id}")),
        "timestamp": datetime.datetime.fromtimestamp(started / 1000, datetime.UTC).isoformat(),
        "generatedBy": f"tailstest {__version__}",
        "results": {
            "tool": {"name": "tailstest", "version": __version__},
            "summary": {
                "tests": len(tests),
                **{kind: counts[kind] for kind in _KINDS},
                "flaky": len(run.flaky),
                "suites": len({scenario.feature_file for scenario in run.scenarios}),
                "start": started,
                "stop": max(started, ended),
                "duration": max(0, ended - started),
                "extra": {
                    "run": one_line(run.run_id),
                    "exitStatus": run.exit_status,
                    "finished": run.is_finished,
                    "problems": [shown(problem, MAX_ERROR) for problem in run.outside],
                    "suspects": _suspects(tests),
                },
            },
            "tests": tests,
            "environment": _environment(run),
        },
    }


def _suspects(tests: Sequence[Json]) -> dict[str, int]:
    """Return how many tests have each suspect."""
    found = (test["extra"]["suspect"]["name"] for test in tests if "suspect" in test["extra"])
    return dict(sorted(Counter(found).items()))


def _environment(run: Run) -> Json:
    facts = {
        "appName": image_name(run.environment),
        "commit": find_fact(run.environment, "product_commit"),
    }
    extra = {
        "imageSha256": image_digest(run.environment),
        "suiteCommit": find_fact(run.environment, "suite_commit"),
        "host": find_fact(run.environment, "hostname"),
    }
    return {
        **{key: one_line(value) for key, value in facts.items() if value},
        "osPlatform": "linux",
        "extra": {key: one_line(value) for key, value in extra.items() if value},
    }


def _test(scenario: ScenarioRecord, folder: RunFolder) -> Json:
    last = scenario.last
    verdict = scenario.verdict
    test: Json = {
        "id": str(uuid.uuid5(_NAMES, f"scenario {scenario.id!r}")),
        "name": one_line(scenario.name) or "(unnamed scenario)",
        "status": _STATUS[verdict],
        "rawStatus": verdict.value,
        "duration": max(0, round(scenario.seconds * 1000)),
        "suite": [one_line(scenario.feature) or one_line(scenario.feature_file) or "(no feature)"],
        "filePath": one_line(scenario.feature_file),
        "line": line_of(scenario.location),
        "tags": [one_line(tag) for tag in scenario.tags],
        "type": "e2e",
        "flaky": scenario.is_flaky,
        "retries": max(0, len(scenario.attempts) - 1),
        "extra": {"scenario": shown(scenario.id)},
    }
    if last is None:
        return test
    suspicion = suspicion_about(scenario)
    if suspicion is not None:
        test["extra"]["suspect"] = suspect_fields(suspicion)
    test |= _told(last, folder)
    test["duration"] = max(0, round(scenario.seconds * 1000))
    test["start"] = _milliseconds(scenario.attempts[0].started)
    test["steps"] = [
        {"name": one_line(step.title, 2_000), "status": _STATUS[step.verdict]}
        for step in last.steps
    ]
    earlier = scenario.attempts[:-1]
    if earlier:
        test["retryAttempts"] = [
            _retried(number, each, folder) for number, each in enumerate(earlier, 1)
        ]
    return test


def _retried(number: int, attempt: AttemptRecord, folder: RunFolder) -> Json:
    told: Json = {"attempt": number, "status": _STATUS[attempt.verdict], **_told(attempt, folder)}
    suspicion = suspicion_of(attempt)
    if suspicion is not None:
        told["extra"] = {"suspect": suspect_fields(suspicion)}
    return told


def _told(attempt: AttemptRecord, folder: RunFolder) -> Json:
    """Return what a test and an attempt at it have in common."""
    started = _milliseconds(attempt.started)
    told: Json = {
        "start": started,
        "stop": started + max(0, round(attempt.seconds * 1000)),
        "duration": max(0, round(attempt.seconds * 1000)),
        "attachments": _attachments(attempt, folder),
    }
    if attempt.reason:
        told["message"] = shown(attempt.reason, MAX_ERROR)
    suspicion, step = suspicion_of(attempt), attempt.bad_step
    lines = [suspect_line(suspicion)] if suspicion else []
    if step is not None:
        lines += [f"{step.title} ({step.location})", step.error, step.hint, step.details]
    if lines:
        told["trace"] = shown("\n".join(line for line in lines if line), MAX_ERROR)
    return told


def _attachments(attempt: AttemptRecord, folder: RunFolder) -> list[Json]:
    named = [(each.title or each.kind, each.path) for each in attempt.artifacts]
    if attempt.verdict is not Verdict.PASSED and attempt.last_frame is not None:
        named.insert(0, ("screen", attempt.last_frame.path))
    unique = {path: title for title, path in reversed(named) if folder.file(path)}
    return [
        {
            "name": one_line(title) or "file",
            "contentType": mimetypes.guess_type(path)[0] or "application/octet-stream",
            "path": shown(path),
        }
        for path, title in list(reversed(unique.items()))[:MAX_ATTACHMENTS]
    ]


def _milliseconds(seconds: float) -> int:
    return round(min(max(0.0, seconds), 2e11) * 1000)
