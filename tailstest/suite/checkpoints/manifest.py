"""What is known of a checkpoint, in the file by which the others are verified."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tailstest.core.settings import Strict
from tailstest.suite.checkpoints.packing import CheckpointDamaged, StoredFile, create_private

#: The file, in the folder of a checkpoint.
MANIFEST = "manifest.json"
#: What `sha256sum` would write of it.
_DIGEST = "manifest.sha256"
#: Bytes of it that are read. It has some kB, and what a console has printed.
_MOST_BYTES = 32 * 1024 * 1024
#: Names of files in it: it leads nowhere else.
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


class Manifest(Strict):
    """What is known of a checkpoint.

    Attributes:
        key: of everything it depends on.
        scenario: in which it was saved.
        steps: the steps that led to it.
        made: seconds since 1970.
        seconds: that the steps took.
        state: what the framework needs to go on.
        files: name to what is stored.
    """

    key: str
    scenario: str
    steps: list[str]
    made: float
    seconds: float
    state: dict[str, Any]
    files: dict[str, StoredFile]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files.values())


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write a manifest and its digest; both are on the disk when this returns.

    Raises:
        OSError: they cannot be written.
    """
    body = manifest.model_dump_json().encode()
    for name, data in ((_DIGEST, _digest_line(body)), (MANIFEST, body)):
        with create_private(folder / name) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a checkpoint.

    Args:
        folder: of the checkpoint; its name is the key.

    Raises:
        CheckpointDamaged: it is gone, or not what was saved.
    """
    try:
        with (folder / MANIFEST).open("rb") as file:
            body = file.read(_MOST_BYTES)
        is_right = (folder / _DIGEST).read_bytes() == _digest_line(body)
        manifest = Manifest.model_validate_json(body) if is_right else None
    except (OSError, ValidationError) as error:
        raise CheckpointDamaged(
            f"the checkpoint {folder.name} has no readable {MANIFEST}"
        ) from error
    if manifest is None:
        raise CheckpointDamaged(f"{folder / MANIFEST} is not what was saved: its digest differs")
    if manifest.key != folder.name or not all(map(_NAME.fullmatch, manifest.files)):
        raise CheckpointDamaged(f"the manifest in {folder} belongs to another checkpoint")
    return manifest


def _digest_line(body: bytes) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()}  {MANIFEST}\n".encode()
