"""What a process has to know to run scenarios of a run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.suite.assembly import RunOrder

#: Name of the file in a worker's folder that is locked for as long as the worker lives.
LOCK = "lock"


@dataclass(frozen=True)
class Assignment:
    """What a process that runs scenarios is started with.

    Attributes:
        order: the run.
        folder: for what it keeps.
        root: names of kept files in events are relative to it.
        directory: where it works; the paths in `order.options` are relative to it.
        environment: of the run, see `Session.environment`; None to find it out.
        abandoned: folder that this process removes if its worker is killed; None without one.
        place: the host, for the reader of the report; "" where there is only one.
    """

    order: RunOrder
    folder: Path
    root: Path
    directory: Path
    environment: Mapping[str, Any] | None = None
    abandoned: Path | None = None
    place: str = ""


def remove_abandoned(folder: Path) -> None:
    """Remove a worker's folder unless its worker lives, which has its lock then."""
    with suppress(OSError):
        # A removal that was cut off may have begun with the lock.
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
