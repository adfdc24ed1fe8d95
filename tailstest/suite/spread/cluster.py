"""Dask's scheduler and workers, as threads of this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import distributed
from distributed.node import ServerNode

from tailstest.suite.spread.turns import Turn

#: Seconds that each part may take to close by itself.
_CLOSING = 4.0

#: Seconds of weight that a turn has less than the one in front of it: less than anybody measures.
_BEHIND = 1e-6

#: How Dask behaves for us.
CONFIGURATION = {
    # Scenarios are long and few: none waits in front of a busy worker while another is free.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.default-task-durations": {"scenario": "30s"},
    # Nobody reads its pages.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # A report is written in this process now and then.
    "distributed.admin.tick.limit": "60s",
    "distributed.comm.timeouts.connect": "60s",
}


class _Private(ServerNode):  # type: ignore[misc]  # distributed has no type hints here
    """A part of Dask that no other process can reach."""

    def start_http_server(self, *_arguments: object, **_more: object) -> None:
        """Start none: Dask's would listen on all interfaces, even without a dashboard."""


class _Scheduler(_Private, distributed.Scheduler):  # type: ignore[misc]
    """Dask's, but private."""


class _Worker(_Private, distributed.Worker):  # type: ignore[misc]
    """Dask's, but private."""


@contextmanager
def local_cluster(workers: int, folder: Path) -> Iterator[distributed.Client]:
    """Start a scheduler and some workers in this process; end them all afterwards.

    They are threads that talk without any socket; each starts the processes that it needs.

    Args:
        workers: how many; each runs one task at a time.
        folder: for Dask's own files.
    """
    with dask.config.set(CONFIGURATION):
        options = {"protocol": "inproc://", "security": distributed.Security()}
        own = {"nthreads": 1, "memory_limit": 0, "local_directory": str(folder)}
        cluster = distributed.SpecCluster(
            scheduler={"cls": _Scheduler, "options": {**options, "dashboard": False}},
            workers={
                number: {"cls": _Worker, "options": {**options, **own}} for number in range(workers)
            },
            silence_logs=logging.CRITICAL,
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

    Those with the same weight go in the order of `turns`. Dask has no order for tasks of the same
    priority: what had to wait for a worker goes last in, first out.

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
            priority=turn.weight - number * _BEHIND,
            resources=(resources or {}).get(turn.scenario),
            pure=False,
        )
    return {future: scenario for scenario, future in futures.items()}
