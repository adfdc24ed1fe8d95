"""A small process that cleans up at once after a run that was killed.

`python -m tailstest.hypervisor.guardian LEASE` waits on its standard input, a pipe whose other end
only the run holds. When the run ends in order its lease is gone by then and nothing is left to do.
Where the guardian is killed too, the next start does the same work.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tailstest.core.deadline import Deadline, poll
from tailstest.hypervisor.leftovers import remove_leftovers_of

#: Seconds to wait for the kernel to take down a killed run and so free its lock.
UNLOCK_TIMEOUT = 60.0
#: Seconds that an orderly end waits for the guardian; it has nothing more to do then.
END_TIMEOUT = 5.0

#: With -m, Python looks for modules in the current folder first.
_IMPORT_FOLDER = Path(__file__).resolve().parents[2]


class Guardian:
    """The guardian of one run, started by that run.

    Args:
        lease: file of the run's lease.
    """

    def __init__(self, lease: Path) -> None:
        self._lease = lease
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(lease)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in a terminal reaches the whole process group; the guardian must survive it.
            start_new_session=True,
            cwd=_IMPORT_FOLDER,
        )

    def dismiss(self) -> None:
        """Let it end; call after the lease was released.

        Where the lease stayed, it has something to remove, and may take its time for that.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            if not self._lease.exists():
                self._process.kill()
                self._process.wait()


def watch(lease: Path) -> None:
    """Wait until standard input ends, then clean up if the lease is still there."""
    while os.read(0, 4096):
        pass

    def done() -> bool | None:
        remove_leftovers_of(lease)
        return not lease.exists() or None

    poll(done, Deadline.after(UNLOCK_TIMEOUT))


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
