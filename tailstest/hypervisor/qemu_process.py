"""The process of QEMU behind a domain."""

from __future__ import annotations

import itertools
from pathlib import Path

import psutil

from tailstest.core.errors import InfrastructureError


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
