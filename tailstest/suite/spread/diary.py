"""What a worker told, in a file of its own: what it sends may be on its way when it is killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_FILE = "told.jsonl"


class Diary:
    """Written to by a worker; each message is handed to the operating system before it is sent.

    A full disk is no trouble of the diary: the messages are sent all the same, and whoever takes
    them tells of the full disk.

    Args:
        folder: of the worker.
    """

    def __init__(self, folder: Path) -> None:
        self._file = -1
        with suppress(OSError):
            self._file = os.open(folder / _FILE, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, message: Mapping[str, Any]) -> None:
        """Write a message of JSON values."""
        if self._file >= 0:
            with suppress(OSError):
                os.write(self._file, (json.dumps(message) + "\n").encode("ascii"))

    def close(self) -> None:
        """Close the file; harmless when done before."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_diary(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole messages in a worker's folder; nothing if there are none."""
    with suppress(OSError), (folder / _FILE).open(encoding="ascii", errors="replace") as file:
        for line in file:
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    yield message


def remove_diary(folder: Path) -> None:
    """Remove it, when all that it says is written elsewhere."""
    with suppress(OSError):
        (folder / _FILE).unlink()
