"""Whether UEFI firmware finds its loader in a FAT file system inside an image."""

from __future__ import annotations

import os
import subprocess
from enum import Enum
from pathlib import Path

#: Where 64-bit PC firmware looks on removable media (UEFI 2.10, 3.5.1.1).
LOADER = "EFI/BOOT/BOOTX64.EFI"

#: Seconds for reading a small FAT file system.
MDIR_LIMIT = 20


class Loader(Enum):
    """What is known about the loader; UNKNOWN means that the tool for looking is missing."""

    THERE = "there"
    MISSING = "missing"
    UNKNOWN = "unknown"


def find_loader(image: Path, offset: int) -> Loader:
    """Look for the loader in the FAT file system that begins `offset` bytes into `image`.

    A place without a FAT file system has no loader either.
    """
    command = ["mdir", "-b", "-i", f"{image.absolute()}@@{offset}", f"::/{LOADER}"]
    # Microsoft's own boot images have a geometry that mtools would refuse.
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=MDIR_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Loader.UNKNOWN
    return Loader.THERE if done.returncode == 0 else Loader.MISSING
