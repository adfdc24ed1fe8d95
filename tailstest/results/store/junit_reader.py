"""Runs out of JUnit files that other tools wrote."""

from __future__ import annotations

import datetime
import math
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.junit_text import SUSPECT_PROPERTY
from tailstest.results.run_record import AttemptRecord, Run, ScenarioRecord
from tailstest.results.shown import one_line
from tailstest.results.store.foreign_file import MAX_CASES, read_foreign
from tailstest.results.suspect import Suspicion
from tailstest.results.suspect_told import suspect_in

_VERDICTS = {
    "failure": Verdict.FAILED,
    "error": Verdict.ERRORED,
    "skipped": Verdict.SKIPPED,
}

#: Attempts that tools which run tests again (Surefire, Gradle, nextest) write beside the one that
#: others see: in front of the one that passed, and behind the one that failed first. See
#: https://maven.apache.org/surefire/maven-surefire-plugin/examples/rerun-failing-tests.html
_IN_FRONT = {"flakyFailure": Verdict.FAILED, "flakyError": Verdict.ERRORED}
_BEHIND = {"rerunFailure": Verdict.FAILED, "rerunError": Verdict.ERRORED}
#: How often one test case may have been run again; no tool does that more than some ten times.
MAX_RERUNS = 1_000


def read_junit(run: Run, files: Sequence[Path]) -> None:
    """Add what JUnit files hold to `run`.

    Files of one run may be parts of it (shards) or repetitions: a test that is in several suites
    of the same name has several attempts, in the order of their time stamps, and so has one that
    a tool has run again within its suite. Tests of the same name within one suite are different
    ones, told apart by their order.

    Raises:
        UsageError: a file cannot be read, or is no JUnit; names it.
    """
    suites = sorted(
        (_time_of(suite), number, place, suite)
        for number, file in enumerate(files)
        for place, suite in enumerate(_suites(_parsed(file)))
    )
    for started, _number, _place, suite in suites:
        _add_suite(run, suite, started)
    if not run.scenarios:
        raise UsageError(f"{', '.join(map(str, files))}: there is no test case in it")
    starts = [started for started, *_rest in suites if started]
    run.started = min(starts, default=0.0)
    run.ended = max(
        [attempt.started + attempt.seconds for s in run.scenarios for attempt in s.attempts]
    )


def _parsed(file: Path) -> ET.Element:
    data = read_foreign(file)
    if b"<!ENTITY" in data or b"<\0!\0E\0N\0T" in data:
        raise UsageError(f"{file}: it defines entities, which no JUnit file needs")
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise UsageError(f"{file}: not valid XML: {error}") from error
    if root.tag not in ("testsuites", "testsuite"):
        raise UsageError(f"{file}: no JUnit: it begins with <{one_line(root.tag, 80)}>")
    return root


def _suites(root: ET.Element) -> Iterator[ET.Element]:
    """Yield the suites that hold test cases; some tools nest them."""
    for element in root.iter("testsuite"):
        if element.find("testcase") is not None:
            yield element


def _add_suite(run: Run, suite: ET.Element, started: float) -> None:
    run.environment = run.environment or {"hostname": suite.get("hostname", "")}
    count: dict[str, int] = defaultdict(int)
    now = started
    for case in suite.findall("testcase"):
        if len(run.scenarios) >= MAX_CASES:
            raise UsageError(f"more than {MAX_CASES} test cases in one run")
        file = case.get("file") or suite.get("file") or ""
        place = case.get("classname") or file or suite.get("name") or "(no suite)"
        name = case.get("name") or "(unnamed)"
        key = f"{file if file.endswith('.feature') else place}#{name}"
        count[key] += 1
        if count[key] > 1:
            key += f"~{count[key]}"
        line = case.get("line", "")
        scenario = run.add(
            ScenarioRecord(
                id=key,
                name=name,
                feature=suite.get("name", ""),
                feature_file=file,
                location=f"{file or place}:{line}" if line else file or place,
            )
        )
        attempts = [*_reruns(case, _IN_FRONT), _attempt(case), *_reruns(case, _BEHIND)]
        if len(attempts) > MAX_RERUNS:
            raise UsageError(f"{one_line(key, 200)} was run more than {MAX_RERUNS} times")
        for attempt in attempts:
            attempt.started = now
            now += attempt.seconds
        scenario.attempts += attempts


def _reruns(case: ET.Element, kinds: Mapping[str, Verdict]) -> list[AttemptRecord]:
    """Return the attempts that are told beside the main one, in their order."""
    return [
        AttemptRecord(
            started=0.0,
            steps=[],
            verdict=kinds[told.tag],
            seconds=_number(told.get("time")),
            error=_said(told),
            is_finished=True,
        )
        for told in case
        if told.tag in kinds
    ]


def _said(told: ET.Element) -> str:
    """Return why a test did not pass."""
    texts = (told.get("message"), told.text, told.findtext("stackTrace"))
    return next((text.strip() for text in texts if text and text.strip()), "")


def _attempt(case: ET.Element) -> AttemptRecord:
    attempt = AttemptRecord(started=0.0, steps=[], verdict=Verdict.PASSED, is_finished=True)
    attempt.seconds = _number(case.get("time"))
    for tag, verdict in _VERDICTS.items():
        told = case.find(tag)
        if told is not None:
            attempt.verdict = verdict
            if tag == "error" and told.get("type") in ("infrastructure", "not run"):
                attempt.verdict = Verdict.INCOMPLETE  # as our own files say it
            elif tag == "skipped" and told.get("type") == "manual":
                attempt.verdict = Verdict.MANUAL
            attempt.error = _said(told)
            if attempt.error == Verdict.SKIPPED.value:
                attempt.error = ""  # so our own files say that nobody gave a reason
            attempt.suspicion = _suspicion(case)
            break
    return attempt


def _suspicion(case: ET.Element) -> Suspicion | None:
    """Return what our own files suspect."""
    told = {
        each.get("name", "").removeprefix(SUSPECT_PROPERTY): each.get("value", "")
        for each in case.iterfind("properties/property")
        if each.get("name", "").startswith(SUSPECT_PROPERTY)
    }
    return suspect_in(told)


def _time_of(suite: ET.Element) -> float:
    try:
        time = datetime.datetime.fromisoformat(suite.get("timestamp", ""))
    except ValueError:
        return 0.0
    # Without a zone it is UTC, as Ant began it.
    return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()


def _number(text: str | None) -> float:
    try:
        value = float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and 0 <= value < 1e9 else 0.0
