"""What the bugs that are known have to do with how the scenarios of a run ended."""

from __future__ import annotations

from tailstest.results.known import KNOWN, day_of
from tailstest.results.run_record import AttemptRecord, Run, ScenarioRecord
from tailstest.results.standing import AttemptInfo, judge


def excuse_of(scenario: ScenarioRecord, run: Run) -> str:
    """Return what its tags and reference images say of how it ended, "" if they say nothing.

    That is "known: BUG until DAY" where a bug excuses its failure on the day on which the run
    began. Otherwise it is why none does: the day has passed, the tag names none, or it passed.
    """
    if not scenario.attempts:
        return ""
    attempts = [
        AttemptInfo(
            run=0,
            number=number,
            verdict=attempt.verdict,
            seconds=attempt.seconds,
            cause=attempt.reason,
            tags=(*scenario.tags, *tags_of_references(attempt)),
            machines=tuple(attempt.machines),
        )
        for number, attempt in enumerate(scenario.attempts)
    ]
    return judge(attempts, day_of(run.started)).excuse


def tags_of_references(attempt: AttemptRecord) -> list[str]:
    """Return tags of bugs that reference images stand for; see `results.known`.

    What failed is excused by the picture that was not there in the step that failed, and by no
    other one; what passed tells of each that was there.
    """
    step = attempt.bad_step
    if step is not None:
        looks = [look for look in step.looks if not look.found]
    else:
        every = [*attempt.looks, *(look for each in attempt.steps for look in each.looks)]
        looks = [look for look in every if look.found]
    told = dict.fromkeys(str(look.look.get(KNOWN) or "") for look in looks)
    return [f"{KNOWN}:{'-'.join(text.split())}" for text in told if text]
