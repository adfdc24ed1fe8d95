"""The runs that a site is about, and what is counted of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2s
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from tailstest.core.text import printable
from tailstest.results.console import day_and_time
from tailstest.results.known import KNOWN
from tailstest.results.run_folder import RunFolder
from tailstest.results.standing import BAD, Standing
from tailstest.results.store.kept_texts import in_batches
from tailstest.results.store.reading import RunInfo, ScenarioInfo, newest_runs
from tailstest.results.store.tables import attempts, manual_results, runs, tag_sets
from tailstest.results.suspect import Suspect

#: Scenarios that the pages of all runs list together, and the page of one at least and at most;
#: the counts are of all.
ALL_LISTED = 100_000
LISTED = (100, 1_000)
#: Hexadecimal digits of the digest in the name of a page.
_NAME_DIGITS = 16


class Listed(NamedTuple):
    """A scenario that did not pass in a run; `is_new` if it had not failed before."""

    scenario: ScenarioInfo
    standing: Standing
    reason: str
    is_new: bool
    suspect: Suspect | None = None


class State(NamedTuple):
    """What a run says at a glance: the standing that gives the colour, and words."""

    standing: Standing
    words: str


@dataclass
class SiteRun:
    """A run of the site; everything after `folder` is filled while scenarios are read.

    Attributes:
        place: 0 for the newest.
        folder: where its files are, None when that was not given or is gone.
        counts: of scenarios by standing.
        suspects: of scenarios that did not pass and are not excused, by suspect.
        newly_failing: fail here and did not in the run before that said something.
        newly_passing: the other way round.
        listed: scenarios that did not pass, up to a limit.
        minor: those of them that nobody has to look into: skipped, not run, manual.
    """

    info: RunInfo
    place: int
    folder: RunFolder | None = None
    counts: Counter[Standing] = field(default_factory=Counter)
    suspects: Counter[Suspect] = field(default_factory=Counter)
    newly_failing: int = 0
    newly_passing: int = 0
    listed: list[Listed] = field(default_factory=list)
    minor: list[Listed] = field(default_factory=list)

    @cached_property
    def day(self) -> str:
        """Return when it began, as it is called everywhere."""
        return day_and_time(self.info.started)

    @cached_property
    def page(self) -> str:
        """Return the name of its page; never made of what a run calls itself."""
        return f"run/{page_digest(self.info.run_id)}.html"

    @property
    def seconds(self) -> float:
        """Return how long it took on the clock."""
        return max(0.0, self.info.ended - self.info.started)

    @property
    def red(self) -> int:
        """Return the number of scenarios that fail."""
        return sum(self.counts[standing] for standing in BAD)

    @property
    def unclear(self) -> int:
        """Return the number of scenarios without a result."""
        return self.counts[Standing.INCOMPLETE] + self.counts[Standing.NOT_RUN]

    @property
    def unlisted(self) -> int:
        """Return how many scenarios that did not pass are not in the lists."""
        known = self.counts[Standing.PASSED] + len(self.listed) + len(self.minor)
        return sum(self.counts.values()) - known

    @property
    def state(self) -> State:
        """Return what a gate without a policy would look at first."""
        info, counts = self.info, self.counts
        if self.red:
            news = f"{self.newly_failing} new" if self.newly_failing else "none new"
            return State(Standing.FAILED, f"{self.red} red, {news}")
        if counts[Standing.FLAKY]:
            return State(Standing.FLAKY, f"{counts[Standing.FLAKY]} flaky")
        if not info.is_finished or info.interrupted:
            ended = "interrupted" if info.interrupted else "did not end, or is going on"
            return State(Standing.INCOMPLETE, ended)
        if info.problems:
            return State(Standing.INCOMPLETE, "problems outside of scenarios")
        if self.unclear:
            return State(Standing.INCOMPLETE, f"{self.unclear} without a result")
        if not counts[Standing.PASSED] and not counts[Standing.KNOWN]:
            return State(Standing.INCOMPLETE, "nothing ran")
        if counts[Standing.MANUAL]:
            return State(Standing.MANUAL, f"green, {counts[Standing.MANUAL]} to do by hand")
        return State(Standing.PASSED, "green")


class Excused(NamedTuple):
    """What the index of attempts does not have: tags of known bugs, and who did it by hand."""

    tags: dict[tuple[int, int, int], tuple[str, ...]]
    people: dict[tuple[int, int, int], str]


@dataclass(frozen=True)
class Window:
    """The newest runs.

    Attributes:
        runs: the newest first.
        by_id: place in `runs` by the number in the store.
        bounds: smallest and largest number in the store, for queries.
        in_store: how many runs the store has.
    """

    runs: list[SiteRun]
    by_id: dict[int, int]
    bounds: tuple[int, int]
    in_store: int

    @property
    def most_listed(self) -> int:
        """Return how many scenarios the page of each run may list."""
        return max(LISTED[0], min(LISTED[1], ALL_LISTED // max(1, len(self.runs))))

    @classmethod
    def read(cls, connection: Connection, last: int) -> Window:
        """Return the newest `last` runs of the store."""
        found = [SiteRun(info, n) for n, info in enumerate(newest_runs(connection, last))]
        numbers = [run.info.id for run in found] or [0]
        return cls(
            runs=found,
            by_id={run.info.id: run.place for run in found},
            bounds=(min(numbers), max(numbers)),
            in_store=connection.execute(select(func.count()).select_from(runs)).scalar_one(),
        )

    def excused(self, connection: Connection) -> Excused:
        """Read tags of known bugs and results by hand; both are few."""
        known = {
            row.id: tuple(tag for tag in row.text.split() if tag.startswith(KNOWN))
            for row in connection.execute(
                select(tag_sets).where(tag_sets.c.text.contains(KNOWN, autoescape=True))
            )
        }
        tags: dict[tuple[int, int, int], tuple[str, ...]] = {}
        for part in in_batches(sorted(known)):
            rows = connection.execute(
                select(
                    attempts.c.scenario, attempts.c.run, attempts.c.number, attempts.c.tags
                ).where(attempts.c.run.between(*self.bounds), attempts.c.tags.in_(part))
            )
            tags |= {(row.scenario, row.run, row.number): known[row.tags] for row in rows}
        by_hand = connection.execute(
            select(manual_results).where(manual_results.c.run.between(*self.bounds))
        )
        return Excused(tags, {(row.scenario, row.run, row.number): row.person for row in by_hand})


def scenario_page(scenario: ScenarioInfo) -> str:
    """Return the name of a scenario's page: the same in every store, never made of its name."""
    return f"scenario/{page_digest(scenario.key)}.html"


def page_digest(text: str) -> str:
    """Return what stands for a text in the name of a page."""
    data = printable(text).encode("utf-8", "replace")
    return blake2s(data, digest_size=_NAME_DIGITS // 2).hexdigest()


def image_words(info: RunInfo) -> str:
    """Return an image in a few words."""
    if not info.image_digest:
        return "no image"
    name = info.image.rstrip("/").rpartition("/")[2] or "image"
    mark = " (changed)" if "+" in info.image_digest else ""
    return f"{name} {info.image_digest[:8]}{mark}"


def windows(count: int, size: int) -> Sequence[range]:
    """Return `count` places in parts of `size`; one empty part for none."""
    return [range(at, min(at + size, count)) for at in range(0, count, size)] or [range(0)]
