"""The end of a text file, without reading all of it."""

from __future__ import annotations

import os
from pathlib import Path


def tail_of(file: Path, limit: int) -> str:
    """Return at most the last `limit` bytes of a file as text, "" when it cannot be read.

    A line that is cut at its beginning is dropped unless it is the only one; bytes that are no
    UTF-8 are replaced, because a guest may send any.
    """
    if limit <= 0:
        return ""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - limit))
            data = stream.read(limit)
    except OSError:
        return ""
    if size > limit:
        _, newline, rest = data.partition(b"\n")
        data = rest if newline else data
    return data.decode("utf-8", "replace")
