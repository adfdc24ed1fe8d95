"""What one attempt becomes in the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert

from tailstest.core.verdict import Verdict
from tailstest.results.excuses import tags_of_references
from tailstest.results.run_record import AttemptRecord, ScenarioRecord, StepRecord
from tailstest.results.store.kept_texts import KeptTexts, storable
from tailstest.results.store.tables import (
    CODES,
    SUSPECT_CODES,
    artifacts,
    attempt_machines,
    attempts,
    steps,
)
from tailstest.results.suspect import Suspect
from tailstest.results.suspect_rules import suspicion_of

#: Characters of the path of an artifact, and artifacts of one attempt.
MAX_PATH = 1_000
MAX_ARTIFACTS = 2_000


@dataclass
class AttemptRows:
    """Rows of several attempts, written together.

    Args:
        run: number of the run.
    """

    run: int
    attempts: list[dict[str, Any]] = field(default_factory=list)
    machines: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    _numbers: list[tuple[int, int]] = field(default_factory=list)

    def add_planned(
        self, number: int, tags: list[str], verdict: Verdict = Verdict.NOT_RUN, cause: str = ""
    ) -> None:
        """Add a scenario that was planned and has not begun, or was left out."""
        self.attempts.append(self._attempt(number, 1, verdict, 0.0, cause, tags, None))

    def add(self, number: int, scenario: ScenarioRecord, attempt: AttemptRecord) -> None:
        """Add an attempt at a scenario that has a number in the store."""
        # Attempts that look alike are equal; which one it is decides here.
        which = 1 + next(n for n, each in enumerate(scenario.attempts) if each is attempt)
        own = {"run": self.run, "scenario": number, "number": which}
        tags = [*scenario.tags, *tags_of_references(attempt)]
        # Of a manual one only what was told: what it would need to be automated.
        cause = attempt.error if attempt.verdict is Verdict.MANUAL else attempt.reason
        suspected = suspicion_of(attempt) if attempt.is_finished or attempt.reason else None
        suspect = suspected.suspect if suspected else None
        self.attempts.append(
            self._attempt(number, which, attempt.verdict, attempt.seconds, cause, tags, suspect)
        )
        self._numbers.append((number, which))
        self.machines += [
            {**own, "machine": storable(each, 60)} for each in dict.fromkeys(attempt.machines)
        ]
        for step in attempt.steps:
            if step.verdict is not Verdict.NOT_RUN:
                self.steps.append(
                    {
                        **own,
                        "position": step.index,
                        "text": step.title,
                        "verdict": CODES[step.verdict],
                        "seconds": step.seconds,
                        "score": weakest_score(step),
                    }
                )
        for artifact in attempt.artifacts[:MAX_ARTIFACTS]:
            self.artifacts.append(
                {
                    **own,
                    "kind": storable(artifact.kind, 40)[:40],
                    "path": storable(artifact.path, MAX_PATH),
                    "title": storable(artifact.title),
                }
            )

    def write(self, connection: Connection, texts: KeptTexts) -> None:
        """Write the rows instead of those that the attempts had before."""
        causes = texts.causes(connection, {row["cause"] for row in self.attempts if row["cause"]})
        tags = texts.tags(connection, {row["tags"] for row in self.attempts})
        kept = texts.steps(connection, {row["text"] for row in self.steps})
        for row in self.attempts:
            row["cause"] = causes[row["cause"]] if row["cause"] else None
            row["tags"] = tags[row["tags"]]
        for row in self.steps:
            row["text"] = kept[row["text"]]
        for number, which in self._numbers:
            for table in (attempt_machines, steps, artifacts, attempts):
                connection.execute(
                    delete(table).where(
                        table.c.run == self.run,
                        table.c.scenario == number,
                        table.c.number == which,
                    )
                )
        for table, rows in (
            (attempts, self.attempts),
            (attempt_machines, self.machines),
            (steps, self.steps),
            (artifacts, self.artifacts),
        ):
            if rows:
                connection.execute(insert(table), rows)

    def _attempt(
        self,
        number: int,
        which: int,
        verdict: Verdict,
        seconds: float,
        cause: str,
        tags: list[str],
        suspect: Suspect | None,
    ) -> dict[str, Any]:
        return {
            "run": self.run,
            "scenario": number,
            "number": which,
            "verdict": CODES[verdict],
            "seconds": seconds,
            "cause": cause,
            "tags": " ".join(sorted(set(tags))),
            "suspect": None if suspect is None else SUSPECT_CODES[suspect],
        }


def weakest_score(step: StepRecord) -> float | None:
    """Return the weakest match that a step made, 0 to 1; None where it matched nothing."""
    return min((score for look in step.looks for score in _scores(look.look)), default=None)


def _scores(look: Mapping[str, Any]) -> list[float]:
    found: list[Any] = [look.get("score")]
    areas = look.get("areas")
    for area in areas if isinstance(areas, list) else []:
        scores = area.get("scores") if isinstance(area, Mapping) else None
        found.append(scores.get("correlation") if isinstance(scores, Mapping) else None)
    return [float(one) for one in found if isinstance(one, (int, float)) and math.isfinite(one)]
