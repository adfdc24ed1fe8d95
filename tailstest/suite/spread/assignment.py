"""What a process has to know to run scenarios of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.suite.assembly import RunOrder


@dataclass(frozen=True)
class Assignment:
    """What a process that runs scenarios is started with.

    Attributes:
        order: the run.
        folder: for what it keeps.
        root: names of kept files in events are relative to it.
        directory: where it works; the paths in `order.options` are relative to it.
        environment: of the run, see `Session.environment`; None to find it out.
        place: the host, for the reader of the report; "" where there is only one.
    """

    order: RunOrder
    folder: Path
    root: Path
    directory: Path
    environment: Mapping[str, Any] | None = None
    place: str = ""
