"""Runs that tests start beside one another share the cores of the host."""

import os

from tailstest.hypervisor.host_speed import usable_cores

_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _PROCESSES > 1:
    os.environ.setdefault("TAILSTEST_CORES", str(max(1, usable_cores() // _PROCESSES)))
