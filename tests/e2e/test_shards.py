"""Jobs that somebody else starts, and their results put together (cases C13, C15, C21)."""

import shutil

import pytest
from junitparser import JUnitXml
from test_command_line import events, tailstest
from test_workers import Suite

pytestmark = pytest.mark.e2e

OUTLINE = """Feature: rows
  Scenario Outline: row
    When I leave the note "<note>"
    And it fails unless there is the note "<needs>"
    Examples:
      | note | needs |
      | r1   | r1    |
      | r2   | later |
      | r3   | r3    |
"""
STEP = '''
@step('it fails unless there is the note "{name}"')
def needs(context, name):
    """Fail at first."""
    if not (HERE / name).exists():
        raise CheckFailed(f"no {name}")
'''


@pytest.fixture
def suite(tmp_path):
    return Suite(tmp_path)


def merged(suite, *runs, output="whole"):
    done = tailstest("merge", *runs, "--output", output, cwd=suite.folder)
    return done, suite.folder / output


def last(run):
    return events(run)[-1]


def test_each_scenario_runs_in_one_shard_and_an_empty_one_is_no_trouble(suite):
    for number in range(3):
        suite.write(f"f{number}", **{f"s{number}": [f'I leave the note "s{number}"']})
    runs = []
    for number in range(1, 5):
        done = suite.ran("--shard", f"{number}/4")
        assert done.returncode == 0, done.stdout + done.stderr
        if suite.run.exists():
            runs.append(suite.run)
        else:
            assert "nothing is assigned" in done.stdout
    assert len(runs) == 3
    assert all(len(suite.pids(f"s{number}")) == 1 for number in range(3))
    done, whole = merged(suite, *reversed(runs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert last(whole)["counts"] == {"passed": 3}
    cases = [case for each in JUnitXml.fromfile(str(whole / "junit.xml")) for case in each]
    assert len(cases) == 3
    assert (whole / "report.html").stat().st_size > 10_000

    # Again, in another order: the same bytes. Without one of them: something was not run.
    again = merged(suite, *runs, output="again")[1]
    assert (again / "events.jsonl").read_bytes() == (whole / "events.jsonl").read_bytes()
    assert (again / "junit.xml").read_bytes() == (whole / "junit.xml").read_bytes()
    done, part = merged(suite, *runs[:2], output="part")
    assert done.returncode == 3
    assert last(part)["counts"] == {"passed": 2, "not run": 1}


def test_a_row_that_is_run_again_counts_once_with_both_attempts(suite):
    with (suite.folder / "steps" / "meeting.py").open("a", encoding="utf-8") as file:
        file.write(STEP)
    file = suite.folder / "features" / "rows.feature"
    file.write_text(OUTLINE, encoding="utf-8")
    assert suite.ran().returncode == 1
    first = suite.run
    (suite.meeting / "later").touch()
    # A row above must not shift the history to another row.
    file.write_text(OUTLINE.replace("| r1 ", "| r0   | r0    |\n      | r1 ", 1), encoding="utf-8")
    again = tailstest(
        "run", "features/rows.feature:9", "--output", "second", cwd=suite.folder,
        MEETING=str(suite.meeting),
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    done, whole = merged(suite, first, "second")
    assert done.returncode == 1, done.stdout + done.stderr  # trying again takes nothing back
    assert "1 of 3 scenarios flaky" in (whole / "report.html").read_text(encoding="utf-8")
    suite.run = whole
    attempts = [verdict for _, verdict in suite.verdicts()]
    assert sorted(attempts) == ["failed", "passed", "passed", "passed"]
    assert last(whole)["counts"] == {"passed": 2, "flaky": 1}
    cases = [case for each in JUnitXml.fromfile(str(whole / "junit.xml")) for case in each]
    assert len(cases) == 3


def test_runs_that_do_not_belong_together_are_refused(suite):
    suite.write(a=['I leave the note "a"'])
    suite.ran()
    first = suite.run
    done, _ = merged(suite, first, first)
    assert done.returncode == 2
    assert "twice" in done.stderr
    other = suite.folder / "other"
    shutil.copytree(first, other)
    done, _ = merged(suite, first, other)
    assert done.returncode == 2
    assert "a copy of it" in done.stderr
    log = other / "events.jsonl"
    text = log.read_text().replace(
        '"environment": {', '"environment": {"image": {"sha256": "ff"}, '
    )
    text = text.replace(f'"run_id": "{events(first)[0]["run_id"]}"', '"run_id": "another"')
    log.write_text(text, encoding="utf-8")
    done, _ = merged(suite, first, other)
    assert done.returncode == 2
    assert "same image" in done.stderr
    assert tailstest("run", "--shard", "3/2", cwd=suite.folder).returncode == 2


def test_trouble_behind_the_last_scenario_of_a_part_is_trouble_of_the_whole(suite):
    suite.write("f1", a=['I leave the note "a"'])
    suite.write("f2", b=['I leave the note "b"'])
    hook = "def after_all(context):\n    assert 'b' not in context.names, 'a leak'\n"
    names = "def before_all(context):\n    context.names = set()\n"
    each = "def after_scenario(context, scenario):\n    context.names.add(scenario.name)\n"
    (suite.folder / "environment.py").write_text(names + each + hook, encoding="utf-8")
    runs, codes = [], []
    for number in (1, 2):
        done = suite.ran("--shard", f"{number}/2")
        codes.append(done.returncode)
        runs.append(suite.run)
    assert sorted(codes) == [0, 1]
    bad = runs[codes.index(1)]
    assert "after_all" in str(list(last(bad)["trouble"]))
    errors = [
        case.name
        for each in JUnitXml.fromfile(str(bad / "junit.xml"))
        for case in each
        if not case.is_passed
    ]
    assert errors == ["after_all (1): failed"]
    done, whole = merged(suite, *runs)
    assert done.returncode == 1, done.stdout + done.stderr
    assert last(whole)["exit_status"] == 1
    assert last(whole)["counts"] == {"passed": 2}
    shown = tailstest("report", whole, cwd=suite.folder)
    assert shown.returncode in (0, 1)
