"""Dask's scheduler and worker processes on this host, private to this run."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import distributed

from tailstest.suite.spread.turns import Turn

#: How often a scenario may take its worker process with it before it is given up.
ALLOWED_FAILURES = 1
#: Seconds that each part may take to close by itself.
_CLOSING = 4.0

#: How Dask behaves for us.
CONFIGURATION = {
    "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
    # Scenarios are long and few: none waits in front of a busy worker while another is free.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.default-task-durations": {"scenario": "30s"},
    # No pages, and nothing that listens without the run's certificate.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # OpenCV and OCR keep the interpreter busy for a while now and then.
    "distributed.admin.tick.limit": "60s",
    "distributed.comm.timeouts.connect": "60s",
}


@contextmanager
def local_cluster(workers: int, folder: Path) -> Iterator[distributed.Client]:
    """Start a scheduler in this process and some worker processes; end them all afterwards.

    They talk over TLS on the loopback device, with a certificate that is made for this run and
    kept in memory, so that no other user can hand them work.

    Args:
        workers: how many processes; each runs one task at a time.
        folder: for Dask's own files.
    """
    with dask.config.set(CONFIGURATION):
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=distributed.Security.temporary(),
            dashboard_address=None,
            worker_dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            local_directory=str(folder),
        )
        client = distributed.Client(cluster)
        try:
            yield client
        finally:
            # A worker process that is just being started again, in the place of one that was
            # killed, takes Dask longer than this; then it is killed.
            with suppress(TimeoutError):
                client.close(timeout=_CLOSING)
            with suppress(TimeoutError):
                cluster.close(timeout=_CLOSING)
            for process in multiprocessing.active_children():
                process.kill()
                process.join()


def submit(
    client: distributed.Client, turns: Sequence[Turn], task: Callable[[str, object], object]
) -> dict[distributed.Future, str]:
    """Hand all turns to Dask: those with the largest weight first, each behind its leader.

    Args:
        task: takes the id of a scenario, and what its leader's task returned.

    Returns:
        What becomes of each scenario, with its id.
    """
    futures: dict[str, distributed.Future] = {}
    for number, turn in enumerate(turns):
        futures[turn.scenario] = client.submit(
            task,
            turn.scenario,
            futures[turn.after] if turn.after is not None else None,
            key=f"scenario-{number}",
            priority=turn.weight,
            pure=False,
        )
    return {future: scenario for scenario, future in futures.items()}
