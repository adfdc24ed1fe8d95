"""The steps of attempts as the store has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, and_, select

from tailstest.results.site.pairs import wanted_pairs
from tailstest.results.site.sides import MAX_STEPS, StepSide
from tailstest.results.store.tables import VERDICT_OF, step_texts, steps

#: An attempt: number of the run and of the scenario in the store, number of the attempt.
Key = tuple[int, int, int]


def stored_steps(connection: Connection, wanted: Iterable[Key]) -> dict[Key, list[StepSide]]:
    """Return the steps of attempts; those of which the store has none are left out."""
    keys = set(wanted)
    found: dict[Key, list[StepSide]] = defaultdict(list)
    for pairs in wanted_pairs((run, scenario) for run, scenario, _number in keys):
        same = and_(steps.c.run == pairs.c.run, steps.c.scenario == pairs.c.scenario)
        rows = connection.execute(
            select(
                steps.c.run,
                steps.c.scenario,
                steps.c.number,
                step_texts.c.text,
                steps.c.verdict,
                steps.c.seconds,
                steps.c.score,
            )
            .select_from(pairs.join(steps, same).join(step_texts, step_texts.c.id == steps.c.text))
            .where(steps.c.position < MAX_STEPS)
            .order_by(steps.c.run, steps.c.scenario, steps.c.number, steps.c.position)
        )
        for run, scenario, number, text, verdict, seconds, score in rows:
            if (run, scenario, number) not in keys:
                continue
            # A stored step begins with its keyword, which an announced one lacks.
            key = text.partition(" ")[2] or text
            found[run, scenario, number].append(
                StepSide(text, key, VERDICT_OF[verdict], seconds, score)
            )
    return found
