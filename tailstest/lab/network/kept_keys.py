"""Keys that all labs of a user have in common.

A machine that runs on from a checkpoint trusts the lab in which it was saved; it must find the same
keys in its new one. They protect nothing but labs.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the content of a private file; the first who asks makes it.

    Several may ask at once, in several processes: all get the same.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:
        file.write(make())
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another was quicker
            os.link(file.name, path)
    return path.read_bytes()
