"""The folder of checkpoints: published whole, verified before use, kept within a size."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.paths import cache_folder
from tailstest.suite.checkpoints.manifest import (
    MANIFEST,
    Manifest,
    read_manifest,
    write_manifest,
)
from tailstest.suite.checkpoints.packing import SUFFIX, CheckpointDamaged, pack, unpack

_LOCK = "lock"
#: In the folder of a checkpoint that was of no use the last time.
_DOUBTED = "doubted"
#: What is being written, and what is being removed.
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class StoreEntry:
    """A checkpoint in the store.

    Attributes:
        manifest: what is known of it; None if that cannot be read.
        used: when it was used last, in seconds since 1970.
    """

    key: str
    manifest: Manifest | None
    used: float


class CheckpointStore:
    """Checkpoints in one folder, which any number of runs may use at once.

    Args:
        folder: made if it is missing.
        limit: bytes; the least recently used ones go when there are more.

    Raises:
        UsageError: the folder cannot be made, or cannot be written.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot keep checkpoints in {folder}: {error.strerror}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"cannot keep checkpoints in {folder}: it cannot be written")

    def __contains__(self, key: str) -> bool:
        try:
            return (self.folder / key / MANIFEST).is_file()
        except OSError:  # somebody else's, whom we may not read
            return False

    def publish(self, manifest: Manifest, files: Path) -> Manifest:
        """Store a checkpoint; whoever comes second with the same key changes nothing.

        Args:
            manifest: without its files.
            files: folder with them.

        Returns:
            The manifest with its files.

        Raises:
            InfrastructureError: no space, or a file is too large; nothing of it is left.
        """
        try:
            with self._new_work() as work:
                stored = {file.name: pack(file, work) for file in sorted(files.iterdir())}
                full = manifest.model_copy(update={"files": stored})
                write_manifest(full, work)
                with contextlib.suppress(OSError):  # somebody else was first
                    work.rename(self.folder / manifest.key)
        except OSError as error:
            raise InfrastructureError(
                f"cannot store a checkpoint in {self.folder}: {error.strerror}",
                hint="free some space, or `tailstest checkpoints prune`",
            ) from error
        self.prune()
        return full

    def unpack(self, key: str, into: Path) -> Manifest:
        """Unpack a checkpoint into an empty folder, verifying every byte.

        Raises:
            CheckpointDamaged: it is not what was saved, or gone.
            InfrastructureError: no space.
        """
        place = self.folder / key
        with self._reading(place):
            manifest = read_manifest(place)
            for name, file in manifest.files.items():
                unpack(place / f"{name}{SUFFIX}", file, into / name)
            with contextlib.suppress(OSError):
                os.utime(place / MANIFEST)
        return manifest

    def verify(self, key: str) -> None:
        """Read a checkpoint as a whole.

        Raises:
            CheckpointDamaged: says which file is not what was saved.
        """
        place = self.folder / key
        with self._reading(place):
            for name, file in read_manifest(place).files.items():
                unpack(place / f"{name}{SUFFIX}", file, None)

    def discard(self, key: str) -> bool:
        """Remove a checkpoint that nobody is reading; tell whether it is gone."""
        place = self.folder / key
        try:
            with self._locked(place, fcntl.LOCK_EX | fcntl.LOCK_NB):
                gone = self.folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
                place.rename(gone)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def doubt(self, key: str) -> bool:
        """Note that a checkpoint was of no use, which may have been the host's fault.

        Returns:
            Whether it is gone, because it was of no use the last time, too, in this run or another.
        """
        mark = self.folder / key / _DOUBTED
        try:
            mark.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return self.discard(key)
        except OSError:  # somebody else has removed it, or there is no room
            pass
        return False

    def trust(self, key: str) -> None:
        """Note that a checkpoint was of use."""
        with contextlib.suppress(OSError):
            (self.folder / key / _DOUBTED).unlink()

    def entries(self) -> list[StoreEntry]:
        """Return all checkpoints, the most recently used ones first."""
        found = []
        for place in self.folder.iterdir():
            if place.name.startswith(".") or not place.is_dir():
                continue
            manifest, used = None, 0.0
            with contextlib.suppress(InfrastructureError, OSError):
                used = (place / MANIFEST).stat().st_mtime
                manifest = read_manifest(place)
            found.append(StoreEntry(place.name, manifest, used))
        return sorted(found, key=lambda entry: -entry.used)

    def prune(self, limit: int | None = None) -> list[str]:
        """Remove what killed runs left, what cannot be read, and the least recently used ones.

        Args:
            limit: bytes that may stay; the store's own limit if None.

        Returns:
            The keys that were removed. One that is being read stays.
        """
        for left in self.folder.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(OSError), self._locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        room = self._limit if limit is None else limit
        removed = []
        for entry in self.entries():
            size = entry.manifest.size if entry.manifest else 0
            if (entry.manifest is None or size > room) and self.discard(entry.key):
                removed.append(entry.key)
            else:
                room -= size
        return removed

    def has_room(self, since: float) -> bool:
        """Tell whether one more fits, as large as the largest, if only what is old goes.

        Args:
            since: seconds since 1970; what was used later than that stays.
        """
        try:
            sizes = [(each.manifest.size, each.used) for each in self.entries() if each.manifest]
        except OSError:  # somebody has removed the folder
            return False
        stays = sum(size for size, used in sizes if used >= since)
        return stays + max((size for size, _ in sizes), default=0) <= self._limit

    @contextlib.contextmanager
    def _reading(self, place: Path) -> Iterator[None]:
        try:
            with self._locked(place, fcntl.LOCK_SH):
                yield
        except FileNotFoundError as error:
            raise CheckpointDamaged(f"the checkpoint {place.name} is gone") from error
        except OSError as error:
            raise InfrastructureError(
                f"cannot read the checkpoint {place.name}: {error.strerror}"
            ) from error

    @contextlib.contextmanager
    def _new_work(self) -> Iterator[Path]:
        """Make a folder and lock it; it is removed afterwards unless it has another name."""
        while True:
            work = self.folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
            work.mkdir(mode=0o700)
            with contextlib.ExitStack() as held:
                held.callback(shutil.rmtree, work, ignore_errors=True)
                try:
                    held.enter_context(self._locked(work, fcntl.LOCK_EX))
                except FileNotFoundError:
                    continue
                if not (work / _LOCK).exists():
                    continue  # somebody tidied up before it was locked
                yield work
                return

    @contextlib.contextmanager
    def _locked(self, place: Path, how: int) -> Iterator[None]:
        # Locks of flock end with the process, however it ends.
        lock = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)


def checkpoints_folder() -> Path:
    """Return where the user's checkpoints are kept; it may not exist yet."""
    return cache_folder() / "checkpoints"
