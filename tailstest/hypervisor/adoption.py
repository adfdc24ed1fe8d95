"""Being the parent of QEMU, so that one that has ended is gone at once.

libvirt starts QEMU as a daemon, which leaves it to the first process of the system. It takes a QEMU
for gone when the system no longer knows its number (virProcessKillPainfullyDelay in
src/util/virprocess.c looks every 0.2 s), that is when its parent has asked how it ended. systemd
asks at once. What is the first process of a container may ask seconds later, or never: then libvirt
waits 15 s and says that QEMU cannot be killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tailstest.core.errors import InfrastructureError

#: Of prctl(2): what our descendants leave behind becomes ours (linux/prctl.h).
_PR_SET_CHILD_SUBREAPER = 36

#: Seconds between two looks for the file with QEMU's number: a QEMU that cannot start ends after
#: some 20 ms, and libvirt looks whether it is gone 0.2 s later.
_LOOK = 0.01


class Adoption:
    """One QEMU that is started, becomes our child, and is asked how it ended.

    Args:
        pid_file: where libvirt notes its number.
        number: returns the number of the QEMU that was started, if that file is nowhere; raises an
            InfrastructureError if there is none.
    """

    _lock = threading.Lock()
    _under_way = 0

    def __init__(self, pid_file: Path, number: Callable[[], int]) -> None:
        self._pid_file = pid_file
        self._number = number
        self._is_over = threading.Event()

    @contextmanager
    def while_starting(self) -> Iterator[None]:
        """In it libvirt starts the QEMU, which may end in it, too."""
        try:  # Ctrl-C and a scenario's limit may come anywhere
            self._count(+1)
            threading.Thread(target=self._follow, name="qemu-parent", daemon=True).start()
            yield
        finally:
            self._is_over.set()
            self._count(-1)

    @classmethod
    def _count(cls, change: int) -> None:
        # Only meanwhile: what else becomes an orphan is for the first process of the system. What
        # does so just now is ours, and a zombie until we end; libvirt starts nothing but QEMU.
        with cls._lock:
            cls._under_way = max(0, cls._under_way + change)
            words = (ctypes.c_ulong(each) for each in (int(cls._under_way > 0), 0, 0, 0))
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, *words)

    def _follow(self) -> None:
        while not self._is_over.wait(_LOOK):
            if self._has_ended():
                return
        if not self._has_ended():
            # Another libvirt may have its files elsewhere, and would wait for our zombie.
            with contextlib.suppress(InfrastructureError, OSError):
                os.waitpid(self._number(), 0)

    def _has_ended(self) -> bool:
        """Wait until our child in the file has ended; False at once if the file names none."""
        try:
            os.waitpid(int(self._pid_file.read_text(encoding="ascii")), 0)
        except (OSError, ValueError):
            return False  # not there yet, or that of an earlier start
        return True
