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
        self._events: dict[str, dict[int, str]] = defaultdict(dict)
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
        with self._lock:
            token = str(content["token"])
            self._scenarios[token] = str(content["scenario"])
            if token not in self._opened:
                line = str(content["event"])
                self._events[token][int(content["number"])] = line
                self._progress.take(token, event_from_json(json.loads(line)))

    def of(self, token: str) -> Mapping[int, str]:
        """Return what has arrived of an execution."""
        with self._lock:
            return dict(self._events.get(token, {}))

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
            lines = self._events.pop(token, {})
        return [event_from_json(json.loads(lines[number])) for number in sorted(lines)]
