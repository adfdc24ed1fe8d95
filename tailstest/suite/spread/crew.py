"""The workers of a run: those of this host, or those of a scheduler that somebody has started."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import distributed

from tailstest.suite.assembly import RunOrder
from tailstest.suite.spread.cluster import local_cluster
from tailstest.suite.spread.workplace import SharedFolder, Workplace


class Crew(Protocol):
    """Who runs scenarios."""

    @property
    def place(self) -> Workplace:
        """What each worker has to know of its place; known while it is at work."""

    @property
    def resources(self) -> Mapping[str, Mapping[str, float]]:
        """Scenario id to the Dask resources that a worker must have for it."""

    @property
    def patience(self) -> float:
        """Seconds without a word of ours after which a worker gives a run up; 0: never."""

    def at_work(self, run: str, folder: Path) -> Any:
        """Return a context in which they wait for tasks of a Dask client.

        Args:
            run: names the run.
            folder: of the run.
        """

    def supply(self) -> None:
        """Send what workers need, once they know the run.

        Raises:
            InfrastructureError: a host cannot keep it.
        """

    def fetch(self, place: str, files: Sequence[str]) -> list[str]:
        """Bring files of a worker into the run's folder; return those that are lost.

        Args:
            place: Dask's address of the worker.
            files: relative to the run's folder.

        Raises:
            InfrastructureError: the run's folder does not take them.
        """

    def notes(self) -> list[str]:
        """Return what users should know of workers that came late; each is returned once."""


class LocalCrew:
    """Workers on this host, which share the run's folder.

    Args:
        order: the run.
        environment: of the run, see `Session.environment`.
        scenarios: how many there are; more workers would be idle.
    """

    resources: Mapping[str, Mapping[str, float]] = {}
    patience = 0.0

    def __init__(self, order: RunOrder, environment: Mapping[str, Any], scenarios: int) -> None:
        self.place: Workplace = SharedFolder(order, environment, Path.cwd())
        self._workers = max(1, min(order.options.workers, scenarios))

    @contextmanager
    def at_work(self, run: str, folder: Path) -> Iterator[distributed.Client]:
        """Return a context in which they wait for tasks."""
        own = folder / ".dask"
        try:
            with local_cluster(self._workers, own) as client:
                yield client
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def supply(self) -> None:
        """Do nothing: everything is here."""

    def fetch(self, place: str, files: Sequence[str]) -> list[str]:
        """Do nothing: the files are where they belong."""
        return []

    def notes(self) -> list[str]:
        """Return nothing: no worker comes late."""
        return []
