"""What workers told of scenarios that have not ended."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from tailstest.core.events import Event, event_from_json
from tailstest.results.progress import SeveralAtOnce


class Mail:
    """Events of executions that have not ended; they arrive in another thread."""

    def __init__(self, progress: SeveralAtOnce) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._events: dict[str, dict[int, Event]] = defaultdict(dict)
        self._scenarios: dict[str, str] = {}
        self._opened: set[str] = set()

    def take(self, message: tuple[float, Mapping[str, Any]]) -> None:
        """Take what Dask hands on: a time, and what the worker sent."""
        self._take(message[1])

    def collect(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Take what a worker that was killed wrote down; some or all of it has arrived before."""
        for message in messages:
            self._take(message)

    def _take(self, content: Mapping[str, Any]) -> None:
        token, number = str(content["token"]), int(content["number"])
        with self._lock:
            self._scenarios[token] = str(content["scenario"])
            if token not in self._opened and number not in self._events[token]:
                event = event_from_json(json.loads(content["event"]))
                self._events[token][number] = event
                self._progress.take(token, event)

    def arrived(self, token: str) -> int:
        """Return how many events of an execution have arrived."""
        with self._lock:
            return len(self._events.get(token, ()))

    def earlier(self, scenario: str, token: str) -> list[str]:
        """Return the other executions of a scenario that nobody has opened."""
        with self._lock:
            return [
                each
                for each, of in self._scenarios.items()
                if of == scenario and each != token and each not in self._opened
            ]

    def unfinished(self) -> list[str]:
        """Return all executions that nobody has opened."""
        with self._lock:
            return [each for each in self._scenarios if each not in self._opened]

    def scenario_of(self, token: str) -> str:
        """Return the id of an execution's scenario."""
        return self._scenarios[token]

    def open(self, token: str) -> list[Event]:
        """Return the events of an execution in their order, and forget them."""
        with self._lock:
            self._opened.add(token)
            self._progress.end(token)
            events = self._events.pop(token, {})
        return [events[number] for number in sorted(events)]
