"""What the store knows of some scenarios on images, so that nobody needs to try it again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from tailstest.core.verdict import Verdict
from tailstest.results.answers.change_point import Tally
from tailstest.results.store.kept_texts import digest_of, in_batches, storable
from tailstest.results.store.reading import newest_runs
from tailstest.results.store.tables import (
    SUSPECT_OF,
    VERDICT_OF,
    attempts,
    causes,
    images,
    runs,
    scenarios,
)
from tailstest.results.suspect import Suspect

#: Runs that are looked through for how often a test fails for nothing.
_RUNS = 100
#: Trials of one image that are taken from the store; more change no answer.
_MOST = 20

#: One attempt: verdict, suspect, reason.
Told = tuple[Verdict, Suspect | None, str]


@dataclass(frozen=True)
class KnownTrial:
    """Attempts at all of some scenarios in one run, one each."""

    run_id: str
    attempts: tuple[Told, ...]


def known_trials(
    connection: Connection, keys: Sequence[str], image_digest: str, suite_commit: str
) -> list[KnownTrial]:
    """Return the trials of some scenarios, all of them together, on one image.

    Args:
        keys: ids of scenarios.
        suite_commit: that the runs must have been made with; nothing is known of "" and of one
            with changes that nobody knows.
    """
    if not suite_commit or "+" in suite_commit or not image_digest:
        return []
    wanted = (
        select(runs.c.id, runs.c.run_id)
        .select_from(runs.join(images, images.c.id == runs.c.image_id))
        .where(images.c.digest == image_digest, runs.c.suite_commit == suite_commit)
        .order_by(runs.c.position.desc())
    )
    named = {row.id: row.run_id for row in connection.execute(wanted)}
    grouped = _grouped(connection, keys, list(named))
    found = [
        KnownTrial(name, tuple(told))
        for run, name in named.items()
        for told in grouped.get(run, ())
    ]
    return found[:_MOST]


def has_trials(connection: Connection, keys: Sequence[str], suite_commit: str) -> bool:
    """Tell whether there is any attempt at some scenarios with this commit of the suite."""
    if not suite_commit or "+" in suite_commit:
        return False
    digests = [digest_of(storable(key)) for key in keys]
    wanted = (
        select(attempts.c.run)
        .select_from(
            attempts.join(runs, runs.c.id == attempts.c.run).join(
                scenarios, scenarios.c.id == attempts.c.scenario
            )
        )
        .where(scenarios.c.digest.in_(digests), runs.c.suite_commit == suite_commit)
        .limit(1)
    )
    return connection.execute(wanted).first() is not None


def past_flakes(
    connection: Connection,
    keys: Sequence[str],
    but: Iterable[str],
    failed: Callable[[tuple[Told, ...]], bool | None],
) -> Tally:
    """Return how often a test failed for nothing in the newest runs, on other images.

    An image on which it passed at least once counts as good, one on which it only failed does not;
    each run with changed guests is an image of its own.

    Args:
        but: digests of images that are left out, since they are the question.
        failed: what attempts say together; None for nothing.
    """
    left_out = set(but)
    window = [
        run
        for run in newest_runs(connection, _RUNS)
        if run.image_digest and run.image_digest not in left_out
    ]
    grouped = _grouped(connection, keys, [run.id for run in window])
    by_image: dict[int, Tally] = defaultdict(Tally)
    for run in window:
        for told in grouped.get(run.id, ()):
            said = failed(told)
            if said is not None:
                by_image[run.comparable].add(said)
    good = [tally for tally in by_image.values() if tally.passed]
    return Tally(sum(each.failed for each in good), sum(each.passed for each in good))


def _grouped(
    connection: Connection, keys: Sequence[str], wanted: Sequence[int]
) -> dict[int, list[tuple[Told, ...]]]:
    """Return for each run the attempts at all scenarios: their first ones, their second ones..."""
    digests = [digest_of(storable(key)) for key in keys]
    numbers = list(
        connection.execute(select(scenarios.c.id).where(scenarios.c.digest.in_(digests))).scalars()
    )
    if len(numbers) < len(set(digests)):
        return {}
    told: dict[tuple[int, int], list[Told]] = defaultdict(list)
    for part in in_batches(wanted):
        rows = connection.execute(
            select(
                attempts.c.run,
                attempts.c.number,
                attempts.c.verdict,
                attempts.c.suspect,
                causes.c.text,
            )
            .select_from(attempts.outerjoin(causes, causes.c.id == attempts.c.cause))
            .where(attempts.c.scenario.in_(numbers), attempts.c.run.in_(part))
        )
        for run, number, verdict, suspect, cause in rows:
            told[run, number].append((VERDICT_OF[verdict], SUSPECT_OF.get(suspect), cause or ""))
    found: dict[int, list[tuple[Told, ...]]] = defaultdict(list)
    for (run, _number), each in sorted(told.items(), key=lambda item: item[0]):
        if len(each) == len(numbers):
            found[run].append(tuple(each))
    return dict(found)
