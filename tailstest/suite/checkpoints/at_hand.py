"""The checkpoints that a run has at hand: unpacked, in a folder of the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from tailstest.core.errors import InfrastructureError
from tailstest.core.settings import Strict
from tailstest.machine.saved_machine import SavedMachine
from tailstest.suite.checkpoints.packing import CheckpointDamaged
from tailstest.suite.checkpoints.state import SessionState
from tailstest.suite.checkpoints.store import CheckpointStore

#: Unpacked checkpoints that a run keeps at hand; scenarios come in groups.
_MOST = 3


class Whole(Strict):
    """All that is kept of a checkpoint besides files."""

    session: SessionState
    machine: SavedMachine


class AtHand:
    """Unpacked checkpoints of one run, those that were saved or unpacked last.

    Args:
        work: folder for them; made with the first one.
        store: where they come from.
        own: lets a folder go when the run is over, however it ends.
    """

    def __init__(self, work: Path, store: CheckpointStore, own: Callable[[Path], None]) -> None:
        self._work = work
        self._store = store
        self._own = own
        self._wholes: dict[str, Whole] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._wholes

    def folder(self, key: str) -> Path:
        """Return where the files of a checkpoint are; there may be none yet."""
        return self._work / key

    def get(self, key: str) -> Whole:
        """Return a checkpoint, which is unpacked if it is not at hand.

        Raises:
            CheckpointDamaged: it is not what was saved, or gone.
            InfrastructureError: no space.
        """
        return self._wholes.get(key) or self._unpacked(key)

    def _unpacked(self, key: str) -> Whole:
        folder = self.new_folder(key)
        try:
            manifest = self._store.unpack(key, folder)
            whole = Whole.model_validate(manifest.state)
        except ValidationError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise CheckpointDamaged(f"the checkpoint {key} cannot be understood") from error
        except InfrastructureError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.keep(key, whole)
        return whole

    def new_folder(self, key: str) -> Path:
        """Make an empty folder for a checkpoint; the oldest one goes if there are many.

        Raises:
            InfrastructureError: no space, no permission.
        """
        while len(self._wholes) >= _MOST:
            self.forget(next(iter(self._wholes)))
        folder = self.folder(key)
        try:
            if not self._work.exists():
                self._own(self._work)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise InfrastructureError(f"cannot make {folder}: {error.strerror}") from error
        return folder

    def keep(self, key: str, whole: Whole) -> None:
        """Note what is known of a checkpoint whose files are in its folder."""
        self._wholes[key] = whole

    def forget(self, key: str) -> None:
        """Remove a checkpoint and its files; harmless if there is none."""
        self._wholes.pop(key, None)
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def close(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._work, ignore_errors=True)
