"""The rules of the gate about results; each looks at everything and says why it blocks or not."""

from __future__ import annotations

from fnmatch import fnmatchcase

from tailstest.results.gate.case import MANUAL, Case, Item
from tailstest.results.gate.policy import plain_tags
from tailstest.results.gate.verdict import Finding, RuleResult
from tailstest.results.known import known_bugs
from tailstest.results.standing import BAD, Standing
from tailstest.results.store.tables import PATCHED
from tailstest.results.wording import plural

_MISSING = (Standing.INCOMPLETE, Standing.NOT_RUN)


def whole_runs(case: Case) -> RuleResult:
    """The runs came to their end, nothing in their plans is wrong, and they are of one image."""
    found = []
    for run in case.runs:
        if not run.is_finished:
            found.append(Finding(True, run.run_id, "the run did not come to its end"))
        elif run.interrupted:
            found.append(Finding(True, run.run_id, "the run was interrupted"))
        found += [Finding(True, run.run_id, f"problem: {text}") for text in run.problems]
    found += [
        Finding(True, run.run_id, "its guests were changed with --late-patch")
        for run in case.runs
        if run.image_digest.endswith(PATCHED)
    ]
    images = {run.image_digest: run.image for run in case.runs}
    if len(images) > 1:
        names = ", ".join(f"{name or 'none'} {digest[:12]}" for digest, name in images.items())
        found.append(Finding(True, "image", f"the runs are of different images: {names}"))
    if not case.items:
        found.append(Finding(True, "plan", "no scenario was planned"))
    summary = f"{plural(len(case.runs), 'run')} with {plural(len(case.items), 'scenario')}"
    return RuleResult("runs", "The runs are whole, and of one image", summary, tuple(found))


def results_there(case: Case) -> RuleResult:
    """Whatever was planned has a result; what the suite left out has a reason."""
    found = []
    skipped = 0
    for item in case.items:
        if item.standing in _MISSING:
            why = item.judged.reason or "the run ended before"
            excuse = _excuse(item, case)
            text = f"{why}; {excuse}" if excuse else why
            found.append(_about(item, not excuse, text))
        elif item.standing is Standing.SKIPPED:
            skipped += 1
            found.append(_about(item, False, item.judged.reason or "left out without a reason"))
    missing = sum(item.standing in _MISSING for item in case.items)
    summary = f"{missing} without a result, {skipped} left out with a reason"
    return RuleResult("results", "Every planned scenario has a result", summary, tuple(found))


def all_planned(case: Case) -> RuleResult:
    """What the baseline was tested with was planned again: no part of a suite passes for it."""
    planned = case.policy.planned
    name = case.baseline_name
    # Another rule says of these that they are missing.
    told_elsewhere = plain_tags(case.policy.failures.blocking_tags) | {MANUAL}
    found = []
    used: set[str] = set()
    missing = 0
    for scenario, tags in case.dropped:
        fitting = {each for each in planned.removed if fnmatchcase(scenario.key, each)}
        used |= fitting
        if fitting:
            text = f"in {name}; removed, says the policy"
        elif tags & told_elsewhere:
            continue
        else:
            missing += 1
            text = f"in {name}, and not planned in what is judged"
        blocks = planned.complete and not fitting
        found.append(Finding(blocks, scenario.title, text, scenario))
    found += [
        Finding(False, pattern, "removed, says the policy, but nothing of that name is missing")
        for pattern in planned.removed
        if pattern not in used
    ]
    summary = f"{missing} missing" + (f" of what was in {name}" if name else "")
    title = "What the last release was tested with was planned"
    return RuleResult("planned", title, summary, tuple(found))


def no_new_failure(case: Case) -> RuleResult:
    """Nothing fails that did not fail in the baseline."""
    found = []
    policy = case.policy
    base, name = case.baseline, case.baseline_name
    if base is None and policy.baseline.required:
        text = "there is no release to compare with: tailstest store mark RUN --release NAME"
        found.append(Finding(True, "baseline", text))
    new = old = 0
    for item in case.items:
        if item.standing not in BAD or item.judged.is_outdated:
            continue
        if item.before is not None and item.before.standing in (*BAD, Standing.KNOWN):
            old += 1
            text = f"failed in {name} already: {item.judged.reason}"
            found.append(_about(item, False, text))
            continue
        new += 1
        harmless = item.has_tag(policy.failures.harmless_tags)
        kind = "new" if item.before is None else f"{item.before.standing.value} in {name}"
        text = f"{kind}: {item.judged.reason}"
        if harmless:
            text = f"tagged as no reason to wait; {text}"
        found.append(_about(item, not harmless, text))
    summary = f"{new} new, {old} old"
    summary += f", against {name}" if base else ", without a baseline"
    return RuleResult("failures", "No new failure against the last release", summary, tuple(found))


def blocking_resolved(case: Case) -> RuleResult:
    """Every scenario that is tagged as blocking has passed; an excuse does not help."""
    tags = case.policy.failures.blocking_tags
    meant = [item for item in case.items if item.has_tag(tags)]
    found = [
        _about(item, True, item.judged.reason or f"it is {item.standing.value}")
        for item in meant
        if item.standing is not Standing.PASSED
    ]
    found += [
        Finding(True, scenario.title, "tagged as blocking, and no longer planned", scenario)
        for scenario, its_tags in case.dropped
        if its_tags & plain_tags(tags)
    ]
    summary = f"{len(meant) - len(found)} of {plural(len(meant), 'scenario')} passed"
    return RuleResult("blocking", "What blocks a release has passed", summary, tuple(found))


def manual_done(case: Case) -> RuleResult:
    """What persons have to do is done, and nothing of it was dropped."""
    meant = [item for item in case.items if MANUAL in item.tags]
    must = case.policy.manual.must_be_done
    found = []
    for item in meant:
        if item.standing is Standing.MANUAL:
            told = next((each.cause for each in reversed(item.attempts) if each.cause), "")
            text = "nobody has told what came of it" + (f" ({told})" if told else "")
            found.append(_about(item, must, text))
        elif item.standing is Standing.NOT_RUN:
            found.append(_about(item, must, "the run ended before it was its turn"))
    open_ones = len(found)
    found += [
        Finding(must, scenario.title, "to be done by hand, and no longer planned", scenario)
        for scenario, tags in case.dropped
        if MANUAL in tags
    ]
    summary = f"{len(meant) - open_ones} of {plural(len(meant), 'manual scenario')} done"
    return RuleResult("manual", "Manual scenarios are done", summary, tuple(found))


def flakes_in_budget(case: Case) -> RuleResult:
    """No more scenarios passed and failed on the same image than the budget allows."""
    flaky = [item for item in case.items if item.standing is Standing.FLAKY]
    budget = case.policy.flakes.budget
    is_over = len(flaky) > budget
    found = tuple(_about(item, is_over, item.judged.reason) for item in flaky)
    summary = f"{len(flaky)} flaky, {budget} allowed"
    return RuleResult("flakes", "The budget of flaky scenarios is kept", summary, found)


def excuses_hold(case: Case) -> RuleResult:
    """Every excuse, by tag or policy, is in force and needed."""
    found = []
    number = 0
    for item in case.items:
        bugs = [*known_bugs(sorted(item.tags)), *item.excuses]
        number += len(bugs)
        for bug in bugs:
            objection = bug.objection(case.today)
            if objection:
                found.append(_about(item, True, objection))
            elif item.standing is Standing.KNOWN:
                found.append(_about(item, False, f"excused by {item.judged.reason}"))
            elif item.standing not in _MISSING and item.standing is not Standing.FLAKY:
                is_needless = item.judged.is_outdated or item.standing is Standing.PASSED
                text = item.judged.reason if is_needless else f"{bug.bug} does not excuse this"
                found.append(_about(item, is_needless, text))
    return RuleResult(
        "excuses", "Excuses are in force and needed", f"{number} in all", tuple(found)
    )


def _excuse(item: Item, case: Case) -> str:
    """Return what excuses a missing result; only the policy can."""
    for bug in item.excuses:
        if not bug.objection(case.today):
            return f"excused by {bug.bug} until {bug.until}"
    return ""


def _about(item: Item, blocks: bool, text: str) -> Finding:
    return Finding(blocks, item.scenario.title, text, item.scenario, item.standing)
