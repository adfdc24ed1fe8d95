"""Programs of ours that run inside: modules that need nothing but Python's standard library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from tailstest.guest.channel import GuestChannel
from tailstest.guest.results import Completed


def run_module(
    channel: GuestChannel, module: ModuleType, words: Sequence[str], *, within: float = 60.0
) -> Completed:
    """Run a module inside, as root, with the Python that is there.

    Nothing of it is left in a file of the guest.

    Args:
        module: one file, which needs only Python's standard library.
        words: its arguments.
        within: seconds, before scaling.

    Raises:
        InfrastructureError: nobody inside answers.
    """
    source = Path(module.__file__ or "").read_text(encoding="utf-8")
    return channel.run(["python3", "-IS", "-c", source, *words], within=within)
