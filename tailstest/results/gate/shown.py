"""The gate's answer for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tailstest.results.console import STYLES, safe, standing_text
from tailstest.results.gate.verdict import Finding, GateResult, RuleResult
from tailstest.results.store.reading import RunInfo

#: Findings of one rule that are listed; JSON and the page have all.
MAX_LISTED = 30


def show_gate(console: Console, result: GateResult) -> None:
    """Print the answer: the rules, what each found, and the sentence that counts."""
    case = result.case
    if case.policy.title:
        console.print(Text(safe(case.policy.title).plain, "bold"))
    for run in case.runs:
        console.print(f"run       {safe(run_words(run))}", soft_wrap=True)
    if case.baseline:
        console.print(f"baseline  {safe(run_words(case.baseline))}", soft_wrap=True)
    counts = Text()
    for standing, number in result.counts.items():
        counts.append(", " if counts else "")
        counts.append(f"{number} {standing.value}", STYLES[standing])
    console.print(Text("results   ").append(counts))
    for note in result.notes:
        console.print(Text(f"note: {safe(note)}", "yellow"), soft_wrap=True)
    console.print()
    for rule in result.rules:
        _rule(console, rule)
    console.print()
    style = "bold green" if result.passed else "bold red"
    console.print(Text(f"{'✓' if result.passed else '✗'} {result.headline}", style))


def run_words(run: RunInfo) -> str:
    """Return a run with its release and image in one line."""
    release = f" ({run.release})" if run.release else ""
    image = f"{run.image or 'image'} {run.image_digest[:12]}" if run.image_digest else "no image"
    return f"{run.run_id}{release}, {image}"


def _rule(console: Console, rule: RuleResult) -> None:
    sign, style = ("✓", "green") if rule.passed else ("✗", "bold red")
    line = Text().append(f"{sign} ", style).append(rule.title)
    console.print(line.append(f": {rule.summary}", "dim"), soft_wrap=True)
    ordered = sorted(rule.findings, key=lambda finding: not finding.blocks)
    for finding in ordered[:MAX_LISTED]:
        _finding(console, finding)
    if len(ordered) > MAX_LISTED:
        console.print(f"    ... and {len(ordered) - MAX_LISTED} more, see --format json")


def _finding(console: Console, finding: Finding) -> None:
    line = Text("    ")
    line.append("blocks  " if finding.blocks else "   ok   ", "red" if finding.blocks else "dim")
    if finding.standing is not None:
        line.append(standing_text(finding.standing)).append("  ")
    line.append(safe(finding.subject, 100).plain, "bold" if finding.blocks else "")
    line.append(f"  {safe(finding.text, 300)}")
    console.print(line, soft_wrap=True)
