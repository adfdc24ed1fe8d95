"""Which scenarios a trial is about, and where they stand in a suite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.results.run_record import AttemptRecord, Run
from tailstest.results.suspect import Suspect
from tailstest.results.suspect_rules import suspicion_of
from tailstest.suite.feature_reader import PlannedScenario, feature_files, read_features
from tailstest.suite.plan import make_plan
from tailstest.suite.trials.outcome import Outcome, Trial, outcome_of


def wanted_scenarios(
    paths: Sequence[str], *, tags: str = "", name: str = ""
) -> tuple[Path, list[PlannedScenario]]:
    """Return the suite's folder, and the scenarios that a program can do.

    Raises:
        UsageError: a path or the selection is wrong, a scenario cannot run, or a person must do it.
    """
    plan = make_plan(paths, tags=tags, name=name)
    found = [scenario for scenario in plan.scenarios if not scenario.is_manual]
    if not found:
        raise UsageError(
            "all of these scenarios are done by a person", hint="choose some that a program can do"
        )
    undefined = [str(step) for each in found for step in plan.undefined.get(each.id, ())]
    problems = [*plan.broken_files, *dict.fromkeys(undefined)]
    if problems:
        raise UsageError("\n".join(problems), hint="mend the suite first: tailstest lint")
    return plan.suite.root, found


def places_of(suite: Path, ids: Iterable[str]) -> dict[str, str]:
    """Return where scenarios stand in a suite, FILE:LINE with whole paths; without those it lacks.

    Only feature files are read: another version of a suite may have steps that this program must
    not load beside its own.
    """
    wanted = set(ids)
    files = {(suite / each.partition("#")[0]).resolve() for each in wanted}
    there = sorted(
        file for file in files if file.is_relative_to(suite.resolve()) and file.is_file()
    )
    if not there:
        return {}
    read = read_features(feature_files(there), suite)
    return {
        each.id: f"{suite / each.feature_file}:{each.line}"
        for each in read.scenarios
        if each.id in wanted
    }


def trial_of(run: Run | None, ids: Sequence[str], said: str) -> Trial:
    """Return what the first attempts at some scenarios of a run say together.

    Args:
        run: None when it did not begin.
        said: what it printed last, which is the reason then.
    """
    if run is None:
        return Trial(Outcome.UNCLEAR, said)
    told = []
    seconds = 0.0
    for key in ids:
        scenario = run.scenario(key)
        attempt = scenario.attempts[0] if scenario and scenario.attempts else None
        if attempt is None:
            missing = f"{key} did not run: {_why_not(run, key)}"
            return Trial(Outcome.UNCLEAR, missing)
        seconds += attempt.seconds
        told.append((attempt.verdict, _suspect(attempt), attempt.reason))
    trial = outcome_of(told)
    return Trial(trial.outcome, trial.reason, seconds)


def _suspect(attempt: AttemptRecord) -> Suspect | None:
    found = suspicion_of(attempt)
    return found.suspect if found else None


def _why_not(run: Run, key: str) -> str:
    left_out = [each.get("reason", "") for each in run.excluded if each.get("id") == key]
    return next(iter(left_out), "") or next(iter(run.problems), "") or "it is not in the plan"
