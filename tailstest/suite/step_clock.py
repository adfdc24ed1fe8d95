"""When each step of a scenario began, to say during which step something happened."""

from __future__ import annotations

from bisect import bisect_right

from tailstest.core.events import Event, Events, ScenarioStarted, StepStarted

_SECOND = 1_000_000_000


class StepClock:
    """Remembers the steps of the present scenario.

    Args:
        events: that it listens to.
    """

    def __init__(self, events: Events) -> None:
        self._times: list[int] = []
        self._texts: list[str] = []
        events.subscribe(self._heard)

    def step_at(self, time: int | None) -> str:
        """Return the step during which something happened, as it stands in the scenario.

        Args:
            time: nanoseconds since 1970; None if nobody knows.
        """
        if time is None:
            return "unknown"
        place = bisect_right(self._times, time)
        return self._texts[place - 1] if place else "before the first step"

    def _heard(self, event: Event) -> None:
        if isinstance(event, ScenarioStarted):
            self._times, self._texts = [], []
        elif isinstance(event, StepStarted):
            self._times.append(int(event.time * _SECOND))
            self._texts.append(f"{event.keyword} {event.text}".strip())
