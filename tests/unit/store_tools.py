"""Made-up runs for the store, written as real ones are read from their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.run_record import AttemptRecord, Run, ScenarioRecord, StepRecord
from tailstest.results.store.address import needed_address
from tailstest.results.store.engine import Store

START = 1_790_000_000.0
HOUR = 3600.0


def open_store(folder: Path, **options: object) -> Store:
    return Store(needed_address(Settings(), str(folder / "store.sqlite3")), **options)  # type: ignore[arg-type]


def made_run(
    number: int,
    verdicts: Mapping[str, str | Sequence[str]],
    *,
    image: str = "",
    tags: Mapping[str, Sequence[str]] | None = None,
    machines: Mapping[str, Sequence[str]] | None = None,
    seconds: Mapping[str, float] | None = None,
    is_finished: bool = True,
    problems: Sequence[str] = (),
    started: float | None = None,
) -> Run:
    """Return a run; a verdict is that of one attempt, several are those of several.

    "planned" stands for a scenario that never began. `machines` has one kind for each attempt.
    """
    begun = START + number * HOUR if started is None else started
    run = Run(run_id=f"run-{number}", started=begun, ended=begun + 60, is_finished=is_finished)
    run.command = ["tailstest", "run"]
    run.problems = list(problems)
    run.reported_status = 0
    if image:
        run.environment = {"image": {"name": "demo", "sha256": image * 64}, "hostname": ""}
    for name, told in verdicts.items():
        scenario = run.add(
            ScenarioRecord(
                id=f"features/{name[0]}.feature#{name}",
                name=name,
                feature=f"Feature {name[0]}",
                feature_file=f"features/{name[0]}.feature",
                location=f"features/{name[0]}.feature:3",
                tags=list((tags or {}).get(name, [])),
            )
        )
        each = [told] if isinstance(told, str) else list(told)
        for place, verdict in enumerate(each if each != ["planned"] else []):
            bad = verdict in ("failed", "errored", "incomplete")
            step = StepRecord(
                0, "it works", "Then", verdict=Verdict(verdict), error="not seen" if bad else ""
            )
            attempt = AttemptRecord(begun, [step], Verdict(verdict), is_finished=True)
            attempt.seconds = (seconds or {}).get(name, 5.0)
            kinds = (machines or {}).get(name, [])
            attempt.machines = [kinds[place]] if kinds else []
            scenario.attempts.append(attempt)
    return run
