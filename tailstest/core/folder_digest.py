"""One digest for all that is in a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def digest_of_folder(folder: Path) -> str:
    """Return the digest of names and contents of all files in a folder, or of one file."""
    if folder.is_file():
        return hashlib.sha256(folder.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(_files_in(folder)):
        digest.update(os.fsencode(file.relative_to(folder)) + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield all files, also those behind links; a folder that is linked twice counts once."""
    seen = {folder.resolve()}
    for place, folders, names in os.walk(folder, followlinks=True):
        within = [Path(place, name) for name in sorted(folders) if name != "__pycache__"]
        real = {each.name: each.resolve() for each in within}
        folders[:] = [name for name, path in real.items() if path not in seen]
        seen.update(real.values())
        yield from (file for name in names if (file := Path(place, name)).is_file())
