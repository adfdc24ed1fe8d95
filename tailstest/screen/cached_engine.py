"""An OCR engine that reads every picture once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame
from tailstest.screen.ocr.engine import Engine, LineEngine
from tailstest.screen.text_line import TextLine

#: Readings that are remembered; a wait compares few, and each is some kilobytes.
MAX_READINGS = 32

_Key = tuple[bytes, Region, tuple[Region, ...]]
Lines = tuple[TextLine, ...]


class CachedEngine:
    """Lets one thread at a time use an engine, and remembers what it read.

    Args:
        make: creates the engine when it is first needed; loading one can take a second.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._readings: OrderedDict[_Key, Lines] = OrderedDict()

    @property
    def name(self) -> str:
        """The engine's name; empty before its first use."""
        return self._engine.name if self._engine is not None else ""

    def read(self, frame: Frame, region: Region) -> Lines:
        """Return all lines in a region, in screen coordinates."""

        def read(engine: Engine) -> Sequence[TextLine]:
            return engine.read(frame.crop(region))

        return self._remembered((frame.digest, region, ()), read)

    def read_places(self, frame: Frame, region: Region, places: Sequence[Region]) -> Lines | None:
        """Return the lines at known places (of the screen), None if the engine cannot do that."""
        inside = tuple(place.moved(-region.x, -region.y) for place in places)

        def read(engine: Engine) -> Sequence[TextLine]:
            assert isinstance(engine, LineEngine)
            return engine.read_places(frame.crop(region), inside)

        with self._lock:
            if not isinstance(self._opened(), LineEngine):
                return None
        return self._remembered((frame.digest, region, inside), read)

    def close(self) -> None:
        """Forget all readings and give the engine's memory back."""
        with self._lock:
            self._readings.clear()
            self._engine = None

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = self._make()
        return self._engine

    def _remembered(self, key: _Key, read: Callable[[Engine], Sequence[TextLine]]) -> Lines:
        with self._lock:
            lines = self._readings.get(key)
            if lines is None:
                region = key[1]
                lines = tuple(line.moved(region.x, region.y) for line in read(self._opened()))
                self._readings[key] = lines
                while len(self._readings) > MAX_READINGS:
                    self._readings.popitem(last=False)
            else:
                self._readings.move_to_end(key)
            return lines
