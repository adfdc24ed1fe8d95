"""The gate's answer as Markdown, for a comment on a merge request (GitLab, GitHub)."""

from __future__ import annotations

import re

from tailstest.results.gate.shown import run_words
from tailstest.results.gate.verdict import Finding, GateResult, RuleResult
from tailstest.results.shown import one_line

#: A note on GitLab holds 1,000,000 characters; nobody reads more than this.
MAX_LISTED = 50
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#+!|~$^-]")


def gate_markdown(result: GateResult) -> str:
    """Return the answer; texts of tests can neither mention people nor become markup or links."""
    case = result.case
    lines = [f"## {'✅' if result.passed else '❌'} {_text(result.headline)}", ""]
    if case.policy.title:
        lines += [_text(case.policy.title), ""]
    lines += [f"* run {_text(run_words(run))}" for run in case.runs]
    if case.baseline:
        lines.append(f"* baseline {_text(run_words(case.baseline))}")
    counts = ", ".join(f"{number} {standing.value}" for standing, number in result.counts.items())
    lines += [f"* {counts}", *(f"* note: {_text(note)}" for note in result.notes), ""]
    lines += ["| | rule | |", "|---|---|---|"]
    for rule in result.rules:
        sign = "✅" if rule.passed else "❌"
        lines.append(f"| {sign} | {_text(rule.title)} | {_text(rule.summary)} |")
    for rule in result.rules:
        lines += _findings(rule)
    if result.requirements:
        lines += ["", "<details><summary>Requirements and their evidence</summary>", ""]
        lines += ["| | requirement | evidence |", "|---|---|---|"]
        for each in result.requirements:
            sign = "❌" if each.trouble else "✅"
            shown = [f"{one.scenario.title} in {one.run}" for one in each.evidence[:5]]
            said = each.trouble or "; ".join(shown)
            lines.append(f"| {sign} | {_text(f'{each.id} {each.text}')} | {_text(said)} |")
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _findings(rule: RuleResult) -> list[str]:
    if not rule.findings:
        return []
    blocking = [finding for finding in rule.findings if finding.blocks]
    others = [finding for finding in rule.findings if not finding.blocks]
    lines = ["", f"### {_text(rule.title)}", ""] if blocking else []
    lines += [_line(finding) for finding in blocking[:MAX_LISTED]]
    if len(blocking) > MAX_LISTED:
        lines.append(f"* … and {len(blocking) - MAX_LISTED} more")
    if others:
        verb = "does" if len(others) == 1 else "do"
        title = f"{_text(rule.title)}: {len(others)} that {verb} not block"
        lines += ["", f"<details><summary>{title}</summary>", ""]
        lines += [_line(finding) for finding in others[:MAX_LISTED]]
        lines += ["", "</details>"]
    return lines


def _line(finding: Finding) -> str:
    standing = f"{finding.standing.value}: " if finding.standing else ""
    return f"* **{_text(finding.subject)}** – {standing}{_text(finding.text)}"


def _text(text: str) -> str:
    plain = one_line(text, 300).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # An entity is no mention and no address to either of them.
    plain = plain.replace("@", "&#64;").replace("://", "&#58;//")
    return _SPECIAL.sub(lambda found: "\\" + found.group(), plain).replace("&\\#", "&#")
