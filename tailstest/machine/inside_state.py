"""What steps know of the inside, in a form that a checkpoint keeps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tailstest.core.settings import Strict
from tailstest.guest.results import Completed


class CommandState(Strict):
    """The last command that a step ran, as a later step may still ask for its output.

    Attributes:
        stdout, stderr: a character for each byte (Latin-1), as JSON knows no bytes.
    """

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool
    truncated: bool
    background: bool

    @classmethod
    def of(cls, done: Completed) -> CommandState:
        """Return a command that has ended in this form."""
        return cls(
            argv=done.argv,
            status=done.status,
            stdout=done.stdout.decode("latin-1"),
            stderr=done.stderr.decode("latin-1"),
            seconds=done.seconds,
            timed_out=done.timed_out,
            truncated=done.truncated,
            background=done.background,
        )

    def completed(self) -> Completed:
        """Return the command as it was."""
        values = dict(self)
        values["stdout"] = self.stdout.encode("latin-1")
        values["stderr"] = self.stderr.encode("latin-1")
        return Completed(**values)


class InsideState(Strict):
    """What steps know of the inside.

    Attributes:
        remembered: texts by name, for later steps.
        last: the last command; None if there was none.
        clock_ahead: seconds by which the clock inside was ahead of the host's; 0.0 where it was
            not set wrong on purpose, however late a slow host makes it.
    """

    remembered: dict[str, str] = Field(default_factory=dict)
    last: CommandState | None = None
    clock_ahead: Annotated[float, Field(allow_inf_nan=False)] = 0.0
