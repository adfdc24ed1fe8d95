"""What workers told of scenarios that have not ended."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tailstest.core.events import Event, event_from_json
from tailstest.core.verdict import Verdict
from tailstest.results.progress import SeveralAtOnce
from tailstest.suite.spread.worker import Outcome
from tailstest.suite.spread.workplace import FOLDER


class Mail:
    """Events of executions that have not ended; they arrive in another thread.

    Args:
        run: whose messages are taken; others use the same scheduler.
        progress: told at once what happens.
    """

    def __init__(self, run: str, progress: SeveralAtOnce) -> None:
        self._run = run
        self._progress = progress
        self._lock = threading.Lock()
        self._events: dict[str, dict[int, Event]] = defaultdict(dict)
        self._scenarios: dict[str, str] = {}
        self._opened: set[str] = set()
        self._over: set[str] = set()
        self._results: dict[str, Outcome] = {}
        self._places: dict[str, str] = {}
        self._numbers: dict[str, set[int]] = defaultdict(set)

    def take(self, message: tuple[float, Mapping[str, Any]]) -> None:
        """Take what Dask hands on: a time, and what the worker sent."""
        self._take(message[1])

    def _take(self, content: Mapping[str, Any]) -> None:
        if content["run"] != self._run:
            return
        token, number = str(content["token"]), int(content["number"])
        with self._lock:
            self._scenarios[token] = str(content["scenario"])
            self._numbers[token].add(number)
            self._places[token] = str(content["place"])
            if content.get("over"):
                self._over.add(token)
                if "verdicts" in content:
                    self._results[token] = Outcome(
                        token,
                        number,
                        {key: Verdict(each) for key, each in content["verdicts"].items()},
                    )
                self._progress.end(token)
            elif token not in self._opened and number not in self._events[token]:
                event = event_from_json(json.loads(content["event"]))
                self._events[token][number] = event
                self._progress.take(token, event)

    def arrived(self, token: str) -> int:
        """Return how many messages of an execution have arrived."""
        with self._lock:
            return len(self._numbers.get(token, ()))

    def going(self) -> list[str]:
        """Return the executions of which more may arrive."""
        with self._lock:
            return [each for each in self._scenarios if each not in self._over | self._opened]

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

    def result_of(self, scenario: str) -> Outcome | None:
        """Return how an execution of a scenario ended that nobody has opened."""
        with self._lock:
            for token, result in self._results.items():
                if self._scenarios[token] == scenario and token not in self._opened:
                    return result
        return None

    def place_of(self, token: str) -> str:
        """Return Dask's address of the worker of an execution; "" of an unknown one."""
        return self._places.get(token, "")

    def files_of(self, token: str) -> list[str]:
        """Return the files in folders of workers that the events of an execution name."""
        with self._lock:
            events = list(self._events.get(token, {}).values())
        found: dict[str, None] = {}
        for event in events:
            found |= dict.fromkeys(_files_in(event.to_json()))
        return list(found)

    def open(self, token: str) -> list[Event]:
        """Return the events of an execution in their order, and forget them."""
        with self._lock:
            self._opened.add(token)
            self._progress.end(token)
            events = self._events.pop(token, {})
        return [events[number] for number in sorted(events)]


def _files_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith(FOLDER) and "/" in value:
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _files_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _files_in(each)
