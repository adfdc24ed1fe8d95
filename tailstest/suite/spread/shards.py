"""Parts of a plan for CI systems that start several jobs by themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.results.merging import OTHER_SHARD
from tailstest.suite.checkpoints.keys import keys_of
from tailstest.suite.plan import Plan
from tailstest.suite.spread.durations import filled_in, read_durations

#: More jobs than this are a mistake.
MOST = 1000


@dataclass(frozen=True)
class Shard:
    """One of `count` parts; the first has the number 1."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Shard:
        """Read "K/N".

        Raises:
            UsageError: it is not K/N with 1 <= K <= N.
        """
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text.strip())
        shard = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= shard.number <= shard.count <= MOST:
            raise UsageError(
                f'--shard "{text}": not the number of a part and how many there are',
                hint="for example --shard 1/3, --shard 2/3 and --shard 3/3 in three jobs",
            )
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def shards_of(
    scenarios: Sequence[str],
    beginnings: Mapping[str, str],
    seconds: Mapping[str, float],
    count: int,
) -> list[list[str]]:
    """Return the parts, the same ones in every job that knows the same.

    Scenarios with the same beginning stay together, as only the first of them has to go through
    it, unless they are more than a part's share. The largest group goes first, to the part that
    has least so far (longest processing time first; Graham 1969: at most 4/3 of the best).

    Args:
        scenarios: ids in the order of the plan.
        beginnings: id to what names its beginning; those without one stand alone.
        seconds: id to what it is expected to take; what is unknown counts as the mean.
        count: of parts; some stay empty when there are more parts than groups.
    """
    weight = filled_in(scenarios, seconds)
    share = sum(weight.values()) / count
    groups: dict[str, list[list[str]]] = {}
    for scenario in scenarios:
        parts = groups.setdefault(beginnings.get(scenario) or f"alone {scenario}", [[]])
        if parts[-1] and sum(map(weight.__getitem__, parts[-1]), weight[scenario]) > share:
            parts.append([])
        parts[-1].append(scenario)
    place = {scenario: number for number, scenario in enumerate(scenarios)}
    pieces = [part for parts in groups.values() for part in parts]
    pieces.sort(key=lambda part: (-sum(map(weight.__getitem__, part)), place[part[0]]))
    shards: list[list[str]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for part in pieces:
        least = loads.index(min(loads))
        shards[least] += part
        loads[least] += sum(map(weight.__getitem__, part))
    return [sorted(shard, key=place.__getitem__) for shard in shards]


def keep_shard(plan: Plan, text: str, durations: Path | None = None) -> None:
    """Leave out of a plan what other shards run.

    Args:
        text: "K/N"; "" leaves all of it.
        durations: file with what scenarios took before, the same one in all jobs; None if nobody
            knows, so that each counts the same.

    Raises:
        UsageError: the text is something else, or the file is, or it is for nothing.
    """
    if not text:
        if durations is not None:
            raise UsageError("--durations says how to cut a plan into parts; --shard is missing")
        return
    shard = Shard.of(text)
    beginnings = {}
    for scenario in plan.scenarios:
        chain = keys_of(scenario, plan, "")
        if chain:
            beginnings[scenario.id] = chain[-1]
    ids = [scenario.id for scenario in plan.scenarios]
    seconds = read_durations(durations) if durations is not None else {}
    owner = {
        scenario: number
        for number, part in enumerate(shards_of(ids, beginnings, seconds, shard.count), 1)
        for scenario in part
    }
    others = [each for each in plan.scenarios if owner[each.id] != shard.number]
    plan.excluded += [(each, f"{OTHER_SHARD} {owner[each.id]}/{shard.count}") for each in others]
    plan.scenarios = [each for each in plan.scenarios if owner[each.id] == shard.number]
