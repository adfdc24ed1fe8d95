"""What hooks and steps leave in behave's context, which no checkpoint keeps."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

#: What behave itself puts there, anew for each step or scenario.
_OF_BEHAVE = frozenset({"text", "table", "@cleanups"})

#: Things in all lists, dicts and sets together that are looked at, which takes some milliseconds.
#: A container that is larger than what is left of them is only known by its identity.
_MOST_THINGS = 10_000


@dataclass(frozen=True)
class Traces:
    """What hooks and steps have put into behave's context so far.

    Attributes:
        own: name to value of what belongs to the scenario.
        contents: each list, dict, set and tuple that can be reached, and what was in it. Also
            those that belong to the feature or the run: another run begins with theirs.
        clean_ups: how many are to be done, after the scenario or later.
    """

    own: dict[str, Any]
    contents: list[tuple[Any, list[Any]]]
    clean_ups: int

    @classmethod
    def of(cls, context: Any) -> Traces:
        """Return what is in behave's context now."""
        frames: list[dict[str, Any]] = context._stack
        values = [
            {name: value for name, value in frame.items() if name not in _OF_BEHAVE}
            for frame in frames
        ]
        clean_ups = sum(len(frame.get("@cleanups", ())) for frame in frames)
        return cls(
            values[0], _contents(each for frame in values for each in frame.values()), clean_ups
        )

    def is_left_as_it_was(self, context: Any) -> bool:
        """Tell whether nothing has been put in, taken out or replaced since.

        Things are the same if they are one thing: equal ones may still be different, and to compare
        them may fail or take long.
        """
        now = Traces.of(context)
        return (
            self.clean_ups == now.clean_ups
            and self.own.keys() == now.own.keys()
            and _are_the_same(self.own.values(), (now.own[name] for name in self.own))
            and all(_are_the_same(things, _things_in(each)) for each, things in self.contents)
        )


def _contents(values: Iterable[Any]) -> list[tuple[Any, list[Any]]]:
    found: list[tuple[Any, list[Any]]] = []
    seen: set[int] = set()
    room = _MOST_THINGS
    waiting = deque(values)
    while waiting:
        value = waiting.popleft()
        if not isinstance(value, (list, dict, set, tuple)) or id(value) in seen:
            continue
        seen.add(id(value))
        if len(value) <= room:
            things = _things_in(value)
            room -= len(value)
            found.append((value, things))
            waiting.extend(things)
    return found


def _things_in(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return [each for pair in container.items() for each in pair]
    if isinstance(container, set):
        return sorted(
            container, key=id
        )  # what was taken out and put back may come in another order
    return list(container)


def _are_the_same(then: Iterable[Any], now: Iterable[Any]) -> bool:
    before, after = list(then), list(now)
    return len(before) == len(after) and all(map(operator.is_, before, after))
