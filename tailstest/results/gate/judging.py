"""May this image be released?"""

from __future__ import annotations

import datetime

from tailstest.results.gate.case import gather
from tailstest.results.gate.coverage import features_covered, requirements_met
from tailstest.results.gate.policy import Policy
from tailstest.results.gate.rules import (
    all_planned,
    blocking_resolved,
    excuses_hold,
    flakes_in_budget,
    manual_done,
    no_new_failure,
    results_there,
    whole_runs,
)
from tailstest.results.gate.verdict import GateResult
from tailstest.results.known import day_of
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import find_run


def judge_runs(
    store: Store, policy: Policy, names: tuple[str, ...], today: datetime.date
) -> GateResult:
    """Judge runs of one image by a policy.

    Args:
        names: of the runs; see `find_run`.
        today: decides which excuses have ended. A clock that was put back does not bring them to
            life again: the day is never before that of the newest run.

    Raises:
        UsageError: a run, the baseline or a scenario that the policy names does not exist.
    """
    with store.reading() as connection:
        days = {name: day_of(find_run(connection, name).started) for name in names}
    notes = []
    latest = max(days.values())
    if latest > today:
        notes.append(
            f"a run says it was on {latest}, which is after today ({today}): clocks differ"
        )
        today = latest
    case = gather(store, policy, names, today)
    if not any(run.image_digest for run in case.runs):
        notes.append("the runs name no image under test, so this says nothing of a certain image")
    requirements, shown = requirements_met(case)
    rules = (
        whole_runs(case),
        results_there(case),
        all_planned(case),
        no_new_failure(case),
        blocking_resolved(case),
        excuses_hold(case),
        manual_done(case),
        flakes_in_budget(case),
        features_covered(case),
        requirements,
    )
    return GateResult(case, rules, shown, tuple(notes))
