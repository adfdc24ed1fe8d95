"""Events: what happens during a run, told once and heard by terminal, files and reports.

Rooms publish; only `results` listens. Every event is a small frozen dataclass whose fields are
JSON values, so that a run is also a file of JSON lines. Paths in events are relative to the run
folder. Text that came out of a guest is kept as it is and must be escaped by whoever shows it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailstest.core.interruption import alarm_waits

#: How the warning begins that a host has more to do than its deadlines were stretched for.
OVERLOADED = "the host is overloaded"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events.

    Attributes:
        time: seconds since the epoch.
    """

    time: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """Return the event as a JSON object; the key "event" holds the class name."""
        return {"event": type(self).__name__, **dataclasses.asdict(self)}


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run begins: `run_id`, the `command` as the user gave it, and the host and versions."""

    run_id: str
    command: list[str]
    environment: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PlanMade(Event):
    """What was selected.

    Attributes:
        scenarios: the planned scenarios in order, each {"id", "name", "feature", "location"}.
        excluded: the ones left out, same form plus "reason".
        problems: one text per file or step that is wrong, each beginning "file:line: ".
        selection: the selection as it was understood.
    """

    scenarios: list[dict[str, str]]
    excluded: list[dict[str, str]]
    problems: list[str]
    selection: str


@dataclass(frozen=True, kw_only=True)
class ScenarioStarted(Event):
    """An attempt at a scenario begins; `steps` holds the texts of all its steps, in order."""

    scenario_id: str
    name: str
    feature: str
    feature_file: str
    location: str
    tags: list[str]
    steps: list[str]
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class StepStarted(Event):
    """A step begins; `index` counts from 0 within the scenario (Background steps included).

    Attributes:
        table: rows of decoded cells, the heading first; empty without a table.
        doc: the text between triple quotes; empty without one.
    """

    scenario_id: str
    index: int
    keyword: str
    text: str
    location: str
    table: list[list[str]] = field(default_factory=list)
    doc: str = ""


@dataclass(frozen=True, kw_only=True)
class StepFinished(Event):
    """A step ended with a verdict; `error` and `hint` are empty when it passed.

    Attributes:
        seconds: how long it took.
        details: more about the error: a traceback for a bug in a step, never shown first.
        kind: class of the error ("MachineStopped"), for telling what may be behind it.
    """

    scenario_id: str
    index: int
    verdict: str
    seconds: float
    error: str = ""
    hint: str = ""
    details: str = ""
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class ScenarioFinished(Event):
    """An attempt at a scenario ended; `kind` is the class of the error that ended it."""

    scenario_id: str
    verdict: str
    seconds: float
    error: str = ""
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The run ended.

    Attributes:
        counts: number of scenarios per verdict, that of all attempts together: what failed and
            passed is "flaky" and not "passed". In older logs it is "passed"; count attempts.
        exit_status: that follows from them, and from the trouble.
        interrupted: whether somebody ended it.
        trouble: what went wrong outside of scenarios, a hook behind the last one for example:
            place to verdict.
    """

    counts: Mapping[str, int]
    exit_status: int
    interrupted: bool = False
    trouble: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FrameKept(Event):
    """A frame was written to the run folder; `reason` says why ("step", "failure", "power off")."""

    path: str
    reason: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Looked(Event):
    """A search of the screen ended (found, or given up at the deadline).

    Attributes:
        kind: "reference" or "text".
        wanted: reference names or tags, or the text.
        look: the result as JSON (`Look.to_json` or `TextLook.to_json`).
        files: role ("frame", "reference", "candidate", "difference", "candidate_json") to path.
    """

    kind: str
    wanted: list[str]
    found: bool
    look: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Typed(Event):
    """Text or keys were sent; `repaired` counts keys typed again after reading back."""

    text: str
    keys: int
    repaired: int = 0


@dataclass(frozen=True, kw_only=True)
class MachineChanged(Event):
    """A machine changed its state.

    Attributes:
        state: "started", "running", "paused", "reset", "shut down", "crashed", "watchdog", "gone".
        detail: what libvirt or QEMU said about the reason.
    """

    machine: str
    state: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class MachineUsed(Event):
    """A scenario works with a machine: its `firmware` ("bios", "uefi") and the image's `medium`."""

    machine: str
    firmware: str
    medium: str


@dataclass(frozen=True, kw_only=True)
class ArtifactKept(Event):
    """A file worth keeping was added.

    `kind` is "serial", "video", "frame", "log", "xml" or, for any other content, "file".
    """

    kind: str
    path: str
    title: str
    truncated: bool = False


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """One line for the reader of the report; `level` is "info" or "warning"."""

    text: str
    level: str = "info"


@dataclass(frozen=True, kw_only=True)
class HeldUp(Event):
    """A scenario waits for something of the host, memory say; an empty `text` ends the wait."""

    text: str


def event_from_json(value: Mapping[str, Any]) -> Event:
    """Return the event that another process of the same run told; see `Event.to_json`.

    Raises:
        ValueError: there is no such event, or it has other fields.
    """
    fields = dict(value)
    name = fields.pop("event", None)
    kind = {each.__name__: each for each in Event.__subclasses__()}.get(str(name))
    if kind is None:
        raise ValueError(f"there is no event {name!r}")
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"the event {name} has other fields: {error}") from error


Listener = Callable[[Event], None]


class Events:
    """A list of listeners; publishing calls each in the order they subscribed."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def publish(self, event: Event) -> None:
        """Tell all listeners; an error in one of them is an error of the run.

        All of them are told or none: they would disagree for the rest of the run.
        """
        with alarm_waits():
            for listener in self._listeners:
                listener(event)
