"""The media of one machine that have faults: for each there is a server while it is plugged in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from tailstest.hypervisor.domain_template import DiskValues
from tailstest.machine import drives
from tailstest.machine.saved_machine import SavedMachine
from tailstest.media.fault_server import FaultServer, FaultyDisk
from tailstest.media.faults import Faults

D = TypeVar("D", bound=DiskValues)


class ServedMedia:
    """The servers of one machine.

    Args:
        folder: private to the machine, with a short path; their sockets go there.
        deadline_scale: factor of the host's slowness on every deadline.
    """

    def __init__(self, folder: Path, *, deadline_scale: float) -> None:
        self._folder = folder
        self._scale = deadline_scale
        self._servers: dict[Path, FaultServer] = {}
        self._begun = 0
        self._all: set[str] = set()

    @property
    def faults(self) -> dict[str, Faults]:
        """What is wrong with which file."""
        return {str(file): server.faults for file, server in self._servers.items()}

    def is_bad(self, file: str) -> bool:
        """Tell whether a file is, or was, a medium with faults; may be asked by any thread."""
        return file in self._all

    def begin(self, disk: D) -> D:
        """Return a drive as QEMU shall have it: from a server if its medium has faults.

        Raises:
            SetupError: nbdkit is not installed.
            InfrastructureError: the server does not start.
        """
        if not isinstance(disk, FaultyDisk) or disk.source is None:
            return disk
        if disk.source not in self._servers:
            self._begun += 1
            self._serve(disk.source, disk.faults, self._folder / f"medium-{self._begun}")
        return dataclasses.replace(disk, socket=self._servers[disk.source].socket)

    def resume(self, then: SavedMachine, files: Mapping[str, Path]) -> None:
        """Begin to serve what a machine at rest had, in the same places of its folder.

        Args:
            files: of the media, then and now.

        Raises:
            SetupError: nbdkit is not installed.
            InfrastructureError: a server does not start.
        """
        for disk in drives.drives(ElementTree.fromstring(then.xml)):
            name, place = drives.served_file(disk), drives.socket_of(disk)
            if name in then.faults and place is not None:
                self._serve(files[name], then.faults[name], self._folder / place.name)
                self._begun = max(self._begun, int(place.name.rpartition("-")[2]))

    def end(self, file: Path) -> None:
        """End the server of a medium that is no longer plugged in; nothing happens without one."""
        server = self._servers.pop(file, None)
        if server is not None:
            server.close()

    def check(self) -> None:
        """Raise if a server is gone.

        Raises:
            InfrastructureError: says why.
        """
        for server in self._servers.values():
            server.check()

    def close(self) -> None:
        """End all of them; may be called twice."""
        servers, self._servers = self._servers, {}
        with ExitStack() as all_of_them:
            for server in servers.values():
                all_of_them.callback(server.close)

    def _serve(self, file: Path, faults: Faults, place: Path) -> None:
        self._all.add(str(file))
        self._servers[file] = FaultServer(file, faults, place, deadline_scale=self._scale)
