"""JUnit XML that Jenkins and GitLab accept.

The rules obeyed here: every suite and test case has a name and a classname that are not empty;
a pair of classname and name never occurs twice (GitLab keeps only the first); no character that
XML 1.0 forbids; attachment markers stand in a test case's system-out, each on its own line, with a
path relative to the project; the file stays below 30 MB.
"""

from __future__ import annotations

import os
import socket
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path, PurePath

from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict
from tailstest.results.environment_view import find_fact
from tailstest.results.excuses import excuse_of
from tailstest.results.junit_output import CapturedOutput
from tailstest.results.junit_text import (
    SUSPECT_PROPERTY,
    bounded,
    message_of,
    name_of,
    one_line,
    text_size,
    unique_classnames,
    unique_names,
    unused,
    written_size,
)
from tailstest.results.run_folder import EVENTS_FILE, RunFolder
from tailstest.results.run_record import Run, ScenarioRecord
from tailstest.results.suspect import Suspicion
from tailstest.results.suspect_rules import suspicion_about
from tailstest.results.suspect_told import suspect_fields, suspect_line

#: GitLab refuses JUnit files above 30 MB, as a whole
#: (https://docs.gitlab.com/ee/ci/testing/unit_test_reports.html). Every suite and test case has an
#: equal share of this; names, which consumers know a test case by, are never cut for it, so it
#: holds for some 60,000 test cases.
MAX_FILE_BYTES = 28_000_000
#: Bytes of a message that say something, however small the share.
_LEAST_MESSAGE = 60
#: Bytes of the explanation of a failure at most, where the share is small.
_SHORT_EXPLANATION = 4_000

#: Property that says what bugs that are known have to do with a test case.
EXCUSE_PROPERTY = "tailstest.known"

_KINDS = {
    Verdict.FAILED: ("failure", "product"),
    Verdict.ERRORED: ("error", "test"),
    # No consumer shows Surefire's <flakyFailure> as a failure.
    Verdict.FLAKY: ("failure", "flaky"),
    Verdict.INCOMPLETE: ("error", "infrastructure"),
    Verdict.NOT_RUN: ("error", "not run"),
    Verdict.SKIPPED: ("skipped", ""),
    Verdict.MANUAL: ("skipped", "manual"),
}
PROBLEMS_SUITE = "plan"


def write_junit(
    run: Run, folder: RunFolder, *, output_limit: int, project: Path | None = None
) -> Path:
    """Write `junit.xml` into the run's folder, replacing an older one in one step.

    Args:
        output_limit: bytes of captured text in one test case; less when there are very many.
        project: folder that paths are relative to; by default CI_PROJECT_DIR, else the
            working directory.

    Returns:
        The file written.

    Raises:
        InfrastructureError: it cannot be written.
    """
    root = build_junit(run, folder, output_limit=output_limit, project=project)
    ET.indent(root)
    data = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    fresh = folder.junit_file.with_suffix(".xml.new")
    try:
        fresh.write_bytes(data + b"\n")
        fresh.replace(folder.junit_file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise InfrastructureError(
            f"cannot write {folder.junit_file}: {error.strerror}",
            hint=f"free some space, then: tailstest report {folder.path}",
        ) from error
    return folder.junit_file


def build_junit(
    run: Run, folder: RunFolder, *, output_limit: int, project: Path | None = None
) -> ET.Element:
    """Return the `testsuites` element for `run`; see `write_junit`."""
    writer = _Writer(run, folder, output_limit, project or default_project())
    return writer.build()


def default_project() -> Path:
    """Return the folder that CI consumers take paths relative to."""
    return Path(os.environ.get("CI_PROJECT_DIR") or Path.cwd()).absolute()


class _Writer:
    def __init__(self, run: Run, folder: RunFolder, output_limit: int, project: Path) -> None:
        self._run = run
        self._project = project
        self._output = CapturedOutput(folder, project)
        files = {each.feature_file for each in run.scenarios}
        self._share = MAX_FILE_BYTES // (1 + len(files) + len(run.scenarios) + len(run.outside))
        self._output_limit = output_limit
        # Where the run took place, which may not be where this file is made.
        own = socket.gethostname() or "localhost"
        self._hostname = name_of(find_fact(run.environment, "hostname"), own)

    def build(self) -> ET.Element:
        run = self._run
        root = ET.Element("testsuites", {"name": name_of(run.run_id, "tailstest")})
        by_file: dict[str, list[ScenarioRecord]] = {}
        for scenario in run.scenarios:
            by_file.setdefault(self._feature_file(scenario), []).append(scenario)
        names = unique_classnames(by_file)
        for file, scenarios in by_file.items():
            root.append(self._suite(file, names[file], scenarios))
        if run.outside:
            root.append(self._problems(unused(PROBLEMS_SUITE, set(names.values()))))
        for key in ("tests", "failures", "errors", "skipped"):
            root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
        root.set("time", f"{run.seconds:.3f}")
        return root

    def _feature_file(self, scenario: ScenarioRecord) -> str:
        """Return the path of its file relative to the project, also through a link."""
        path = PurePath(printable(scenario.feature_file))
        if path.is_absolute():
            for one in (path, Path(path).resolve()):
                for project in (self._project, self._project.resolve()):
                    if one.is_relative_to(project):
                        return one.relative_to(project).as_posix()
        return path.as_posix() if path.name else "(no file)"

    def _suite(self, file: str, classname: str, scenarios: list[ScenarioRecord]) -> ET.Element:
        starts = [attempt.started for s in scenarios for attempt in s.attempts[:1]]
        suite = self._empty_suite(file, min(starts, default=self._run.started))
        names = unique_names(scenarios)
        for scenario in scenarios:
            suite.append(self._case(scenario, file, classname, names[scenario.id]))
        _total(suite)
        return suite

    def _empty_suite(self, name: str, started: float) -> ET.Element:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(started))
        return ET.Element(
            "testsuite",
            {"name": name_of(name, "(no file)"), "timestamp": stamp, "hostname": self._hostname},
        )

    def _case(self, scenario: ScenarioRecord, file: str, classname: str, name: str) -> ET.Element:
        case = ET.Element(
            "testcase", {"name": name, "classname": classname, "time": f"{scenario.seconds:.3f}"}
        )
        if len(file.encode("utf-8", "replace")) <= self._share // 4:
            case.set("file", file)
        room, captured = self._share - written_size(case), self._output_limit
        verdict = scenario.verdict
        attempt = scenario.last
        decisive = scenario.decisive
        reason = decisive.reason if decisive else "the run ended before this scenario began"
        if scenario.is_flaky:
            reason = f"failed and passed: {reason}"
        suspicion, excuse = suspicion_about(scenario), excuse_of(scenario, self._run)
        if verdict in _KINDS:
            tag, kind = _KINDS[verdict]
            child = ET.SubElement(case, tag, {"message": self._message(reason or str(verdict))})
            if kind:
                child.set("type", kind)
                limit = min(captured, room - written_size(child))
                limit = max(limit // 4, min(limit // 2, _SHORT_EXPLANATION))
                child.text = self._explanation(scenario, reason, suspicion, excuse, limit)
                captured -= text_size(child.text)
            room -= written_size(child)
        if suspicion is not None or excuse:
            properties = _properties(suspicion, excuse)
            if written_size(properties) <= room:
                case.insert(0, properties)
                room -= written_size(properties)
        if attempt is not None:
            output = ET.Element("system-out")
            limit = min(captured, room - written_size(output))
            output.text = self._output.text(scenario, attempt, limit)
            if limit > 0:
                case.append(output)
        return case

    def _message(self, text: str) -> str:
        return message_of(text, max(_LEAST_MESSAGE, self._share // 8))

    def _explanation(
        self,
        scenario: ScenarioRecord,
        reason: str,
        suspicion: Suspicion | None,
        excuse: str,
        limit: int,
    ) -> str:
        """Say first whose trouble it seems to be: most consumers show no more than some lines."""
        lines = [suspect_line(suspicion)] if suspicion else []
        if excuse:
            lines.append(excuse)
        lines.append(f"at {scenario.location}")
        attempt = scenario.decisive
        step = attempt.bad_step if attempt else None
        if step is not None:
            lines.append(f"step: {step.title} ({step.location})")
        lines.append(reason)
        if step is not None and step.hint:
            lines.append(f"What to do: {step.hint}")
        if step is not None and step.details:
            lines += ["", step.details]
        return bounded("\n".join(lines), limit, self._output.path(EVENTS_FILE))

    def _problems(self, name: str) -> ET.Element:
        suite = self._empty_suite(name, self._run.started)
        seen: Counter[str] = Counter()
        for problem in self._run.outside:
            title = name_of(problem, "problem")
            seen[title] += 1
            if seen[title] > 1:
                title += f" ({seen[title]})"
            case = ET.SubElement(
                suite, "testcase", {"name": title, "classname": name, "time": "0.000"}
            )
            error = ET.SubElement(case, "error", {"message": self._message(problem)})
            error.set("type", "test")
            room = min(self._output_limit, self._share - written_size(case))
            error.text = bounded(problem, room, self._output.path(EVENTS_FILE))
        _total(suite)
        return suite


def _properties(suspicion: Suspicion | None, excuse: str) -> ET.Element:
    """Return what is said of a test case as properties, in the form of pytest and GoogleTest."""
    fields = suspect_fields(suspicion) if suspicion is not None else {}
    named = {f"{SUSPECT_PROPERTY}{field}": text for field, text in fields.items()}
    if excuse:
        named[EXCUSE_PROPERTY] = excuse
    properties = ET.Element("properties")
    for name, text in named.items():
        ET.SubElement(properties, "property", {"name": name, "value": one_line(text)})
    return properties


def _total(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
