"""What checkpoints want of a session; `suite.resting` is it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tailstest.machine.saved_machine import MachineAtRest, SavedMachine
from tailstest.suite.checkpoints.state import SessionState


class Restable(Protocol):
    """A session whose machine can be put to rest and taken up again."""

    @property
    def state(self) -> SessionState | None:
        """What steps have set up; None if that cannot be kept.

        Raises:
            TailstestError: it cannot be found out.
        """
        ...

    @property
    def is_bare(self) -> bool:
        """Whether nothing has been set up in this scenario yet, by a hook for example."""
        ...

    def own(self, folder: Path) -> None:
        """Let a folder go when the run is over, however it ends."""
        ...

    def rest(self, folder: Path) -> SavedMachine:
        """Stop the machine and write it into a folder.

        Raises:
            MachineLost: it was stopped, and cannot run on.
            TailstestError: it cannot be saved, and runs on.
        """
        ...

    def wake(self, state: SessionState, rest: MachineAtRest) -> None:
        """Take up a state and let its machine run on."""
        ...

    def drop(self) -> None:
        """Take away a machine that did not come up."""
        ...
