"""What a gate answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tailstest.results.gate.case import Case
from tailstest.results.standing import Standing
from tailstest.results.store.reading import ScenarioInfo


@dataclass(frozen=True)
class Finding:
    """One thing that a rule looked at and that is not simply right.

    Attributes:
        blocks: whether it alone is a reason not to release.
        text: why it blocks, or why it does not.
        subject: what it is about: a scenario's name, a requirement, a run.
        scenario: None when it is about something else.
        standing: of the scenario; None when it is about something else.
    """

    blocks: bool
    subject: str
    text: str
    scenario: ScenarioInfo | None = None
    standing: Standing | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "blocks": self.blocks,
            "subject": self.subject,
            "text": self.text,
            "scenario": self.scenario.key if self.scenario else None,
            "location": self.scenario.location if self.scenario else None,
            "verdict": self.standing.value if self.standing else None,
        }


@dataclass(frozen=True)
class RuleResult:
    """What one rule says; `summary` is one sentence also when nothing was found."""

    name: str
    title: str
    summary: str
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing of it blocks."""
        return not any(finding.blocks for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "rule": self.name,
            "passed": self.passed,
            "summary": self.summary,
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class Evidence:
    """What shows that a requirement is met: who or which run, on which machine."""

    scenario: ScenarioInfo
    run: str
    machines: tuple[str, ...]
    person: str
    folder: str


@dataclass(frozen=True)
class RequirementResult:
    """A requirement with its evidence; `trouble` is "" when it is met."""

    id: str
    text: str
    evidence: tuple[Evidence, ...]
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "id": self.id,
            "text": self.text,
            "met": not self.trouble,
            "trouble": self.trouble,
            "evidence": [
                {
                    "scenario": each.scenario.key,
                    "run": each.run,
                    "machines": list(each.machines),
                    "by": each.person,
                    "folder": each.folder,
                }
                for each in self.evidence
            ],
        }


@dataclass(frozen=True)
class GateResult:
    """The whole answer."""

    case: Case
    rules: tuple[RuleResult, ...]
    requirements: tuple[RequirementResult, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether the image may be released."""
        return all(rule.passed for rule in self.rules)

    @property
    def counts(self) -> dict[Standing, int]:
        """How many scenarios have which standing; those that none has are left out."""
        counted = Counter(item.standing for item in self.case.items)
        return {standing: counted[standing] for standing in Standing if counted[standing]}

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        if self.passed:
            return "May be released: every rule is kept"
        broken = [rule for rule in self.rules if not rule.passed]
        number = sum(finding.blocks for rule in broken for finding in rule.findings)
        reasons = "1 reason" if number == 1 else f"{number} reasons"
        return f"Must not be released: {reasons}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        case = self.case
        return {
            "passed": self.passed,
            "policy": case.policy.title,
            "day": case.today.isoformat(),
            "runs": [run.to_json() for run in case.runs],
            "baseline": case.baseline.to_json() if case.baseline else None,
            "counts": {standing.value: number for standing, number in self.counts.items()},
            "rules": [rule.to_json() for rule in self.rules],
            "requirements": [each.to_json() for each in self.requirements],
            "notes": list(self.notes),
        }
