"""What differs between two runs, and between their images."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tailstest.core.verdict import Verdict
from tailstest.results.known import known_bugs
from tailstest.results.standing import BAD, AttemptInfo, Judged, Standing, judge
from tailstest.results.store.attempt_reading import attempts_of_runs
from tailstest.results.store.engine import Store
from tailstest.results.store.image_contents import ImageContents, contents_of
from tailstest.results.store.reading import (
    RunInfo,
    ScenarioInfo,
    find_run,
    scenarios_by_number,
)

#: A scenario is slower when it took this many times as long, and this many seconds more. Below,
#: it is the noise of a shared host.
SLOWER_FACTOR = 1.3
SLOWER_SECONDS = 2.0
_GOOD = (Standing.PASSED,)
_SAID_SOMETHING = frozenset({Standing.PASSED, Standing.FLAKY, Standing.KNOWN, *BAD})
V = TypeVar("V")


@dataclass(frozen=True)
class Difference:
    """A scenario that differs; `before` or `after` is None in a run that does not have it."""

    scenario: ScenarioInfo
    before: Judged | None
    after: Judged | None
    seconds_before: float
    seconds_after: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "scenario": self.scenario.key,
            "name": self.scenario.name,
            "before": self.before.standing.value if self.before else None,
            "after": self.after.standing.value if self.after else None,
            "reason": self.after.reason if self.after else "",
            "seconds_before": round(self.seconds_before, 3),
            "seconds_after": round(self.seconds_after, 3),
        }


@dataclass(frozen=True)
class MapDifference:
    """What was added, removed or changed between two mappings."""

    added: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "added": dict(self.added),
            "removed": dict(self.removed),
            "changed": {name: list(pair) for name, pair in self.changed.items()},
        }


@dataclass(frozen=True)
class ImageDifference:
    """What differs between two images; files are size and the beginning of a digest."""

    kernel: tuple[str, str]
    packages: MapDifference
    files: MapDifference
    has_packages: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kernel": list(self.kernel),
            "packages": self.packages.to_json() if self.has_packages else None,
            "files": self.files.to_json(),
        }


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        unclear: scenarios that said something in the one run and nothing in the other.
        same: how many did not change.
        images: None when both runs had the same image, or none.
        images_unknown: digests of images whose contents the store was never told.
    """

    before: RunInfo
    after: RunInfo
    newly_failing: list[Difference]
    newly_passing: list[Difference]
    new_flakes: list[Difference]
    slower: list[Difference]
    unclear: list[Difference]
    added: list[Difference]
    removed: list[Difference]
    same: int
    images: ImageDifference | None
    images_unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        kinds = (
            "newly_failing",
            "newly_passing",
            "new_flakes",
            "slower",
            "unclear",
            "added",
            "removed",
        )
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            **{kind: [each.to_json() for each in getattr(self, kind)] for kind in kinds},
            "same": self.same,
            "images": self.images.to_json() if self.images else None,
            "images_unknown": list(self.images_unknown),
        }


def compare_runs(store: Store, before: str, after: str, *, today: datetime.date) -> Comparison:
    """Return what differs between two runs; see `find_run` for how they are named.

    Raises:
        UsageError: one of them is not in the store.
    """
    with store.reading() as connection:
        old, new = find_run(connection, before), find_run(connection, after)
        old_attempts = attempts_of_runs(connection, [old.id])
        new_attempts = attempts_of_runs(connection, [new.id])
        found = Comparison(old, new, [], [], [], [], [], [], [], 0, None, ())
        pairs = {
            number: (old_attempts.get(number), new_attempts.get(number))
            for number in {**old_attempts, **new_attempts}
        }
        differing = {
            number: kind
            for number, (was, now) in pairs.items()
            if (kind := _kind(was, now, today)) is not None
        }
        named = scenarios_by_number(connection, list(differing))
        images, unknown = None, []
        if old.image_id != new.image_id and old.image_id and new.image_id:
            contents = [contents_of(connection, each) for each in (old.image_id, new.image_id)]
            if contents[0] is not None and contents[1] is not None:
                images = image_difference(contents[0], contents[1])
            digests = (old.image_digest, new.image_digest)
            unknown = [d for d, each in zip(digests, contents, strict=True) if each is None]
    for number, kind in differing.items():
        was, now = pairs[number]
        getattr(found, kind).append(_difference(named[number], was, now, today))
    for kind in set(differing.values()):
        getattr(found, kind).sort(key=lambda each: each.scenario.location)
    found.slower.sort(key=lambda each: each.seconds_before - each.seconds_after)
    return Comparison(
        **{
            **vars(found),
            "same": len(pairs) - len(differing),
            "images": images,
            "images_unknown": tuple(unknown),
        }
    )


def _kind(
    was: list[AttemptInfo] | None, now: list[AttemptInfo] | None, today: datetime.date
) -> str | None:
    """Return the list of `Comparison` that a scenario belongs to; None for no change."""
    if was and now and _passed_plainly(was) and _passed_plainly(now):
        return "slower" if _is_slower(was, now) else None  # the most by far, and the quickest
    before = judge(was, today).standing if was else None
    after = judge(now, today).standing if now else None
    if after in BAD and before not in BAD:
        return "newly_failing"
    if was is None:
        return "added"
    if now is None:
        return "removed"
    if after is Standing.FLAKY and before is not Standing.FLAKY:
        return "new_flakes"
    if after in _GOOD and before not in _GOOD and before in _SAID_SOMETHING:
        return "newly_passing"
    if (before in _SAID_SOMETHING) != (after in _SAID_SOMETHING):
        return "unclear"
    if before in _GOOD and after in _GOOD and _is_slower(was, now):
        return "slower"
    return None


def _passed_plainly(attempts: list[AttemptInfo]) -> bool:
    only = attempts[0]
    return len(attempts) == 1 and only.verdict is Verdict.PASSED and not known_bugs(only.tags)


def _is_slower(was: list[AttemptInfo], now: list[AttemptInfo]) -> bool:
    old, new = _seconds(was), _seconds(now)
    return new > old * SLOWER_FACTOR and new > old + SLOWER_SECONDS


def _difference(
    scenario: ScenarioInfo,
    was: list[AttemptInfo] | None,
    now: list[AttemptInfo] | None,
    today: datetime.date,
) -> Difference:
    return Difference(
        scenario=scenario,
        before=judge(was, today) if was else None,
        after=judge(now, today) if now else None,
        seconds_before=_seconds(was or []),
        seconds_after=_seconds(now or []),
    )


def _seconds(attempts: list[AttemptInfo]) -> float:
    return sum(each.seconds for each in attempts)


def image_difference(old: ImageContents, new: ImageContents) -> ImageDifference:
    """Return what differs between two images."""
    return ImageDifference(
        kernel=(old.kernel, new.kernel),
        packages=_maps(old.packages, new.packages),
        files=_maps(_shown_files(old), _shown_files(new)),
        has_packages=bool(old.packages and new.packages),
    )


def _shown_files(contents: ImageContents) -> dict[str, str]:
    return {
        path: f"{size} bytes" + (f", {digest[:12]}" if digest else "")
        for path, (size, digest) in contents.files.items()
    }


def _maps(old: Mapping[str, str], new: Mapping[str, str]) -> MapDifference:
    return MapDifference(
        added={name: new[name] for name in sorted(new.keys() - old.keys())},
        removed={name: old[name] for name in sorted(old.keys() - new.keys())},
        changed={
            name: (old[name], new[name])
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        },
    )
