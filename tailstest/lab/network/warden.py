"""The first process of a lab: `python -m tailstest.lab.network.warden FOLDER`.

It has namespaces of its own (user, network, mounts, processes) and reads requests from its
standard input, one JSON object a line. When that ends, because the run ended in whatever way, it
ends too, and the kernel takes everything with it that was in the lab.

Only the standard library is used here, so that a lab is up quickly.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tailstest.lab.network.addressing import addressing
from tailstest.lab.network.links import (
    LinksFailed,
    add_addresses,
    add_bridge,
    add_cable,
    block,
    plug_in,
    ready_namespace,
    remove_cable,
)
from tailstest.lab.network.plan import Network, Seat
from tailstest.lab.network.quality import Quality
from tailstest.lab.network.recording import Recording
from tailstest.lab.network.relay import Relay
from tailstest.lab.network.supervisor import Service, ServiceFailed, Supervisor

#: Bytes of one request.
LONGEST_REQUEST = 1 << 20

_NEIGHBOUR = "tailstest.lab.network.servers.neighbour"


class Warden:
    """Does what the run asks for, inside the lab.

    Args:
        folder: private to the lab: logs and state of the servers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._supervisor = Supervisor(folder, tell_trouble)
        self._networks: dict[int, Network] = {}
        self._answers: dict[int, dict[str, list[str]]] = {}
        self._relays: dict[str, Relay] = {}
        self._cables = 0

    async def add_network(self, number: int, kind: Any) -> None:
        """Make a network and its server."""
        network = self._networks[number] = Network(number, kind)
        add_bridge(network)
        await self._serve_addresses(number)

    async def attach(self, name: str, network: int, path: str, capture: str, limit: int) -> None:
        """Make a wire for a machine that will connect to the socket `path`."""
        await self.detach(name)
        self._cables += 1
        outer = add_cable(self._cables, self._networks[network])
        relay = Relay(name, Path(path), outer, Recording(Path(capture), limit), tell_trouble)
        await relay.open()
        self._relays[name] = relay

    async def detach(self, name: str) -> None:
        """Take a wire away."""
        relay = self._relays.pop(name, None)
        if relay is not None:
            relay.close()
            remove_cable(relay.interface)

    async def add_neighbour(self, network: int, number: int, path: str, seconds: float) -> None:
        """Put a neighbour into a network; it answers at the socket `path`."""
        seat = Seat(self._networks[network], number)
        argv = ["unshare", "--net", sys.executable, "-m", _NEIGHBOUR, path, seat.mac]
        await self._supervisor.start(Service(seat.name, argv, "ready", seconds))
        plug_in(seat, self._supervisor.running[seat.name])

    async def shape(self, name: str, **quality: Any) -> None:
        """Make a wire good or bad."""
        self._relays[name].shape(Quality(**quality))

    async def block(self, network: int, protocol: str, port: int) -> None:
        """Block a port."""
        block(self._networks[network], protocol, port)

    async def answer(self, network: int, name: str, addresses: list[str]) -> None:
        """Let the network's name server tell these addresses for a name."""
        self._answers.setdefault(network, {})[name] = addresses
        await self._serve_addresses(network)

    async def add_addresses(self, addresses: list[str]) -> None:
        """Give the lab's Internet further addresses."""
        add_addresses(addresses)

    async def start_all(self, argvs: dict[str, list[str]], ready: str, seconds: float) -> None:
        """Start servers that do not need one another, or one."""
        services = [Service(name, argv, ready, seconds) for name, argv in argvs.items()]
        await self._supervisor.start_all(services)

    async def stop(self, name: str) -> None:
        """End a server."""
        await self._supervisor.stop(name)

    async def state(self) -> dict[str, Any]:
        """Return what runs, and what passed each wire."""
        return {
            "services": self._supervisor.running,
            "wires": {name: relay.state() for name, relay in self._relays.items()},
        }

    async def _serve_addresses(self, number: int) -> None:
        network = self._networks[number]
        service = addressing(network, self._folder, self._answers.get(number, {}))
        await self._supervisor.stop(service.name)
        await self._supervisor.start(service)


#: What may be asked for.
REQUESTS = frozenset(
    {
        "add_network",
        "add_neighbour",
        "attach",
        "detach",
        "shape",
        "block",
        "answer",
        "add_addresses",
        "start_all",
        "stop",
        "state",
    }
)


def tell(**values: Any) -> None:
    """Write one line to whoever runs the lab."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def tell_trouble(text: str) -> None:
    """Tell that something is no longer as it should be."""
    tell(event="trouble", text=text)


async def serve(folder: Path) -> None:
    """Answer requests until there are no more."""
    ready_namespace()
    warden = Warden(folder)
    requests = asyncio.StreamReader(limit=LONGEST_REQUEST)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(requests), sys.stdin
    )
    tell(event="ready", pid=os.getpid())
    while line := await requests.readline():
        request = json.loads(line)
        tell(**await answered(warden, request))


async def answered(warden: Warden, request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked for; return the answer, or why it was not possible."""
    what = request.pop("do")
    if what not in REQUESTS:
        return {"error": f"nobody can {what} here"}
    try:
        return {"answer": await getattr(warden, what)(**request)}
    except (LinksFailed, ServiceFailed, OSError) as error:
        return {"error": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        return {"error": f"{what}: {type(error).__name__}: {error}"}


if __name__ == "__main__":
    try:
        asyncio.run(serve(Path(sys.argv[1])))
    except LinksFailed as failure:
        tell(error=str(failure))
    # The end of the first process of a process namespace is the end of all others.
    os._exit(0)
