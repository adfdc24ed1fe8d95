"""The process of QEMU behind a domain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError

#: Seconds, before scaling, until a process stands still: one of its threads may be writing to a
#: disk, and ends that before.
FREEZE_LIMIT = 30.0


def qemu_process(domain: Any) -> psutil.Process:
    """Return the process that runs a domain; libvirt itself does not tell.

    Two runs that go on from one checkpoint, as two workers do, each have a domain of the same UUID.
    With the embedded driver the folder of its own that libvirt has in each run tells them apart:
    QEMU gets the path of its master key in it.

    Args:
        domain: `libvirt.virDomain`; libvirt gives QEMU its UUID as the option -uuid.

    Raises:
        InfrastructureError: there is none, it belongs to somebody else, or it cannot be told from
            another.
    """
    uuid, root = domain.UUIDString(), _root_of(domain.connect().getURI())
    found = [
        process
        for process, command in qemu_processes()
        if ("-uuid", uuid) in itertools.pairwise(command)
        and (root is None or any(f"{root}/" in word for word in command))
    ]
    if len(found) > 1:
        raise InfrastructureError(
            f"{len(found)} virtual machines of this user are one and the same to libvirt",
            hint='use the setting hypervisor = "embed", which keeps those of each run apart',
        )
    if not found:
        raise InfrastructureError(
            "the process of the virtual machine cannot be found",
            hint='it must run as the same user: use the setting hypervisor = "embed"',
        )
    return found[0]


def qemu_processes() -> Iterator[tuple[psutil.Process, list[str]]]:
    """Yield each process of QEMU that we may look at, with its command line."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue  # ended meanwhile, or belongs to somebody else
        if command and Path(command[0]).name.startswith("qemu"):
            yield process, command


def _root_of(uri: str) -> str | None:
    """Return the folder that the embedded driver of a connection has, if it is that driver."""
    roots = parse_qs(urlsplit(uri).query).get("root")
    return roots[0] if roots else None


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
