"""The main memory of a machine: looked into while it runs, and after it was switched off.

QEMU is asked to keep it in a file without a name (memfd), which the kernel keeps for as long as
anybody has it open. We have, from the start of the machine on: what its memory held in its last
instant can be read after QEMU has ended, and nothing of it is ever written to a disk.

Machines that nobody will search have theirs from the host as any program has. A page of such a
file is there as soon as it was read, even if it was never written to, so that a machine of 2 GiB
takes all of them when it is saved or runs on: running on took 2.6 s so, and 0.6 s without.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.hypervisor.qemu_process import qemu_process
from tailstest.media.pattern_search import SearchResult, search_file

#: What QEMU calls the file (backends/hostmem-memfd.c), as the kernel shows it.
_NAME = "/memfd:memory-backend-memfd"

#: Fewest bytes with content in the memory of a machine that ran: its firmware alone writes more.
LEAST = 64 << 10


class MainMemory:
    """The main memory of one domain, start after start.

    Args:
        domain: `libvirt.virDomain`.
        size: bytes of its memory.
        is_searchable: whether QEMU was asked to keep it in such a file.
    """

    def __init__(self, domain: Any, size: int, *, is_searchable: bool = True) -> None:
        self._domain = domain
        self._size = size
        self._is_searchable = is_searchable
        self._descriptor = -1
        self._trouble: TailstestError = UsageError(
            "the machine was never switched on", hint="start it before its memory is searched"
        )

    def hold(self) -> None:
        """Get hold of the memory of the start that has just begun.

        Trouble is told by `search`: most scenarios never look into the memory.
        """
        self.forget()
        if not self._is_searchable:
            self._trouble = UsageError(
                "the memory of this machine cannot be searched: nobody said so before it started",
                hint="the bundled steps that search it are known before. A step of your own that "
                'does, also one that calls others, needs the mark @asks_for("main memory"); for a '
                "hook, a step or the profile's [machine] must say searchable_memory = true",
            )
            return
        try:
            self._descriptor = _file_of(qemu_process(self._domain).pid, self._size)
        except InfrastructureError as error:
            self._trouble = error

    def forget(self) -> None:
        """Let go of it: if the machine is off, the host gets its memory back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def search(self, needles: Mapping[str, bytes]) -> SearchResult:
        """Search all of it; the processors should stand still.

        Args:
            needles: see `media.pattern_search`.

        Raises:
            UsageError: the machine was never switched on.
            InfrastructureError: it cannot be seen, or is empty: no machine has run in it.
        """
        if self._descriptor < 0:
            raise self._trouble
        result = search_file(self._descriptor, self._size, needles)
        if result.searched < LEAST:
            raise InfrastructureError(
                f"the memory of the machine holds only {result.searched} bytes: it cannot be seen"
            )
        return result


def _file_of(process: int, size: int) -> int:
    """Return a descriptor of the file in which a process of QEMU keeps a guest's memory.

    Raises:
        InfrastructureError: there is none, or it may not be opened.
    """
    hint = 'QEMU must run as the same user: use the setting hypervisor = "embed"'
    try:
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if str(entry.readlink()).startswith(_NAME) and entry.stat().st_size == size:
                    return os.open(entry, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        text = f"the memory of the machine cannot be looked into: {error.strerror}"
        raise InfrastructureError(text, hint=hint) from error
    raise InfrastructureError(
        "the memory of the machine cannot be looked into: QEMU does not keep it in a file",
        hint="a template of your own for domains needs <memoryBacking> as the bundled one has",
    )
