"""What run folders know of some attempts: pictures, logs, and steps that were not reached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tailstest.results.run_builder import RunBuilder
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import AttemptRecord
from tailstest.results.store.kept_texts import storable

#: Bytes of one event; longer ones are none of ours.
_MAX_EVENT = 8_000_000
#: Bytes of one log of events that are read.
_MAX_LOG = 1_000_000_000


def attempts_in(folder: RunFolder, wanted: set[str]) -> Mapping[str, list[AttemptRecord]]:
    """Return the attempts at some scenarios by the scenario's id.

    The log is read as a stream, and what belongs to other scenarios is dropped on the way. An
    unreadable log has no attempts.

    Args:
        wanted: ids as the store has them.
    """
    builder = RunBuilder()
    for event in _events(folder.events_file):
        builder.apply(event)
        if event.get("event") == "ScenarioFinished":
            done = builder.run.scenario(str(event.get("scenario_id", "")))
            if done is not None and storable(done.id) not in wanted:
                for attempt in done.attempts:
                    attempt.steps, attempt.looks, attempt.frames = [], [], []
    run = builder.end()
    return {
        key: scenario.attempts
        for scenario in run.scenarios
        if (key := storable(scenario.id)) in wanted
    }


def _events(path: Path) -> Iterator[Mapping[str, Any]]:
    read = 0
    try:
        with path.open("rb") as stream:
            while read < _MAX_LOG and (line := stream.readline(_MAX_EVENT)):
                read += len(line)
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(value, dict) and isinstance(value.get("event"), str):
                    yield value
    except OSError:
        return
