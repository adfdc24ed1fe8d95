"""Results of other tools; cases C13, C19, C20 and C21."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from store_tools import made_run, open_store

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.answers.history import history_of
from tailstest.results.run_record import Run
from tailstest.results.standing import Standing
from tailstest.results.store import foreign_file
from tailstest.results.store.adding import add_run
from tailstest.results.store.attempt_reading import attempts_of_runs
from tailstest.results.store.by_hand import record_by_hand
from tailstest.results.store.importing import import_files
from tailstest.results.store.junit_reader import MAX_RERUNS
from tailstest.results.store.reading import find_run, scenarios_by_number


def stored(store: object, name: str) -> dict[str, list[Verdict]]:
    with store.reading() as connection:  # type: ignore[attr-defined]
        attempts = attempts_of_runs(connection, [find_run(connection, name).id])
        named = scenarios_by_number(connection, list(attempts))
    return {named[number].key: [a.verdict for a in each] for number, each in attempts.items()}


def junit(file: Path, *suites: str) -> Path:
    file.write_text(f"<testsuites>{''.join(suites)}</testsuites>", encoding="utf-8")
    return file


def suite(name: str, *cases: str, more: str = 'timestamp="2026-11-26T10:00:00"') -> str:
    return f'<testsuite name="{name}" {more}>{"".join(cases)}</testsuite>'


PASS = '<testcase classname="c" name="one" time="1.5"/>'
FAIL = '<testcase classname="c" name="one" time="2"><failure message="no"/></testcase>'


def test_each_kind_of_result_has_its_verdict(tmp_path: Path) -> None:
    file = junit(
        tmp_path / "a.xml",
        suite(
            "s",
            PASS,
            '<testcase classname="c" name="e"><error type="infrastructure"/></testcase>',
            '<testcase classname="c" name="x"><error message="x"/></testcase>',
            '<testcase classname="c" name="s"><skipped/></testcase>',
            '<testcase classname="c" name="キー &amp; 🙂"><failure>seen</failure></testcase>',
        ),
    )
    with open_store(tmp_path) as store:
        done = import_files(store, [file], image_digest="ab" * 32, image_name="demo")
        assert stored(store, "latest") == {
            "c#one": [Verdict.PASSED],
            "c#e": [Verdict.INCOMPLETE],
            "c#x": [Verdict.ERRORED],
            "c#s": [Verdict.SKIPPED],
            "c#キー & 🙂": [Verdict.FAILED],
        }
        with store.reading() as connection:
            assert find_run(connection, done.run.run_id).image_digest == "ab" * 32


def test_c21_shards_of_one_name_and_time_keep_every_test_and_importing_twice_changes_nothing(
    tmp_path: Path,
) -> None:
    files = [
        junit(tmp_path / f"{n}.xml", suite("s", f'<testcase classname="c" name="{n}"/>', PASS))
        for n in "abc"
    ]
    with open_store(tmp_path) as store:
        first = import_files(store, files)
        once = stored(store, "latest")
        second = import_files(store, list(reversed(files)))
        assert (first.was_there, second.was_there) == (False, True)
        assert first.run.run_id == second.run.run_id
        assert once == stored(store, "latest")
        assert once["c#one"] == [Verdict.PASSED] * 3
        assert {"c#a", "c#b", "c#c"} <= set(once)
        with store.reading() as connection, pytest.raises(UsageError, match="fewer runs"):
            find_run(connection, "latest~1")


def test_a_repetition_in_another_suite_is_another_attempt_by_its_time(tmp_path: Path) -> None:
    late = junit(tmp_path / "a.xml", suite("s", PASS, more='timestamp="2026-11-26T11:00:00Z"'))
    early = junit(tmp_path / "b.xml", suite("s", FAIL, more='timestamp="2026-11-26T10:00:00Z"'))
    with open_store(tmp_path) as store:
        import_files(store, [late, early])
        assert stored(store, "latest")["c#one"] == [Verdict.FAILED, Verdict.PASSED]


def test_c20_tests_of_the_same_name_in_one_suite_are_different_ones(tmp_path: Path) -> None:
    file = junit(tmp_path / "a.xml", suite("s", PASS, FAIL, "<testcase/>"))
    with open_store(tmp_path) as store:
        import_files(store, [file])
        assert stored(store, "latest") == {
            "c#one": [Verdict.PASSED],
            "c#one~2": [Verdict.FAILED],
            "s#(unnamed)": [Verdict.PASSED],
        }


def test_c19_files_of_the_same_base_name_stay_apart(tmp_path: Path) -> None:
    case = '<testcase classname="x" name="n" file="{0}/x.feature">{1}</testcase>'
    file = junit(
        tmp_path / "a.xml",
        suite("t", case.format("a", "<failure/>")),
        suite("t", case.format("b", "")),
    )
    with open_store(tmp_path) as store:
        import_files(store, [file])
        assert stored(store, "latest") == {
            "a/x.feature#n": [Verdict.FAILED],
            "b/x.feature#n": [Verdict.PASSED],
        }


#: As Surefire writes it with rerunFailingTestsCount=2, its own attributes left out.
SUREFIRE = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="example.Tests" time="0.5" tests="4" errors="1" failures="1" flakes="2">
  <testcase name="wobbles" classname="example.Tests" time="0.01">
    <flakyFailure message="expected 1" type="java.lang.AssertionError">
      <stackTrace><![CDATA[java.lang.AssertionError: expected 1
        at example.Tests.wobbles(Tests.java:9)]]></stackTrace>
      <system-out>said in the first run</system-out>
    </flakyFailure>
    <flakyError type="java.io.IOException" time="0.25">
      <stackTrace><![CDATA[java.io.IOException: no network
        at example.Tests.wobbles(Tests.java:7)]]></stackTrace>
    </flakyError>
    <system-out>said in the last run</system-out>
  </testcase>
  <testcase name="fails" classname="example.Tests" time="0.02">
    <failure message="first" type="java.lang.AssertionError">java.lang.AssertionError</failure>
    <rerunFailure message="second" type="java.lang.AssertionError">
      <stackTrace>java.lang.AssertionError: second</stackTrace>
    </rerunFailure>
    <rerunError message="third" type="java.io.IOException"><stackTrace/></rerunError>
  </testcase>
  <testcase name="breaks" classname="example.Tests" time="0.03">
    <error message="first" type="java.io.IOException">java.io.IOException</error>
    <rerunError message="second" type="java.io.IOException"/>
  </testcase>
  <testcase name="is fine" classname="example.Tests" time="0.04"/>
</testsuite>
"""


def test_what_surefire_ran_again_has_all_of_its_attempts(tmp_path: Path) -> None:
    file = tmp_path / "TEST-example.Tests.xml"
    file.write_text(SUREFIRE, encoding="utf-8")
    with open_store(tmp_path) as store:
        run = import_files(store, [file]).run
        assert stored(store, "latest") == {
            "example.Tests#wobbles": [Verdict.FAILED, Verdict.ERRORED, Verdict.PASSED],
            "example.Tests#fails": [Verdict.FAILED, Verdict.FAILED, Verdict.ERRORED],
            "example.Tests#breaks": [Verdict.ERRORED, Verdict.ERRORED],
            "example.Tests#is fine": [Verdict.PASSED],
        }
        now = history_of(store, "wobbles", limit=1, today=datetime.date(2026, 12, 1))
        assert now.entries[0].judged.standing is Standing.FLAKY
    wobbles, fails, *_others = run.scenarios
    assert [each.error.partition("\n")[0] for each in wobbles.attempts] == [
        "expected 1",
        "java.io.IOException: no network",
        "",
    ]
    assert [each.seconds for each in wobbles.attempts] == [0.0, 0.25, 0.01]
    assert [each.error for each in fails.attempts] == ["first", "second", "third"]
    assert run.exit_status == 1


def test_no_test_case_has_attempts_without_end(tmp_path: Path) -> None:
    again = "<rerunFailure/>" * (MAX_RERUNS + 1)
    case = f'<testcase classname="c" name="one"><failure/>{again}</testcase>'
    file = junit(tmp_path / "a.xml", suite("s", case))
    with open_store(tmp_path) as store, pytest.raises(UsageError, match="c#one"):
        import_files(store, [file])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xml", b"<html/>", "no JUnit"),
        ("a.xml", b"<testsuites>", "not valid XML"),
        ("a.xml", b"", "not valid XML"),
        ("a.xml", b"<testsuites/>", "no test case"),
        ("a.xml", b'<!DOCTYPE x [<!ENTITY a "b">]><testsuites/>', "entities"),
        ("a.json", b"{}", "no list of features"),
        ("a.json", b"[" * 100_000, "not valid JSON"),
        ("a.json", b"[]", "no scenario"),
        ("a.txt", b"", "all .xml"),
    ],
)
def test_files_that_are_something_else_are_named(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with open_store(tmp_path) as store, pytest.raises(UsageError, match=words):
        import_files(store, [tmp_path / name])


def element(name: str, line: int, text: str, status: str = "passed", **more: object) -> object:
    step = {
        "keyword": "Given ",
        "name": text,
        "result": {"status": status, "duration": 2_000_000_000},
    }
    return {"type": "scenario", "keyword": "Scenario", "name": name, "line": line} | {
        "steps": [step],
        **more,
    }


def cucumber(file: Path, *elements: object, uri: str = "features/x.feature") -> Path:
    feature = {"uri": uri, "name": "X", "tags": [{"name": "@slow"}], "elements": elements}
    file.write_text(json.dumps([feature]), encoding="utf-8")
    return file


def test_cucumber_json_is_read_with_tags_steps_and_attempts(tmp_path: Path) -> None:
    file = cucumber(
        tmp_path / "a.json",
        {"type": "background", "steps": [{"name": "b", "result": {"status": "passed"}}]},
        element("one", 3, "it works", "failed"),
        element("one", 3, "it works"),
        element("two", 9, "later", "undefined"),
        element("three", 12, "later", "pending"),
    )
    with open_store(tmp_path) as store:
        import_files(store, [file], run_id="nightly 7")
        assert stored(store, "nightly 7") == {
            "features/x.feature#one": [Verdict.FAILED, Verdict.PASSED],
            "features/x.feature#two": [Verdict.ERRORED],
            "features/x.feature#three": [Verdict.SKIPPED],
        }
        with store.reading() as connection:
            attempts = attempts_of_runs(connection, [find_run(connection, "latest").id])
        assert {tag for each in attempts.values() for a in each for tag in a.tags} == {"slow"}
        assert sorted(a.seconds for each in attempts.values() for a in each) == [2.0] * 4


def test_c13_a_row_above_does_not_give_its_history_to_another(tmp_path: Path) -> None:
    rows = [element("o", 7, "I open a", keyword="Scenario Outline")]
    rows.append(element("o", 8, "I open b", "failed", keyword="Scenario Outline"))
    moved = [
        element("o", line, f"I open {name}", keyword="Scenario Outline")
        for line, name in ((7, "new"), (8, "a"), (9, "b"))
    ]
    with open_store(tmp_path) as store:
        import_files(store, [cucumber(tmp_path / "a.json", *rows)], run_id="first")
        import_files(store, [cucumber(tmp_path / "b.json", *moved)], run_id="second")
        before, after = stored(store, "first"), stored(store, "second")
        assert len(after) == 3 and set(before) < set(after)
        (failed,) = [key for key, verdicts in before.items() if verdicts == [Verdict.FAILED]]
        assert after[failed] == [Verdict.PASSED]


def test_adding_a_run_again_keeps_what_people_said(tmp_path: Path) -> None:
    run: Run = made_run(1, {"hand": "manual", "b": "passed"}, tags={"hand": ["manual"]})
    with open_store(tmp_path) as store:
        add_run(store, run)
        with store.reading() as connection:
            info = find_run(connection, "latest")
            attempts = attempts_of_runs(connection, [info.id])
            named = scenarios_by_number(connection, list(attempts))
        number = next(n for n, one in named.items() if one.name == "hand")
        record_by_hand(store, info.id, number, Verdict.FAILED, person="Ana", note="silent")
        assert add_run(store, run)
        history = history_of(store, "hand", limit=5, today=datetime.date(2026, 1, 1))
    (entry,) = history.entries
    assert (entry.judged.standing, entry.judged.reason, entry.person) == ("failed", "silent", "Ana")


def test_a_result_by_hand_needs_a_name_a_reason_and_a_scenario_of_the_run(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"hand": "manual"}))
        for values, words in (
            ((1, 1, Verdict.PASSED, " ", ""), "name of the person"),
            ((1, 1, Verdict.FAILED, "Ana", ""), "described"),
            ((1, 99, Verdict.PASSED, "Ana", ""), "no part of that run"),
            ((1, 1, Verdict.SKIPPED, "Ana", "x"), "a person says"),
        ):
            run, scenario, verdict, person, note = values
            with pytest.raises(UsageError, match=words):
                record_by_hand(store, run, scenario, verdict, person=person, note=note)


def test_no_more_of_a_file_is_read_than_may_be_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_file, "MAX_BYTES", 1000)
    with (tmp_path / "a.xml").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk, and would take a terabyte of memory
    with open_store(tmp_path) as store, pytest.raises(UsageError, match="larger than 1000 bytes"):
        import_files(store, [tmp_path / "a.xml"])
    (tmp_path / "b").write_bytes(b"x" * 1000)
    assert len(foreign_file.read_foreign(tmp_path / "b")) == 1000
