"""The event log: one JSON object a line, written as it happens, read back even when cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Event
from tailstest.core.text import shortened

#: Characters kept of one text in an event. A step's error with an OCR transcript has a few
#: thousand; more than this is a guest flooding us.
MAX_TEXT = 256 * 1024
#: Bytes of one line that is read. The longest is the plan, and that of 100,000 scenarios has 30 MB;
#: what is longer, as where a broken disk has lost the ends of lines, is no event.
MAX_LINE = 128 * 1024 * 1024


class EventLog:
    """Writes every event to a file at once; a listener for `Events.subscribe`.

    Each event is handed to the operating system before the call returns, so the log of a killed
    run ends with its last event. When the disk is full the first event that does not fit raises,
    later ones are dropped and counted in `lost`; the file always ends with a whole line.

    Args:
        path: the file, created readable by its owner only, or appended to.
        on_full: called once when writing fails, before the second try; may free some space.

    Raises:
        InfrastructureError: the file cannot be opened, or (once) an event cannot be written.
    """

    def __init__(self, path: Path, *, on_full: Callable[[], None] | None = None) -> None:
        self.path = path
        self.lost = 0
        self._on_full = on_full
        self._complained = False
        try:
            self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError as error:
            raise InfrastructureError(f"cannot write {path}: {error.strerror}") from error

    def __call__(self, event: Event) -> None:
        """Write `event`."""
        line = (event_line(event) + "\n").encode("ascii")
        try:
            self._append(line)
        except OSError as error:
            self._after_failure(line, error)

    def close(self) -> None:
        """Close the file; harmless when done before."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        if self._file < 0:
            raise OSError(9, "the log is closed already")
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if written:
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise

    def _after_failure(self, line: bytes, error: OSError) -> None:
        saved = False
        if not self._complained and self._on_full is not None:
            self._on_full()
            try:
                self._append(line)
                saved = True
            except OSError:
                pass
        self.lost += not saved
        if not self._complained:
            self._complained = True
            raise InfrastructureError(
                f"cannot record what happens in {self.path}: {error.strerror}",
                hint="free some space on that disk and run again; what was recorded so far is kept",
            ) from error


def event_line(event: Event) -> str:
    """Return an event as one line of JSON, its texts bounded."""
    return json.dumps(_bounded(event.to_json()), default=str)


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(value, MAX_TEXT)
    if isinstance(value, Mapping):
        return {str(key): _bounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_bounded(item) for item in value]
    return value


@dataclass
class LogContent:
    """What `read_events` found.

    Attributes:
        events: the events as JSON objects, in order.
        is_cut: the last line is incomplete, as a killed run leaves it.
        damaged: line numbers (from 1) that are no events, the cut one not counted.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    is_cut: bool = False
    damaged: list[int] = field(default_factory=list)


def read_events(path: Path) -> LogContent:
    """Read an event log, taking what is readable.

    Raises:
        UsageError: the file cannot be read at all.
    """
    content = LogContent()
    try:
        with path.open("rb") as file:
            for number, (line, is_whole) in enumerate(_lines(file), 1):
                if not line.strip():
                    continue
                value = _event_in(line)
                if value is not None:
                    content.events.append(value)
                elif is_whole:
                    content.damaged.append(number)
                else:
                    content.is_cut = True
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}",
            hint="name the folder of a run, for example runs/latest",
        ) from error
    return content


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Yield lines without their ends, and whether each has one; of too long ones the beginning."""
    while line := file.readline(MAX_LINE + 1):
        end = line
        while len(end) > MAX_LINE and not end.endswith(b"\n"):
            end = file.readline(MAX_LINE + 1) or b"\0"
        yield line.removesuffix(b"\n"), end.endswith(b"\n")


def _event_in(line: bytes) -> dict[str, Any] | None:
    if len(line) > MAX_LINE:
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None
