"""File names inside the folder of one run."""

from __future__ import annotations

import itertools
from pathlib import Path

from tailstest.core.errors import InfrastructureError
from tailstest.core.paths import safe_stem


class EvidenceFolder:
    """Hands out unused file names in a run's folder; no room invents paths of its own.

    Args:
        root: the folder of the run, or that of one worker inside it; it must exist.
        run: the folder of the run, if `root` is a worker's.
    """

    def __init__(self, root: Path, run: Path | None = None) -> None:
        self.root = root
        self._run = run or root
        self._counter = itertools.count(1)

    def path(self, kind: str, name: str, suffix: str) -> Path:
        """Return a new path `root/kind/NNNN-name.suffix`, its folder created.

        Args:
            kind: sub-folder chosen by our code ("frames", "logs"), never by a guest.
            name: any text; made safe for a file name.
            suffix: with its dot, for example ".png".

        Raises:
            InfrastructureError: the folder cannot be created (full disk, not writable).
        """
        folder = self.root / kind
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(
                f"cannot keep evidence in {folder}: {error.strerror}",
                hint="free some space or choose another folder with --output",
            ) from error
        return folder / f"{next(self._counter):04d}-{safe_stem(name)}{suffix}"

    def relative(self, path: Path) -> str:
        """Return `path` as events name it: relative to the run's folder, with slashes."""
        return path.relative_to(self._run).as_posix()
