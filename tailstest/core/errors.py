"""Every error that a user may see, sorted by whose trouble it is.

The class of an error decides the verdict of a scenario and the exit status of a command:
the product (1), the test or its set-up (2), or the infrastructure (3).
"""

from __future__ import annotations

from typing import ClassVar


class TailstestError(Exception):
    """Base of all errors raised on purpose; its text is written for a volunteer.

    Args:
        message: what was expected, what was seen, and which file, field or command it is about.
        hint: what to do next, as one sentence; empty if there is nothing useful to say.
    """

    exit_status: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  What to do: {self.hint}" if self.hint else self.message


class CheckFailed(TailstestError, AssertionError):
    """The image under test did not do what the scenario says it must (product, exit status 1)."""

    exit_status: ClassVar[int] = 1


class MachineStopped(CheckFailed):
    """The guest crashed, shut down or reset by itself while something was waited for."""


class UsageError(TailstestError):
    """The test, a file of it or the command line is wrong (exit status 2)."""

    exit_status: ClassVar[int] = 2


class SetupError(UsageError):
    """Something that must be installed or allowed on this host is not (exit status 2)."""


class InfrastructureError(TailstestError):
    """Host, hypervisor or disk let us down; this says nothing about the product (exit status 3)."""
