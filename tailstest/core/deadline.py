"""Deadlines and the one polling loop; the only place of the project that sleeps.

A look is a function that never waits: it returns a result, or None while there is none yet.
Every wait of the project is one look, one deadline and a list of watches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

#: A watch is called between two looks and raises when waiting on is pointless
#: (the guest crashed, a kernel panic stands on the serial console).
Watch = Callable[[], None]

#: Seconds between two looks unless the caller knows better: long enough to cost a 2-core host
#: little, short enough that a changed screen is judged within the 100 ms that we promise.
POLL_INTERVAL = 0.05


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock by which something must have happened."""

    seconds: float
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def after(cls, seconds: float, *, scale: float = 1.0) -> Deadline:
        """Return a deadline `seconds` from now, stretched by the host's slowness `scale` (>= 1)."""
        return cls(seconds * scale)

    @property
    def elapsed(self) -> float:
        """Seconds since the deadline was set."""
        return time.monotonic() - self.started

    @property
    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0.0


def pause(seconds: float) -> None:
    """Sleep; for pacing (keys, polling) only, never in place of waiting for a condition."""
    time.sleep(seconds)


def poll(
    look: Callable[[], T | None],
    deadline: Deadline,
    *,
    interval: float = POLL_INTERVAL,
    rest: float = 0.0,
    watches: Sequence[Watch] = (),
) -> T | None:
    """Call `look` until it returns something, the deadline passes or a watch raises.

    `look` is called at least once, and once more after the deadline was reached if the last
    call began before it, so that a slow host never loses its last chance.

    Args:
        interval: seconds between two looks.
        rest: at least so many times the duration of a look is between it and the next, for looks
            that keep busy what they wait for.

    Returns:
        What `look` returned, or None when the deadline passed.

    Raises:
        Whatever `look` or a watch raises; it ends the wait at once.
    """
    while True:
        is_last = deadline.expired
        began = time.monotonic()
        result = look()
        took = time.monotonic() - began
        if result is not None:
            return result
        for watch in watches:
            watch()
        if is_last:
            return None
        pause(min(max(interval, rest * took), deadline.remaining))
