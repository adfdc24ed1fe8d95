"""The lab's servers: started, waited for, watched, ended; inside the lab's namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds for a server to end when it is asked to.
END_LIMIT = 3.0
#: Seconds between two looks at the log of a server that starts.
LOOK_INTERVAL = 0.02
#: Bytes read of a server's log.
LOG_END = 4000


class ServiceFailed(Exception):
    """A server did not start; the text names it and quotes what it said."""


@dataclass(frozen=True)
class Service:
    """A server of the lab.

    Attributes:
        name: for messages and for its log.
        argv: the command.
        ready: what its log says when it can be used.
        seconds: that it may take until then.
    """

    name: str
    argv: Sequence[str]
    ready: str
    seconds: float


class Supervisor:
    """Runs servers and tells when one ends that nobody asked to.

    Args:
        folder: gets one log for each server.
        on_death: called with one sentence for a server that died.
    """

    def __init__(self, folder: Path, on_death: Callable[[str], None]) -> None:
        self._folder = folder
        self._on_death = on_death
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._watches: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> dict[str, int]:
        """Names of the servers that run, to their process numbers inside the lab."""
        return {name: process.pid for name, process in self._running.items()}

    async def start(self, service: Service) -> None:
        """Start a server and wait until it can be used.

        Raises:
            ServiceFailed: it ended, or was not ready in time.
        """
        path = self.log_of(service.name)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *service.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
            )
        except OSError as error:
            raise ServiceFailed(
                f"the lab's server {service.name} cannot be started: "
                f"{service.argv[0]}: {error.strerror}"
            ) from error
        finally:
            os.close(descriptor)
        end = time.monotonic() + service.seconds
        while service.ready.encode() not in self._end_of(path):
            if process.returncode is not None:
                raise ServiceFailed(
                    f"the lab's server {service.name} ended while it started "
                    f"(status {process.returncode}): {self._last_words(path)}"
                )
            if time.monotonic() > end:
                process.kill()
                await process.wait()
                raise ServiceFailed(
                    f"the lab's server {service.name} was not ready after "
                    f"{service.seconds:.0f} s: {self._last_words(path)}"
                )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LOOK_INTERVAL)
        self._running[service.name] = process
        watch = asyncio.create_task(self._watch(service.name, process))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def start_all(self, services: Sequence[Service]) -> None:
        """Start servers that do not need one another, all at once; wait until they can be used.

        Raises:
            ServiceFailed: one did not start; the others are started, or ended, by then.
        """
        ended = await asyncio.gather(*map(self.start, services), return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error

    async def stop(self, name: str) -> None:
        """End a server; nothing happens if it does not run."""
        process = self._running.pop(name, None)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), END_LIMIT)
        except TimeoutError:
            process.kill()
            await process.wait()

    def log_of(self, name: str) -> Path:
        """Return the log of a server."""
        return self._folder / f"{name}.log"

    async def _watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        if self._running.get(name) is process:
            del self._running[name]
            how = f"signal {-status}" if status < 0 else f"status {status}"
            self._on_death(
                f"the lab's server {name} died ({how}): {self._last_words(self.log_of(name))}"
            )

    def _end_of(self, path: Path) -> bytes:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_END))
            return file.read(LOG_END)

    def _last_words(self, path: Path) -> str:
        lines = self._end_of(path).decode("utf-8", "replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"
