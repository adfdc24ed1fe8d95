"""Where a Dask worker on any host lets scenarios run: what it needs arrives, what it keeps goes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.core.paths import cache_folder
from tailstest.core.settings import load_settings
from tailstest.hypervisor.leftovers import remove_leftovers
from tailstest.suite.assembly import RunOrder
from tailstest.suite.image_catalogue import GivenImage
from tailstest.suite.spread.arrivals import Arrivals, Arriving
from tailstest.suite.spread.assignment import LOCK, Assignment, remove_abandoned
from tailstest.suite.spread.host_card import own_card
from tailstest.suite.spread.workplace import FOLDER

#: Seconds that a worker which came late waits for what it needs.
_ARRIVAL_LIMIT = 1800.0


@dataclass(frozen=True)
class SentImage:
    """An image that is sent to every host.

    Attributes:
        wanted: what a step or `--image` says.
        digest: SHA-256 of the file.
        name: of the file.
        profile: name of its family's profile; "" without one.
    """

    wanted: str
    digest: str
    name: str
    profile: str


@dataclass(frozen=True)
class Supplies:
    """What a host needs for a run.

    Attributes:
        order: the run; its paths are relative to the suite.
        suite: digest of the archive of the suite.
        images: that scenarios boot.
    """

    order: RunOrder
    suite: str
    images: tuple[SentImage, ...]

    @property
    def digests(self) -> list[str]:
        """Of all files that must arrive."""
        return list(dict.fromkeys([self.suite, *(each.digest for each in self.images)]))


class RemotePlace:
    """A folder of its own in the cache of the worker's host.

    Args:
        supplies: what it needs.
        crowds: name of a host, see `HostCard.host`, to how many scenarios run there at once.
        code: digest of the tailstest that made this; see `HostCard.code`.
    """

    def __init__(self, supplies: Supplies, crowds: Mapping[str, int], code: str) -> None:
        self._supplies = supplies
        self._code = code
        self._crowds = dict(crowds)

    def open(self, threads: int) -> None:
        """Get ready, and remove what dead workers and dead runs have left on this host."""
        self.arrivals = Arrivals()
        #: Files that are coming just now, by digest.
        self.arriving: dict[str, Arriving] = {}
        self._threads = threads
        self._is_other = own_card().code != self._code
        self._held = contextlib.ExitStack()
        self._root: Path | None = None
        self._lock = threading.Lock()
        _sweep(_base())
        with contextlib.suppress(TailstestError):  # whoever needs that folder, too, tells of it
            remove_leftovers()

    def _own_folder(self) -> Path:
        """Return the folder of this worker, made when it is first needed.

        Raises:
            InfrastructureError: it cannot be made.
        """
        with self._lock:
            if self._root is not None:
                return self._root
            # It gets its name when it is locked: nobody may think that it is a dead worker's.
            fresh = _base() / f".{uuid.uuid4().hex}"
            root = fresh.with_name(fresh.name.removeprefix("."))
            try:
                fresh.mkdir(mode=0o700)
                lock = os.open(fresh / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._held.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX)
                fresh.rename(root)
            except OSError as error:
                raise InfrastructureError(f"cannot make {root}: {error.strerror}") from error
            self._root = root
            return root

    def assignment(self) -> Assignment:
        """Return what the next process is started with; waits for what has not arrived.

        Raises:
            InfrastructureError: something did not arrive.
        """
        supplies, arrivals = self._supplies, self.arrivals
        if self._is_other:
            raise InfrastructureError(
                f"a worker on {os.uname().nodename} came late and has another tailstest",
                hint="install the same tailstest everywhere",
            )
        poll(
            lambda: all(each in arrivals for each in supplies.digests) or None,
            Deadline.after(_ARRIVAL_LIMIT),
        )
        root = self._own_folder()
        arrivals.use(supplies.suite, self._held)
        suite = arrivals.suite(supplies.suite)
        order = replace(
            supplies.order,
            settings=supplies.order.settings.model_copy(
                update={"memory_limit": load_settings().memory_limit}
            ),
            options=replace(
                supplies.order.options,
                workers=max(self._threads, self._crowds.get(arrivals.host, 1)),
            ),
            folder=root,
            given={each.wanted: self._given(each) for each in supplies.images},
        )
        folder = root / f"{FOLDER}{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise InfrastructureError(f"cannot make {folder}: {error.strerror}") from error
        return Assignment(
            order=order,
            folder=folder,
            root=root,
            directory=suite,
            abandoned=root,
            place=os.uname().nodename,
        )

    def _given(self, image: SentImage) -> GivenImage:
        path = self.arrivals.use_named(image.digest, image.name, self._held)
        return GivenImage(path, image.profile)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a piece of a file that a process here has kept.

        Args:
            name: relative to the run's folder.

        Raises:
            InfrastructureError: there is no such file.
        """
        root = self._own_folder().resolve()
        path = (root / name).resolve()
        try:
            if not path.is_relative_to(root):
                raise InfrastructureError(f"{name} is not a file of this run")
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise InfrastructureError(f"cannot read {name}: {error.strerror}") from error

    def close(self) -> None:
        """Remove the folder; what has arrived stays for later runs."""
        for each in self.arriving.values():
            each.close()
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
        self._held.close()


def _base() -> Path:
    folder = cache_folder() / "spread"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _sweep(base: Path) -> None:
    """Remove the folders of workers that were killed."""
    for folder in base.glob("[!.]*"):
        remove_abandoned(folder)


def place_of(dask_worker: Any, plugin: str) -> RemotePlace:
    """Return the place of a run in a Dask worker.

    Raises:
        InfrastructureError: the run is not known there.
    """
    found = dask_worker.plugins.get(plugin)
    place = getattr(found, "place", None)
    if not isinstance(place, RemotePlace):
        raise InfrastructureError(f"the worker {dask_worker.contact_address} has given up this run")
    return place
