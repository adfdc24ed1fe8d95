"""How fast keys and buttons are struck, and the clock that keeps to it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tailstest.core.deadline import pause

#: Slowest pace that slowing down leads to, in seconds. Held longer than about 0.2 s, Linux and
#: X begin to repeat a key (250 ms is the shortest delay that they can be set to).
_LONGEST_HOLD = 0.12
_LONGEST_GAP = 0.5


@dataclass(frozen=True)
class Pace:
    """Seconds that a key is held, and from its release to the next press."""

    hold: float
    gap: float

    @classmethod
    def from_milliseconds(cls, hold_ms: float, gap_ms: float) -> Pace:
        """Return a pace given in milliseconds, as settings have it."""
        return cls(hold_ms / 1000, gap_ms / 1000)

    @property
    def slower(self) -> Pace:
        """Half as fast; within bounds, so that no key is held until it repeats."""
        return Pace(
            max(self.hold, min(self.hold * 2, _LONGEST_HOLD)),
            max(self.gap, min(self.gap * 2, _LONGEST_GAP)),
        )

    def __str__(self) -> str:
        return f"{self.hold * 1000:g} ms held, {self.gap * 1000:g} ms apart"


class Pacer:
    """Keeps the gap between two strikes, also when they come from separate calls."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def wait_turn(self) -> None:
        """Return when the gap after the last release is over."""
        remaining = self._free_at - time.monotonic()
        if remaining > 0:
            pause(remaining)

    def released(self, gap: float) -> None:
        """Note that something was released now, and that nothing may follow for `gap` seconds."""
        self._free_at = time.monotonic() + gap
