"""The rules of the gate about what was shown: features on machines, requirements by evidence."""

from __future__ import annotations

from tailstest.core.verdict import Verdict
from tailstest.results.gate.case import Case, Item
from tailstest.results.gate.policy import Choice, Requirement
from tailstest.results.gate.verdict import Evidence, Finding, RequirementResult, RuleResult
from tailstest.results.standing import Standing
from tailstest.results.wording import plural

#: Kinds of machines are written in any order and with any blanks.
_ENOUGH = (Standing.PASSED, Standing.KNOWN, Standing.SKIPPED)


def features_covered(case: Case) -> RuleResult:
    """Each required feature passed on each required machine, in at least one scenario."""
    found = []
    wanted = 0
    for need in case.policy.coverage:
        by_feature: dict[str, list[Item]] = {}
        for item in case.choose(need):
            by_feature.setdefault(item.feature_file, []).append(item)
        if not by_feature:
            wanted += len(need.machines)
            found.append(Finding(True, _words(need), "no scenario of the runs is meant by that"))
        for feature, items in by_feature.items():
            seen = {_machine(each) for item in items for each in item.passed_on}
            for machine in need.machines:
                wanted += 1
                if _machine(machine) not in seen:
                    text = f"nothing of it passed on {machine}"
                    found.append(Finding(True, feature, text))
    summary = f"{wanted - len(found)} of {wanted} pairs of feature and machine"
    title = "Required features passed on the required machines"
    return RuleResult("coverage", title, summary, tuple(found))


def requirements_met(case: Case) -> tuple[RuleResult, tuple[RequirementResult, ...]]:
    """Each requirement has evidence, and none of its scenarios speaks against it."""
    results = tuple(_requirement(case, each) for each in case.policy.requirement)
    found = tuple(
        Finding(True, f"{each.id} {each.text}".strip(), each.trouble)
        for each in results
        if each.trouble
    )
    summary = f"{len(results) - len(found)} of {plural(len(results), 'requirement')} met"
    return RuleResult("requirements", "Requirements have evidence", summary, found), results


def _requirement(case: Case, wanted: Requirement) -> RequirementResult:
    items = case.choose(wanted)
    runs = {run.id: run for run in case.runs}
    evidence = []
    for item in items:
        if item.standing is Standing.PASSED:
            last = [each for each in item.attempts if each.verdict is Verdict.PASSED][-1]
            run = runs[last.run]
            evidence.append(
                Evidence(item.scenario, run.run_id, last.machines, last.person, run.folder)
            )
    against = [item for item in items if item.standing not in _ENOUGH]
    if not items:
        trouble = "no scenario of the runs is meant to show it"
    elif against:
        first = against[0]
        trouble = f"{first.scenario.title} is {first.standing.value}"
        if len(against) > 1:
            trouble += f", and {len(against) - 1} more did not pass"
    else:
        trouble = "" if evidence else "no scenario passed that shows it"
    return RequirementResult(wanted.id, wanted.text, tuple(evidence), trouble)


def _machine(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


def _words(need: Choice) -> str:
    parts = [*need.features, *(f"@{tag.removeprefix('@')}" for tag in need.tags), *need.scenarios]
    return ", ".join(parts)
