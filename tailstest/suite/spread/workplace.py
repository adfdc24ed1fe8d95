"""Where a Dask worker lets scenarios run, when it shares the run's folder with who started it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tailstest.core.errors import InfrastructureError
from tailstest.suite.assembly import RunOrder
from tailstest.suite.spread.assignment import Assignment

#: How the folders begin, in that of the run, in which processes keep what they keep.
FOLDER = "worker-"


class Workplace(Protocol):
    """What a worker knows of its own host for one run; sent to it, then opened there."""

    def open(self, threads: int) -> None:
        """Get ready, in the worker.

        Args:
            threads: scenarios that this worker may run at once.
        """

    def assignment(self) -> Assignment:
        """Return what the next process is started with.

        Raises:
            InfrastructureError: its folder cannot be made.
        """

    def close(self) -> None:
        """Take away what is not needed any more; no process runs."""


@dataclass
class SharedFolder:
    """The run's own folder, which worker and client both see.

    Attributes:
        order: the run.
        environment: of the run, see `Session.environment`.
        directory: where the user is.
    """

    order: RunOrder
    environment: Mapping[str, Any]
    directory: Path

    def open(self, threads: int) -> None:
        """Get ready: nothing is to be done."""

    def assignment(self) -> Assignment:
        """Return what the next process is started with."""
        return Assignment(
            order=self.order,
            folder=new_folder(self.order.folder),
            root=self.order.folder,
            directory=self.directory,
            environment=self.environment,
        )

    def close(self) -> None:
        """Keep everything: it belongs to the run."""


def new_folder(run: Path) -> Path:
    """Make a folder in that of the run, for what one process keeps.

    Raises:
        InfrastructureError: it cannot be made.
    """
    for number in range(1, 100_000):
        folder = run / f"{FOLDER}{number}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise InfrastructureError(f"cannot make {folder}: {error.strerror}") from error
        return folder
    raise InfrastructureError(f"there is no name left for a worker's folder in {run}")
