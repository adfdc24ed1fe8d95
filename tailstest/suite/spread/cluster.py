"""Dask's scheduler and workers, as threads of this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import distributed

from tailstest.suite.spread.turns import Turn

#: Seconds that each part may take to close by itself.
_CLOSING = 4.0

#: How Dask behaves for us.
CONFIGURATION = {
    # Scenarios are long and few: none waits in front of a busy worker while another is free.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.default-task-durations": {"scenario": "30s"},
    # Nothing that listens.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # A report is written in this process now and then.
    "distributed.admin.tick.limit": "60s",
    "distributed.comm.timeouts.connect": "60s",
}


@contextmanager
def local_cluster(workers: int, folder: Path) -> Iterator[distributed.Client]:
    """Start a scheduler and some workers in this process; end them all afterwards.

    They are threads that talk without any socket; each starts the processes that it needs.

    Args:
        workers: how many; each runs one task at a time.
        folder: for Dask's own files.
    """
    with dask.config.set(CONFIGURATION):
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
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
            with suppress(TimeoutError):
                client.close(timeout=_CLOSING)
            with suppress(TimeoutError):
                cluster.close(timeout=_CLOSING)


def submit(
    client: distributed.Client,
    turns: Sequence[Turn],
    task: Callable[[str, object], object],
    *,
    name: str = "scenario",
    resources: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[distributed.Future, str]:
    """Hand all turns to Dask: those with the largest weight first, each behind its leader.

    Args:
        task: takes the id of a scenario, and what its leader's task returned.
        name: how the keys of the tasks begin, different for each run.
        resources: scenario id to what a worker must have, see Dask's worker resources.

    Returns:
        What becomes of each scenario, with its id.
    """
    futures: dict[str, distributed.Future] = {}
    for number, turn in enumerate(turns):
        futures[turn.scenario] = client.submit(
            task,
            turn.scenario,
            futures[turn.after] if turn.after is not None else None,
            key=f"{name}-{number}",
            priority=turn.weight,
            resources=(resources or {}).get(turn.scenario),
            pure=False,
        )
    return {future: scenario for scenario, future in futures.items()}
