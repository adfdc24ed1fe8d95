from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from lxml import etree
from results_sample import HOSTILE, Sample

from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results import junit
from tailstest.results.junit import build_junit, write_junit
from tailstest.results.recorder import attach
from tailstest.results.run_builder import RunBuilder
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import ArtifactRecord, Run, StepRecord

#: What Jenkins' JUnit plug-in accepts, as far as we use it: names required, counts numbers, one
#: result per case, properties before it as pytest writes them, nothing unknown.
SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
 <xs:simpleType name="word"><xs:restriction base="xs:string"><xs:minLength value="1"/>
 </xs:restriction></xs:simpleType>
 <xs:simpleType name="seconds"><xs:restriction base="xs:decimal"><xs:minInclusive value="0"/>
 </xs:restriction></xs:simpleType>
 <xs:complexType name="result" mixed="true"><xs:attribute name="message" type="xs:string"/>
  <xs:attribute name="type" type="xs:string"/></xs:complexType>
 <xs:attributeGroup name="counts">
  <xs:attribute name="tests" type="xs:nonNegativeInteger" use="required"/>
  <xs:attribute name="failures" type="xs:nonNegativeInteger" use="required"/>
  <xs:attribute name="errors" type="xs:nonNegativeInteger" use="required"/>
  <xs:attribute name="skipped" type="xs:nonNegativeInteger" use="required"/>
  <xs:attribute name="name" type="word" use="required"/>
  <xs:attribute name="time" type="seconds" use="required"/></xs:attributeGroup>
 <xs:element name="testsuites"><xs:complexType><xs:sequence>
  <xs:element name="testsuite" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
   <xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
    <xs:element name="properties" minOccurs="0"><xs:complexType><xs:sequence>
     <xs:element name="property" maxOccurs="unbounded"><xs:complexType>
      <xs:attribute name="name" type="word" use="required"/>
      <xs:attribute name="value" type="word" use="required"/></xs:complexType></xs:element>
     </xs:sequence></xs:complexType></xs:element>
    <xs:choice minOccurs="0"><xs:element name="failure" type="result"/>
     <xs:element name="error" type="result"/><xs:element name="skipped" type="result"/></xs:choice>
    <xs:element name="system-out" type="xs:string" minOccurs="0"/></xs:sequence>
    <xs:attribute name="name" type="word" use="required"/>
    <xs:attribute name="classname" type="word" use="required"/>
    <xs:attribute name="time" type="seconds" use="required"/>
    <xs:attribute name="file" type="xs:string"/></xs:complexType></xs:element></xs:sequence>
   <xs:attributeGroup ref="counts"/>
   <xs:attribute name="timestamp" type="xs:dateTime" use="required"/>
   <xs:attribute name="hostname" type="word" use="required"/></xs:complexType></xs:element>
 </xs:sequence><xs:attributeGroup ref="counts"/></xs:complexType></xs:element>
</xs:schema>
"""


def run_of(*scenarios: dict[str, Any]) -> Run:
    """A run in which the given scenarios ended; keys: name, file, line, verdict."""
    builder = RunBuilder()
    for number, values in enumerate(scenarios):
        builder.apply(
            {
                "event": "ScenarioStarted",
                "time": 1_790_000_000.0,
                "scenario_id": str(number),
                "name": values.get("name", "a name"),
                "feature": values.get("feature", "A feature"),
                "feature_file": values.get("file", "features/a.feature"),
                "location": f"{values.get('file', 'features/a.feature')}:{values.get('line', 3)}",
                "steps": [],
            }
        )
        builder.apply(
            {
                "event": "ScenarioFinished",
                "scenario_id": str(number),
                "verdict": values.get("verdict", "passed"),
                "seconds": 1.5,
                "error": values.get("error", ""),
            }
        )
    return builder.end()


def pairs(root: Any) -> list[tuple[str, str]]:
    return [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs")


def test_the_file_of_a_whole_run_is_valid_and_agrees_with_the_run(
    folder: RunFolder, tmp_path: Path
) -> None:
    events = Events()
    with attach(events, folder, Settings(), project=tmp_path) as recorder:
        Sample(folder, events).whole()
    run = recorder.close()
    data = folder.junit_file.read_bytes()
    etree.XMLSchema(etree.fromstring(SCHEMA)).assertValid(etree.fromstring(data))
    parsed = JUnitXml.fromfile(str(folder.junit_file))
    counts = run.counts
    assert parsed.tests == len(run.scenarios) + len(run.problems)
    assert parsed.failures == counts[Verdict.FAILED] == 3
    assert parsed.errors == (
        counts[Verdict.ERRORED]
        + counts[Verdict.INCOMPLETE]
        + counts[Verdict.NOT_RUN]
        + len(run.problems)
    )
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", data)


def test_each_verdict_has_its_own_kind(folder: RunFolder) -> None:
    of_an_attempt = [verdict for verdict in Verdict if verdict is not Verdict.FLAKY]
    run = run_of(*({"name": v.value, "verdict": v.value, "error": "why"} for v in of_an_attempt))
    root = build_junit(run, folder, output_limit=10_000)
    kinds = {
        case.get("name"): [(child.tag, child.get("type")) for child in case if child.get("type")]
        for case in root.iter("testcase")
    }
    assert kinds["failed"] == [("failure", "product")]
    assert kinds["errored"] == [("error", "test")]
    assert kinds["incomplete"] == [("error", "infrastructure")]
    assert kinds["not run"] == [("error", "not run")]
    assert kinds["passed"] == []
    assert root.find(".//testcase[@name='skipped']/skipped") is not None


def test_files_with_the_same_base_name_are_two_suites(folder: RunFolder, tmp_path: Path) -> None:
    run = run_of(
        {"file": "a/x.feature", "verdict": "failed"},
        {"file": "b/x.feature"},
        {"file": f"{tmp_path}/c/x.feature"},
        {"file": "a.b/x.feature"},
        {"file": "a_b/x.feature"},
    )
    root = build_junit(run, folder, output_limit=10_000, project=tmp_path)
    names = [suite.get("name") for suite in root]
    assert names == ["a/x.feature", "b/x.feature", "c/x.feature", "a.b/x.feature", "a_b/x.feature"]
    assert [suite.get("failures") for suite in root] == ["1", "0", "0", "0", "0"]
    assert len({classname for classname, _ in pairs(root)}) == 5


def test_names_are_never_empty_nor_repeated(folder: RunFolder) -> None:
    run = run_of(
        {"name": "", "line": 3},
        {"name": " \n\t", "line": 9},
        {"name": "same", "line": 12},
        {"name": "same", "line": 15},
        {"name": "same", "line": 15},
        {"name": "same (line 12)", "line": 20},
        {"name": "long " * 500, "line": 21},
        {"name": "long " * 500 + "!", "line": 22},
        {"name": "", "file": "", "feature": "", "line": 1},
    )
    root = build_junit(run, folder, output_limit=10_000)
    found = pairs(root)
    assert len(set(found)) == len(found) == 9
    assert all(classname.strip() and name.strip() for classname, name in found)
    assert all(len(name) < 500 for _, name in found)
    names = [name for _, name in found]
    assert names[:4] == [
        "(unnamed scenario) (line 3)",
        "(unnamed scenario) (line 9)",
        "same (line 12)",
        "same (line 15)",
    ]


def test_names_in_any_script_stay_as_they_are(folder: RunFolder) -> None:
    names = ["Démarrage", "キー", "Přihlášení", "boot 🙂", "boot 🙃"]
    run = run_of(*({"name": name, "file": f"features/{name}.feature"} for name in names))
    file = write_junit(run, folder, output_limit=10_000)
    root = etree.parse(str(file)).getroot()
    assert [name for _, name in pairs(root)] == names


def test_output_is_bounded_and_names_the_whole_file(folder: RunFolder, tmp_path: Path) -> None:
    run = run_of({"verdict": "failed", "error": "& <" * 100_000})
    log = folder.path / "serial.log"
    log.write_bytes(b"&<>\x00\x1b[0m" * 6_000_000)
    attempt = run.scenarios[0].last
    assert attempt is not None
    attempt.artifacts.append(ArtifactRecord("serial", "serial.log", "serial console", False))
    file = write_junit(run, folder, output_limit=64 * 1024, project=tmp_path)
    assert 20_000 < file.stat().st_size < 80 * 1024
    output = etree.parse(str(file)).find(".//system-out").text
    relative = log.relative_to(tmp_path).as_posix()
    assert f"all of it: {relative}" in output
    assert output.startswith(f"[[ATTACHMENT|{relative}]]\n")


def test_very_many_cases_stay_below_what_gitlab_takes(folder: RunFolder) -> None:
    run = run_of(*({"verdict": "failed", "error": "x" * 60_000, "line": n} for n in range(900)))
    root = build_junit(run, folder, output_limit=512 * 1024)
    assert len(etree.tostring(etree.fromstring(_bytes(root)))) < 30_000_000


@pytest.fixture
def hundredth(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return a hundredth of what GitLab takes, to which the file is now bounded."""
    monkeypatch.setattr(junit, "MAX_FILE_BYTES", junit.MAX_FILE_BYTES // 100)
    return 300_000


@pytest.mark.parametrize(("count", "sign"), [(50, "&"), (50, '"'), (200, "x"), (600, "ไ")])
def test_however_many_cases_fail_the_file_stays_below_what_gitlab_takes(
    folder: RunFolder, hundredth: int, count: int, sign: str
) -> None:
    run = run_of(
        *({"verdict": "failed", "error": sign * 9_000, "name": f"n{n}"} for n in range(count))
    )
    for scenario in run.scenarios:
        scenario.attempts[0].steps = [StepRecord(0, sign * 999, "Then", verdict=Verdict.FAILED)]
    file = write_junit(run, folder, output_limit=64 * 1024)
    assert file.stat().st_size < hundredth
    root = etree.parse(str(file)).getroot()
    cases = list(root.iter("testcase"))
    assert len(cases) == int(root.get("failures")) == count
    assert all(case.find("failure").get("message").startswith(sign) for case in cases)
    if count <= 200:
        told = {case.findtext("failure").partition("\n")[0] for case in cases}
        assert told == {
            "Suspect: product changed: the image answered something else than it should"
        }


def test_attachments_and_problems_count_too(folder: RunFolder, hundredth: int) -> None:
    run = run_of(*({"verdict": "failed", "error": "x", "name": f"n{n}"} for n in range(9)))
    artifacts = []
    for number in range(300):
        name = f"{number:03}-{'&' * 50}{'x' * 150}.txt"
        (folder.path / name).touch()
        artifacts.append(ArtifactRecord("serial", name, "t" * 400, False))
    for scenario in run.scenarios:
        scenario.attempts[0].artifacts = artifacts
    run.problems = ["&" * 9_000] * 20
    file = write_junit(run, folder, output_limit=10_000_000)
    assert file.stat().st_size < hundredth
    output = etree.parse(str(file)).find(".//system-out").text.splitlines()
    marked = [line for line in output if line.startswith("[[ATTACHMENT|")]
    assert marked
    assert all(line.endswith(".txt]]") for line in marked)
    assert f"{300 - len(marked)} more files" in output[len(marked)]


def test_features_and_names_count_too(folder: RunFolder, hundredth: int) -> None:
    run = run_of(*({"file": f"features/{'d/' * 999}{n}.feature", "name": "n"} for n in range(120)))
    assert write_junit(run, folder, output_limit=64 * 1024).stat().st_size < hundredth


def test_only_our_own_attachments_are_marked(folder: RunFolder, tmp_path: Path) -> None:
    events = Events()
    with attach(events, folder, Settings(), project=tmp_path):
        Sample(folder, events).whole()
    text = folder.junit_file.read_text(encoding="utf-8")
    marked = re.findall(r"\[\[ATTACHMENT\|([^]]*)\]\]", text)
    assert marked
    assert "/etc/passwd" in HOSTILE
    for path in marked:
        assert (tmp_path / path).is_file()
        assert path.startswith("runs/")
    first = etree.fromstring(text.encode()).findall(".//testcase/system-out")[1].text
    assert first.splitlines()[0].endswith("failure.png]]")


def _bytes(root: Any) -> bytes:
    import xml.etree.ElementTree as ET

    return ET.tostring(root)


def test_the_same_run_gives_the_same_bytes(folder: RunFolder) -> None:
    run = run_of({"name": "a"}, {"name": "b", "verdict": "failed"})
    first = write_junit(run, folder, output_limit=10_000).read_bytes()
    assert write_junit(run, folder, output_limit=10_000).read_bytes() == first


def test_a_file_reached_through_a_link_is_the_same_file(folder: RunFolder, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "link").symlink_to(project)
    run = run_of({"file": f"{tmp_path}/link/a/x.feature"})
    for start in (project, tmp_path / "link"):
        (suite,) = build_junit(run, folder, output_limit=10_000, project=start)
        assert suite.get("name") == "a/x.feature"
