"""What a command in the guest did."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from tailstest.core.text import printable, shortened

#: Characters of each stream that `Completed.explain` quotes.
QUOTE = 2000


@dataclass(frozen=True)
class Completed:
    """A command that has ended.

    Attributes:
        status: exit status, or minus the number of the signal that ended it.
        seconds: how long it ran, by the guest's clock.
        timed_out: it was killed at its time limit.
        truncated: it was killed because it wrote more than the limit to one stream.
        background: it ended, but something that it started still holds its output open.
    """

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    truncated: bool = False
    background: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, with status 0."""
        return self.status == 0 and not self.timed_out and not self.truncated

    @property
    def out(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def err(self) -> str:
        """Standard error as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stderr.decode("utf-8", "replace")

    def explain(self) -> str:
        """Return some lines for a volunteer: which command, how it ended, what it wrote."""
        lines = [f"The command in the guest: {shown_command(self.argv)}", f"  {self._ending()}"]
        if self.background:
            lines.append("  Something that it started goes on in the background.")
        for name, text in (("standard output", self.out), ("standard error", self.err)):
            lines += _quote(name, text)
        return "\n".join(lines)

    def _ending(self) -> str:
        after = f"after {self.seconds:.1f} seconds"
        if self.timed_out:
            return f"It was killed at its time limit, {after}."
        if self.truncated:
            return f"It was killed {after} because it wrote too much."
        if self.status < 0:
            return f"It was ended by signal {_signal_name(-self.status)} {after}."
        return f"It ended with status {self.status} {after}."


def shown_command(argv: Sequence[str], limit: int = 300) -> str:
    """Return a command as a shell would read it, short and safe to show."""
    shell = len(argv) == 3 and tuple(argv[:2]) == ("/bin/sh", "-c")
    return shortened(printable(argv[2] if shell else shlex.join(argv)), limit)


def _quote(name: str, text: str) -> list[str]:
    if not text.strip():
        return [f"  It wrote nothing to {name}."]
    # Cut before escaping, so that 16 MiB of control characters cost nothing.
    quoted = shortened(printable(shortened(text.rstrip(), QUOTE)), 2 * QUOTE)
    return [f"  It wrote to {name}:", *(f"    {line}" for line in quoted.split("\n"))]


def _signal_name(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)
