"""What an OCR engine is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from tailstest.core.geometry import Region
from tailstest.screen.frame import Pixels
from tailstest.screen.text_line import TextLine


class Engine(Protocol):
    """Reads all text of a picture. An instance is used by one thread at a time."""

    #: Shown in reports, with the version of what does the work.
    name: str

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Return the lines in a picture (uint8, height x width x 3, blue green red).

        Places are pixels of that picture. A picture without text gives an empty list.

        Raises:
            SetupError: the engine or its model is not installed.
        """
        ...


@runtime_checkable
class LineEngine(Engine, Protocol):
    """An engine that can also be told where the lines are, which is far quicker."""

    def read_places(self, pixels: Pixels, places: Sequence[Region]) -> list[TextLine]:
        """Return one line for each place that holds text."""
        ...
