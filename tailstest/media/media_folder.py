"""Where the files of a run's media are: gone after each scenario, and after the run."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from tailstest.core.evidence import EvidenceFolder


class MediaFolder:
    """Hands out file names for media; nothing in the folder is evidence.

    Args:
        evidence: the folder of the run, which it is in.
        own: told the folder before it is made; lets it go when the run is over, however it ends.
    """

    def __init__(self, evidence: EvidenceFolder, own: Callable[[Path], None]) -> None:
        self._evidence = evidence
        self._own = own
        # What a dead run owned is removed by name, and so are processes with it in their command
        # lines: no other run may ever have the same, not even one with the same folder.
        self._kind = f".media-{uuid.uuid4().hex[:8]}"
        self._is_owned = False

    def path(self, name: str, suffix: str) -> Path:
        """Return a new path for the file of a medium, its folder created.

        Args:
            name: any text; made safe for a file name.
            suffix: with its dot, for example ".qcow2".

        Raises:
            SetupError: nobody can answer for the folder, because the host cannot run machines.
            InfrastructureError: the same, or the folder cannot be created.
        """
        if not self._is_owned:
            self._own(self._evidence.root / self._kind)
            self._is_owned = True
        return self._evidence.path(self._kind, name, suffix)

    def clear(self) -> None:
        """Remove all that is in it; no machine may use it any more. Harmless if it is empty."""
        shutil.rmtree(self._evidence.root / self._kind, ignore_errors=True)
