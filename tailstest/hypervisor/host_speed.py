"""How fast this host is, as the factor that stretches every deadline."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: Seconds that one round of work of the boot program (boot_probe.S) takes under TCG on the host
#: that deadlines are written for: a virtual machine with 2 cores of an Intel Xeon of 2023 at
#: 2.6 GHz, QEMU 7.2, otherwise idle; median of three rounds, five starts within 3 %.
NOMINAL_WORK_SECONDS = 0.42

#: A host that seems slower than this is measured wrongly or of no use.
MAX_SCALE = 20.0
#: Load comes and goes, so it counts for less than speed.
MAX_LOAD_SCALE = 4.0


@dataclass(frozen=True)
class HostSpeed:
    """What was measured.

    Attributes:
        work_seconds: one round of work of the boot program under the chosen accelerator.
        nominal_seconds: the same on the host that deadlines are written for, under TCG.
        load_per_core: processes that wanted to run in the last minute, for each core.
        forced_scale: the setting `deadline_scale`; 0 when it is left to us.
        crowding: processors of all machines that will run beside one another, for each core.
    """

    work_seconds: float
    load_per_core: float
    forced_scale: float = 0.0
    nominal_seconds: float = NOMINAL_WORK_SECONDS
    crowding: float = 1.0

    @property
    def deadline_scale(self) -> float:
        """Factor on every deadline: at least 1, as fast hosts lose nothing by patience."""
        if self.forced_scale > 0:
            return self.forced_scale
        slowness = min(MAX_SCALE, max(1.0, self.work_seconds / self.nominal_seconds))
        load = min(MAX_LOAD_SCALE, max(1.0, self.load_per_core, self.crowding))
        return round(min(MAX_SCALE, slowness * load), 2)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def load_per_core() -> float:
    """Return the load average of the last minute for each usable core."""
    return os.getloadavg()[0] / usable_cores()
