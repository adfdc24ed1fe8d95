"""The process of QEMU behind a domain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError

#: Seconds, before scaling, until a process stands still: one of its threads may be writing to a
#: disk, and ends that before.
FREEZE_LIMIT = 30.0


def qemu_process(uuid: str) -> psutil.Process:
    """Return the process that runs a domain; libvirt itself does not tell.

    Args:
        uuid: of the domain, which libvirt gives QEMU as its option -uuid.

    Raises:
        InfrastructureError: there is none, or it belongs to somebody else.
    """
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue  # ended meanwhile, or belongs to somebody else
        if (
            command
            and Path(command[0]).name.startswith("qemu")
            and ("-uuid", uuid) in itertools.pairwise(command)
        ):
            return process
    raise InfrastructureError(
        "the process of the virtual machine cannot be found",
        hint='it must run as the same user: use the setting hypervisor = "embed"',
    )


@contextmanager
def frozen(process: psutil.Process, *, deadline_scale: float) -> Iterator[None]:
    """Stop a process as it is, with all that it has not done yet; let it go on afterwards.

    Args:
        deadline_scale: factor of the host's slowness.

    Raises:
        InfrastructureError: it has ended, or does not stop.
    """
    try:
        process.suspend()
        try:
            # The signal comes to each thread in its own time.
            deadline = Deadline.after(FREEZE_LIMIT, scale=deadline_scale)
            if poll(lambda: _stands_still(process.pid) or None, deadline, interval=0.002) is None:
                raise InfrastructureError("the virtual machine cannot be frozen: it goes on")
            yield
        finally:
            process.resume()
    except psutil.Error as error:
        raise InfrastructureError(f"the virtual machine cannot be frozen: {error}") from error


def _stands_still(number: int) -> bool:
    """Tell whether all threads of a process are stopped."""
    try:
        states = [
            entry.read_text().rpartition(")")[2].split()[0]
            for entry in Path(f"/proc/{number}/task").glob("*/stat")
        ]
    except OSError:  # a thread has ended meanwhile
        return False
    return bool(states) and all(state in "Tt" for state in states)
