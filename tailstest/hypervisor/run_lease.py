"""The register of live runs: one locked file a run, that outlives a run that was killed.

The file is a list of JSON lines, only ever appended to, so that a kill in the middle of a write
costs at most the last line. The lock (flock) belongs to the process and vanishes with it, whatever
ended it: a lease whose lock is free belongs to a run that is dead.
"""

from __future__ import annotations

import fcntl
import json
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from tailstest.core.errors import InfrastructureError
from tailstest.core.paths import state_folder

SUFFIX = ".lease"
#: A lease has some lines; more than this is not one of ours.
MAX_LEASE_BYTES = 1024 * 1024


def leases_folder() -> Path:
    """Return the folder with the leases of this user's runs."""
    folder = state_folder() / "runs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def lease_path(run_id: str) -> Path:
    """Return where the lease of a run is kept."""
    return leases_folder() / f"{run_id}{SUFFIX}"


def boot_id() -> str:
    """Return the kernel's id of the present boot; "" where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class LeaseNotes:
    """What a lease says.

    Attributes:
        run_id: of the run; also the mark in its domains' XML.
        uri: libvirt connection that it uses.
        pid: process that ran it, for people only; the lock tells whether it lives.
        started: when that process started, seconds since the epoch.
        boot: `boot_id` of that time; after another boot there are no processes to end.
        belongings: files and folders that must go when the run is over.
    """

    run_id: str
    uri: str
    pid: int
    started: float
    boot: str
    belongings: tuple[Path, ...]


class RunLease:
    """The registration of a live run; hold it as long as the run lasts.

    Create with `take`, end with `release`.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._handed_over: set[Path] = set()
        # A forked child would hold the lock on after our death.
        own = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _close_in_child(own))

    @classmethod
    def take(cls, run_id: str, uri: str) -> RunLease:
        """Register a run of this process.

        Args:
            run_id: unique; becomes the name of the file.
            uri: libvirt connection it will use.

        Raises:
            InfrastructureError: the register cannot be written.
        """
        path = lease_path(run_id)
        # Locked before it gets its name: nobody ever sees a live lease with a free lock.
        hidden = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            file = hidden.open("x+b", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lease = cls(path, file)
            lease._note(
                run=run_id,
                uri=uri,
                pid=os.getpid(),
                started=psutil.Process().create_time(),
                boot=boot_id(),
            )
            hidden.rename(path)
        except OSError as error:
            hidden.unlink(missing_ok=True)
            raise InfrastructureError(
                f"cannot register this run in {path.parent}: {error.strerror}",
                hint="free some space there, or set XDG_STATE_HOME to a writable folder",
            ) from error
        return lease

    def own(self, path: Path) -> None:
        """Note that a file or folder must go when the run is over, however it ends.

        Raises:
            InfrastructureError: the note cannot be written.
        """
        self._checked_note(remove=str(path.absolute()))

    def disown(self, path: Path) -> None:
        """Note that a file is complete and to be kept, or was removed already.

        Raises:
            InfrastructureError: the note cannot be written.
        """
        self._checked_note(keep=str(path.absolute()))

    def hand_over(self, path: Path) -> None:
        """Take it that another run of this process answers for a file or folder from now on."""
        self._handed_over.add(path.absolute())

    def release(self) -> None:
        """End the registration; the caller has removed what the run owned.

        Where something of it is still there (the removal was interrupted or did not succeed),
        the lease stays, as that of a dead run, so that the guardian or the next start removes it.
        """
        notes = read_notes(self._file)
        belongings = set(notes.belongings if notes else ()) - self._handed_over
        if not any(os.path.lexists(each) for each in belongings):
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _checked_note(self, **note: Any) -> None:
        try:
            self._note(**note)
        except OSError as error:
            raise InfrastructureError(
                f"cannot write {self.path}: {error.strerror}", hint="free some space there"
            ) from error

    def _note(self, **note: Any) -> None:
        self._file.write(json.dumps(note).encode() + b"\n")


def _close_in_child(lease: weakref.ref[RunLease]) -> None:
    found = lease()
    if found is not None and not found._file.closed:
        found._file.close()


def read_notes(file: IO[bytes]) -> LeaseNotes | None:
    """Read a lease from its start; None when it is not one (damaged, foreign)."""
    file.seek(0)
    head: dict[str, Any] = {}
    belongings: dict[Path, None] = {}
    for line in file.read(MAX_LEASE_BYTES).splitlines():
        try:
            note = json.loads(line)
        except ValueError:
            continue  # cut off by the kill
        if not isinstance(note, dict):
            continue
        if "run" in note:
            head = note
        elif isinstance(note.get("remove"), str):
            belongings[Path(note["remove"])] = None
        elif isinstance(note.get("keep"), str):
            belongings.pop(Path(note["keep"]), None)
    try:
        return LeaseNotes(
            run_id=str(head["run"]),
            uri=str(head["uri"]),
            pid=int(head["pid"]),
            started=float(head["started"]),
            boot=str(head["boot"]),
            belongings=tuple(belongings),
        )
    except (KeyError, TypeError, ValueError):
        return None
