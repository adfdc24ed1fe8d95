"""May this image be released? Each rule, red and green."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from results_sample import HOSTILE
from rich.console import Console
from store_tools import START, made_run, open_store

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.gate.judging import judge_runs
from tailstest.results.gate.markdown import gate_markdown
from tailstest.results.gate.page import gate_page
from tailstest.results.gate.policy import load_policy
from tailstest.results.gate.shown import show_gate
from tailstest.results.gate.verdict import Finding, GateResult
from tailstest.results.standing import Standing
from tailstest.results.store.adding import add_run
from tailstest.results.store.by_hand import record_by_hand
from tailstest.results.store.engine import Store
from tailstest.results.store.marking import mark_release
from tailstest.results.store.reading import find_run, find_scenario
from tailstest.results.store.run_rows import CHANGED

TODAY = datetime.date(2026, 9, 30)
Verdicts = Mapping[str, str | Sequence[str]]


class Gate:
    """A store with a release, and a policy file."""

    def __init__(self, folder: Path, release: Verdicts | None = None, **more: object) -> None:
        self.store: Store = open_store(folder)
        self.file = folder / "policy.toml"
        if release is not None:
            add_run(self.store, made_run(1, release, image="a", **more))  # type: ignore[arg-type]
            with self.store.reading() as connection:
                run = find_run(connection, "run-1")
            mark_release(self.store, run, "6.2")

    def run(self, number: int, verdicts: Verdicts, **more: object) -> None:
        add_run(self.store, made_run(number, verdicts, **{"image": "b", **more}))  # type: ignore[arg-type]

    def judge(self, policy: str = "", *runs: str, today: datetime.date = TODAY) -> GateResult:
        """Judge by a policy; unless it says otherwise, a part of what was released is enough."""
        if "[planned]" not in policy:
            policy += "\n[planned]\ncomplete = false\n"
        self.file.write_text(policy, encoding="utf-8")
        return judge_runs(self.store, load_policy(self.file), runs or ("latest",), today)


def blocking(result: GateResult) -> dict[str, list[str]]:
    """Return rule to the subjects that block."""
    return {
        rule.name: [finding.subject for finding in rule.findings if finding.blocks]
        for rule in result.rules
        if not rule.passed
    }


def finding(result: GateResult, rule: str, subject: str) -> Finding:
    (found,) = [
        one
        for each in result.rules
        if each.name == rule
        for one in each.findings
        if one.subject == subject
    ]
    return found


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path, {"a": "passed", "old": "failed"})


def test_a_run_without_trouble_passes(gate: Gate) -> None:
    gate.run(2, {"a": "passed", "old": "passed", "new": "passed"})
    result = gate.judge()
    assert result.passed and blocking(result) == {}
    assert result.headline == "May be released: every rule is kept"
    assert result.case.baseline is not None and result.case.baseline.release == "6.2"


def test_new_failures_block_and_old_ones_do_not(gate: Gate) -> None:
    gate.run(2, {"a": "failed", "old": "failed", "new": "errored"})
    result = gate.judge()
    assert blocking(result) == {"failures": ["a", "new"]}
    assert finding(result, "failures", "a").text == "passed in release 6.2: not seen"
    assert finding(result, "failures", "old").text == "failed in release 6.2 already: not seen"
    assert finding(result, "failures", "new").text == "new: not seen"


def test_a_new_failure_that_is_tagged_as_harmless_does_not_block(gate: Gate) -> None:
    gate.run(2, {"a": "failed"}, tags={"a": ["not_release_blocker"]})
    result = gate.judge()
    assert result.passed
    assert "no reason to wait" in finding(result, "failures", "a").text
    assert blocking(gate.judge("[failures]\nharmless_tags = []\n")) == {"failures": ["a"]}


def test_without_a_release_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    gate.run(2, {"a": "passed"})
    assert blocking(gate.judge()) == {"failures": ["baseline"]}
    assert gate.judge("[baseline]\nrequired = false\n").passed


def test_a_release_after_the_run_is_no_baseline(gate: Gate) -> None:
    gate.run(0, {"a": "passed"})
    result = gate.judge("", "run-0")
    assert result.case.baseline is None


def test_c15_what_was_planned_needs_a_result(gate: Gate) -> None:
    gate.run(2, {"a": "incomplete", "b": "planned", "c": "skipped", "d": ["incomplete", "passed"]})
    assert blocking(gate.judge()) == {"results": ["a", "b"]}
    excuse = '[[excuse]]\nscenario = "{}"\nbug = "host#7"\nuntil = 2026-10-31\n'
    both = excuse.format("a") + excuse.format("features/b.feature#b")
    assert gate.judge(both).passed
    assert "host#7 until 2026-10-31" in finding(gate.judge(both), "results", "b").text


def test_c17_excuses_end_and_must_be_needed(gate: Gate) -> None:
    gate.run(2, {"a": "failed"})
    excuse = '[[excuse]]\nscenario = "a"\nbug = "B#1"\nuntil = 2026-10-31\n'
    assert gate.judge(excuse).passed
    assert gate.judge(excuse).counts == {Standing.KNOWN: 1}
    late = gate.judge(excuse, today=datetime.date(2026, 11, 1))
    assert blocking(late) == {"excuses": ["a"]}
    assert "until 2026-10-31 only" in finding(late, "excuses", "a").text
    gate.run(3, {"a": "passed"})
    needless = gate.judge(excuse)
    assert blocking(needless) == {"excuses": ["a"]}
    assert "it passes, although" in finding(needless, "excuses", "a").text


def test_an_ended_excuse_blocks_even_what_failed_in_the_release(gate: Gate) -> None:
    gate.run(2, {"old": "failed"}, tags={"old": ["known:B#1:2026-09-01"]})
    assert blocking(gate.judge()) == {"excuses": ["old"]}


def test_a_tag_without_a_day_excuses_nothing(gate: Gate) -> None:
    gate.run(2, {"a": "failed"}, tags={"a": ["known:B#1"]})
    result = gate.judge()
    assert blocking(result) == {"excuses": ["a"]}
    assert "YEAR-MONTH-DAY" in finding(result, "excuses", "a").text


@pytest.mark.parametrize(
    "policy",
    [
        '[[excuse]]\nscenario = "gone"\nbug = "B"\nuntil = 2026-12-31\n',
        '[[coverage]]\nscenarios = ["gone"]\nmachines = ["bios dvd"]\n',
        '[[requirement]]\nid = "R"\nscenarios = ["gone"]\n',
    ],
)
def test_a_policy_with_an_unknown_scenario_is_an_error(gate: Gate, policy: str) -> None:
    gate.run(2, {"gong": "passed"})
    with pytest.raises(UsageError, match='names the scenario "gone"') as error:
        gate.judge(policy)
    assert "gong" in error.value.hint


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("[failuers]\n", "unknown key"),
        ("[flakes]\nbudget = -1\n", "flakes.budget"),
        ('[[excuse]]\nscenario = "a"\nbug = "B"\n', "until"),
        ('[[coverage]]\nmachines = ["bios dvd"]\n', "features, tags or scenarios"),
        ('[[requirement]]\nid = "R"\ntags = ["x"]\n' * 2, "same id"),
        ('[baseline]\nrelease = "6.2"\nrun = "x"\n', "not both"),
        ("title = [", "not valid TOML"),
    ],
)
def test_a_policy_that_is_wrong_is_named_with_its_key(gate: Gate, policy: str, words: str) -> None:
    gate.run(2, {"a": "passed"})
    with pytest.raises(UsageError, match=re.escape(words)) as error:
        gate.judge(policy)
    assert str(gate.file) in error.value.message


def test_a_release_that_is_no_release_is_an_error(gate: Gate) -> None:
    gate.run(2, {"a": "passed"})
    for name in ("6.1", "run-2"):
        with pytest.raises(UsageError):
            gate.judge(f'[baseline]\nrelease = "{name}"\n')


def test_c15_what_the_release_was_tested_with_must_be_planned_again(gate: Gate) -> None:
    gate.run(2, {"a": "passed"})
    strict = "[planned]\ncomplete = true\n"
    result = gate.judge(strict)
    assert blocking(result) == {"planned": ["old"]}
    assert "not planned" in finding(result, "planned", "old").text
    gate.file.write_text("", encoding="utf-8")  # which is what no policy means, too
    assert not judge_runs(gate.store, load_policy(gate.file), ("latest",), TODAY).passed
    allowed = gate.judge()
    assert allowed.passed and finding(allowed, "planned", "old").blocks is False
    gate.run(3, {"old": "failed"})  # the other part of it
    assert gate.judge(strict, "run-2", "run-3").passed


def test_what_was_removed_on_purpose_is_named_in_the_policy(gate: Gate) -> None:
    gate.run(2, {"a": "passed"})
    with gate.store.reading() as connection:
        key = find_scenario(connection, "old").key
    policy = f'[planned]\nremoved = ["{key[:-1]}?", "features/never/*"]\n'
    result = gate.judge(policy)
    assert result.passed
    assert "removed" in finding(result, "planned", "old").text
    assert "nothing of that name" in finding(result, "planned", "features/never/*").text


def test_what_is_tagged_as_blocking_must_have_passed_whatever_excuses_it(tmp_path: Path) -> None:
    tags = {"a": ["release_blocking", "known:B:2026-12-31"], "gone": ["release_blocking"]}
    gate = Gate(tmp_path, {"a": "failed", "gone": "passed"}, tags=tags)
    gate.run(2, {"a": "failed"}, tags=tags)
    assert blocking(gate.judge()) == {"blocking": ["a", "gone"]}
    gate.run(3, {"a": "passed", "gone": "passed"}, tags={"gone": ["release_blocking"]})
    assert gate.judge().passed


def test_manual_scenarios_are_counted_and_must_be_done(tmp_path: Path) -> None:
    tags = {"hand": ["manual"], "dropped": ["manual"]}
    gate = Gate(tmp_path, {"hand": "passed", "dropped": "passed"}, tags=tags)
    gate.run(2, {"hand": "manual", "a": "passed"}, tags=tags)
    result = gate.judge()
    assert blocking(result) == {"manual": ["hand", "dropped"]}
    assert result.counts == {Standing.PASSED: 1, Standing.MANUAL: 1}
    gate.run(3, {"hand": "manual", "dropped": "manual"}, tags=tags)
    with gate.store.reading() as connection:
        run = find_run(connection, "run-3").id
        hand, dropped = (find_scenario(connection, name).id for name in ("hand", "dropped"))
    record_by_hand(gate.store, run, hand, Verdict.PASSED, person="Ana", note="")
    record_by_hand(gate.store, run, dropped, Verdict.FAILED, person="Ana", note="silent")
    assert blocking(gate.judge()) == {"failures": ["dropped"]}
    record_by_hand(gate.store, run, dropped, Verdict.PASSED, person="Ana", note="was muted")
    assert gate.judge().passed


def test_what_a_manual_scenario_needs_to_be_automated_is_told_by_the_gate(tmp_path: Path) -> None:
    tags = {"hand": ["manual"], "other": ["manual"]}
    gate = Gate(tmp_path, {"hand": "passed", "other": "passed"}, tags=tags)
    run = made_run(2, {"hand": "manual", "other": "manual"}, image="b", tags=tags)
    run.scenarios[0].attempts[0].error = "to be done by a person; to automate it: an ear"
    add_run(gate.store, run)
    result = gate.judge()
    assert "to automate it: an ear" in finding(result, "manual", "hand").text
    assert finding(result, "manual", "other").text == "nobody has told what came of it"


def test_the_budget_of_flakes(gate: Gate) -> None:
    gate.run(2, {"a": ["failed", "passed"], "b": "passed"})
    assert blocking(gate.judge()) == {"flakes": ["a"]}
    assert gate.judge("[flakes]\nbudget = 1\n").passed


def test_repeating_a_failure_in_another_run_is_a_flake_and_no_pass(gate: Gate) -> None:
    gate.run(2, {"a": "failed", "b": "passed"})
    gate.run(3, {"a": "passed"})
    result = gate.judge("", "run-2", "run-3")
    assert result.counts == {Standing.PASSED: 1, Standing.FLAKY: 1}


def test_runs_must_be_whole_and_of_one_image(gate: Gate) -> None:
    gate.run(2, {"a": "passed"})
    gate.run(3, {"a": "passed"}, image="c", is_finished=False, problems=["f.feature:1: broken"])
    result = gate.judge("", "run-2", "run-3")
    assert blocking(result) == {"runs": ["run-3", "run-3", "image"]}


def test_trouble_outside_of_scenarios_blocks_though_all_of_them_passed(gate: Gate) -> None:
    run = made_run(2, {"a": "passed"}, image="b")
    run.trouble["after_all (1)"] = Verdict.FAILED
    assert run.derived_status == 1
    add_run(gate.store, run)
    result = gate.judge()
    assert blocking(result) == {"runs": ["run-2"]}
    assert "after_all" in finding(result, "runs", "run-2").text


COVERAGE = """
[[coverage]]
features = ["features/b*.feature"]
machines = ["bios dvd", "usb UEFI"]
"""


def test_an_image_that_was_changed_for_the_run_is_not_released(gate: Gate) -> None:
    run = made_run(2, {"a": "passed"}, image="b")
    run.environment = {**run.environment, CHANGED: ["/usr/bin/x"]}
    add_run(gate.store, run)
    assert blocking(gate.judge()) == {"runs": ["run-2"]}


def test_required_features_must_have_passed_on_required_machines(gate: Gate) -> None:
    machines = {"b one": ["bios dvd"], "b two": ["uefi usb"]}
    gate.run(2, {"b one": "passed", "b two": "passed"}, machines=machines)
    assert gate.judge(COVERAGE).passed
    gate.run(3, {"b one": "passed", "b two": "skipped"}, machines=machines)
    result = gate.judge(COVERAGE)
    assert blocking(result) == {"coverage": ["features/b.feature"]}
    (found,) = [rule for rule in result.rules if rule.name == "coverage"]
    assert found.summary == "1 of 2 pairs of feature and machine"
    assert gate.judge(COVERAGE, "run-3", "run-2").passed  # together they show it
    gate.run(4, {"a": "passed"})
    assert blocking(gate.judge(COVERAGE)) == {"coverage": ["features/b*.feature"]}


REQUIREMENTS = """
[[requirement]]
id = "R1"
text = "It starts"
tags = ["@boot"]
[[requirement]]
id = "R2"
scenarios = ["b"]
"""


def test_requirements_need_evidence_and_nothing_against_them(gate: Gate) -> None:
    tags = {"a": ["boot"], "a2": ["boot"]}
    machines = {"a": ["bios dvd"]}
    gate.run(2, {"a": "passed", "a2": "skipped", "b": "passed"}, tags=tags, machines=machines)
    result = gate.judge(REQUIREMENTS)
    assert result.passed
    first = result.requirements[0]
    assert [(e.scenario.name, e.run, e.machines) for e in first.evidence] == [
        ("a", "run-2", ("bios dvd",))
    ]
    gate.run(3, {"a": "passed", "a2": "failed", "b": "skipped"}, tags=tags)
    result = gate.judge(REQUIREMENTS)
    assert blocking(result)["requirements"] == ["R1 It starts", "R2"]
    assert [each.trouble for each in result.requirements] == [
        "a2 is failed",
        "no scenario passed that shows it",
    ]


def test_a_clock_that_was_put_back_revives_no_excuse(gate: Gate) -> None:
    gate.run(2, {"a": "failed"}, tags={"a": ["known:B:2026-09-25"]})
    assert datetime.date.fromtimestamp(START + 7200) < datetime.date(2026, 9, 25)
    assert gate.judge(today=datetime.date(2026, 9, 25)).passed
    late = START + 30 * 86_400
    gate.run(3, {"a": "failed"}, tags={"a": ["known:B:2026-09-25"]}, started=late)
    result = gate.judge(today=datetime.date(1970, 1, 1))
    assert blocking(result) == {"excuses": ["a"]}
    assert "clocks differ" in result.notes[0]


def test_names_in_any_script_and_hostile_ones_do_no_harm(gate: Gate) -> None:
    names = ["キーボード", "Démarrage | `x` @all", HOSTILE]
    gate.run(2, dict.fromkeys(names, "failed"), problems=[HOSTILE])
    result = gate.judge()
    assert len(blocking(result)["failures"]) == 3
    markdown = gate_markdown(result)
    assert "<script>" not in markdown and "@all" not in markdown and "\x1b" not in markdown
    assert "キーボード" in markdown
    page = gate_page(result)
    assert "<script>document" not in page and "キーボード" in page and "\u202e" not in page
    console = Console(record=True, width=200, markup=False, highlight=False)
    with console.capture() as captured:
        show_gate(console, result)
    assert "\x1b[31m\x00" not in captured.get() and "キーボード" in captured.get()
    assert json.loads(json.dumps(result.to_json()))["passed"] is False


def test_markdown_says_what_the_gate_says(gate: Gate) -> None:
    gate.run(2, {"a": "failed", "old": "failed"})
    text = gate_markdown(gate.judge('title = "Release 6.3"\n'))
    assert text.startswith("## ❌ Must not be released: 1 reason")
    assert "**a** – failed: passed in release 6.2: not seen" in text
    assert "1 that does not block" in text
    gate.run(3, {"a": "passed"})
    assert gate_markdown(gate.judge()).startswith("## ✅ May be released")
