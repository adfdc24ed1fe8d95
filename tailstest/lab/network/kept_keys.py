"""Keys that all labs of a user have in common.

A machine that runs on from a checkpoint trusts the lab in which it was saved; it must find the same
keys in its new one. They protect nothing but labs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
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


def kept_folder(path: Path, make: Callable[[Path], None]) -> Path:
    """Return a private folder that was made once; the first who asks makes it.

    Several may ask at once, in several processes: all get the same.

    Args:
        make: fills an empty folder beside it, which becomes this one when it is complete.
    """
    if path.is_dir():
        return path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="building-", dir=path.parent))
    try:
        make(building)
        building.rename(path)
    except OSError:
        if not path.is_dir():  # another was quicker, and made just as good ones
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return path
