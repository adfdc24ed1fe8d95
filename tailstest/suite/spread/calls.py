"""What a client asks of a Dask worker beside scenarios; each is run there by `Client.run`."""

from __future__ import annotations

import asyncio
from typing import Any

import distributed

from tailstest.core.settings import Settings
from tailstest.suite.spread.arrivals import Arriving
from tailstest.suite.spread.host_card import Abilities, HostCard, ask_abilities, own_card
from tailstest.suite.spread.remote_place import place_of

#: Answer of `begin_arrival` when the same file is just coming from elsewhere.
BUSY = -1


async def ask_card() -> HostCard:
    """Return what the worker's host is."""
    return await asyncio.to_thread(own_card)


async def ask_host(settings: Settings) -> Abilities:
    """Return what the worker's host can do; takes seconds the first time."""
    return await asyncio.to_thread(ask_abilities, settings)


async def announced(dask_worker: Any) -> dict[str, float]:
    """Return the Dask resources that the worker was started with."""
    return {str(name): float(each) for name, each in dask_worker.state.total_resources.items()}


async def offer(resources: dict[str, float], dask_worker: Any) -> bool:
    """Add Dask resources to those of the worker; return True."""
    await dask_worker.set_resources(**resources)
    # Dask looks for somebody to do what nobody could only when a worker starts, or goes on.
    if dask_worker.status == distributed.Status.running:
        dask_worker.status = distributed.Status.paused
        dask_worker.status = distributed.Status.running
    return True


async def begin_arrival(plugin: str, digest: str, size: int, dask_worker: Any) -> int:
    """Get ready for a file; return how much of it is there, or BUSY."""
    place = place_of(dask_worker, plugin)

    def begin() -> int:
        if digest in place.arriving:
            place.arriving.pop(digest).close()
        arriving = Arriving(place.arrivals, digest, size)
        if not arriving.begin():
            return BUSY
        if arriving.have < size:
            place.arriving[digest] = arriving
        return arriving.have

    return await asyncio.to_thread(begin)


async def take_piece(plugin: str, digest: str, offset: int, piece: bytes, dask_worker: Any) -> int:
    """Take a piece of a file; return how much there is now."""
    place = place_of(dask_worker, plugin)
    arriving = place.arriving.get(digest)
    if arriving is None:
        return offset + len(piece)  # a worker for whose host this file is there
    return await asyncio.to_thread(arriving.take, offset, piece)


async def read_piece(plugin: str, name: str, offset: int, length: int, dask_worker: Any) -> bytes:
    """Return a piece of a file that a process of the worker has kept."""
    place = place_of(dask_worker, plugin)
    return await asyncio.to_thread(place.read, name, offset, length)


async def keep_alive(plugin: str, dask_worker: Any) -> bool:
    """Tell the worker that the client lives; return whether it knows the run."""
    found = dask_worker.plugins.get(plugin)
    if found is not None:
        found.hear()
    return found is not None
