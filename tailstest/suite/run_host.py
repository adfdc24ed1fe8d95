"""The host of one run: examined once, connected to when the first machine is needed."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tailstest import __version__
from tailstest.core.events import OVERLOADED, Events, HeldUp, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.host_report import HostReport, examine_host
from tailstest.hypervisor.host_speed import load_per_core
from tailstest.hypervisor.memory_claims import Claim, MemoryClaims
from tailstest.lab.network.keeper import LabKeeper
from tailstest.machine.bench import Bench
from tailstest.machine.definition import MachineDefinition, memory_needed
from tailstest.screen.library import ReferenceLibrary

#: A load that outgrew the one that deadlines were stretched for by less is the noise of a minute.
_OUTGROWN = 1.5
#: Processors of a machine, unless somebody says otherwise. One that has fewer, because it shares
#: the host (see `fitted`), is slower for it: deadlines count what it would have had.
_CPUS: int = MachineDefinition.model_fields["cpus"].default


class RunHost:
    """What all machines of a run stand on.

    Args:
        settings: of the run.
        events: told about everything.
        evidence: file names in the run's folder.
        workers: how many such runs share this host, each with one machine at a time.
    """

    def __init__(
        self, settings: Settings, events: Events, evidence: EvidenceFolder, workers: int = 1
    ) -> None:
        self._settings = settings
        self._events = events
        self._evidence = evidence
        self._workers = workers
        self._report: HostReport | None = None
        self._hypervisor: Hypervisor | None = None
        self._labs: LabKeeper | None = None
        self._patience = 1.0
        self._claims = MemoryClaims(settings.memory_limit)
        self._claim: Claim | None = None

    def fitted(self, definition: MachineDefinition) -> MachineDefinition:
        """Return a machine with no more processors than the host has cores for each worker.

        An emulated processor is a thread that takes a whole core while the system starts; more of
        them than cores hold one another up. Where the hardware runs guests itself they do not, and
        a number that a profile gives stays.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        if self._examined().accelerator == "kvm" or "cpus" in definition.model_fields_set:
            return definition
        return definition.model_copy(update={"cpus": min(definition.cpus, self._share)})

    @property
    def _share(self) -> int:
        """Cores of the host for each worker."""
        return max(1, self._examined().cores // self._workers)

    def claim_memory(self, definition: MachineDefinition) -> None:
        """Wait until the host has the memory for a machine, and keep it until `release_memory`.

        A machine that takes the place of another one of the same size takes its memory, too.

        Raises:
            UsageError: it is more than the host has.
            SetupError, InfrastructureError: the host cannot run machines, or made no room.
        """
        needed = memory_needed(definition, self._examined().accelerator)
        if self._claim is not None and self._claim.mib == needed:
            return
        self.release_memory()
        hypervisor = self._opened()
        began = time.monotonic()
        reason = ""

        def hold(text: str) -> None:
            nonlocal reason
            reason = reason or text
            self._events.publish(HeldUp(text=text))

        marker = str(hypervisor.root or hypervisor.run_folder)
        self._claim = self._claims.claim(needed, marker, hold)
        if reason:
            took = time.monotonic() - began
            self._events.publish(Noted(text=f"waited {took:.0f} s: {reason}"))

    def release_memory(self) -> None:
        """Give back what was claimed; the machine is off."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()

    def bench(self, library: ReferenceLibrary) -> Bench:
        """Return what the next machine needs.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        report = self._examined()
        # Others may have begun to use the host since the run began, or ended.
        speed = replace(report.speed, load_per_core=load_per_core())
        self._patience = max(1.0, speed.load_per_core, speed.crowding)
        return Bench(
            hypervisor=self._opened(),
            host=replace(report, speed=speed),
            settings=self._settings,
            events=self._events,
            evidence=self._evidence,
            library=library,
            labs=self.labs,
        )

    def overload(self) -> str:
        """Return that the host has more to do than the present machine's deadlines allow for.

        "" while it has not. The load is that of the last minute, so a failure that took a minute
        to be one is judged by the minute in which it happened.
        """
        load = load_per_core()
        if load <= self._patience * _OUTGROWN:
            return ""
        return (
            f"{OVERLOADED}: {load:.1f} processes want each core, and deadlines were stretched for "
            f"{self._patience:.1f}"
        )

    @property
    def labs(self) -> LabKeeper:
        """Gives out the lab of a scenario.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        if self._labs is None:
            hypervisor = self._opened()
            folder = hypervisor.root or hypervisor.run_folder
            self._labs = LabKeeper(folder, deadline_scale=self.slowness)
        return self._labs

    def end_lab(self) -> None:
        """End the lab of a scenario, if it has one."""
        if self._labs is not None:
            self._labs.end()

    @property
    def slowness(self) -> float:
        """Factor of the host's slowness on every deadline."""
        return self._examined().deadline_scale

    def describe(self, host: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the report says about the host and its versions.

        Args:
            host: where machines will run; this host if None.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        return {
            "hostname": socket.gethostname(),
            "tailstest": __version__,
            "host": dict(host) if host is not None else self._examined().to_json(),
            "settings": self._settings.model_dump(exclude={"store"}),
            "cores_per_worker": self._share,
        }

    def own(self, folder: Path) -> None:
        """Let a folder go when the run is over, however it ends.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines, or has no space.
        """
        self._opened().lease.own(folder)

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self.end_lab()
        self._labs = None
        self.release_memory()
        hypervisor, self._hypervisor = self._hypervisor, None
        if hypervisor is not None:
            hypervisor.close()

    def _opened(self) -> Hypervisor:
        if self._hypervisor is None:
            self._hypervisor = Hypervisor.open(self._settings, self._evidence.root)
        return self._hypervisor

    def _examined(self) -> HostReport:
        if self._report is None:
            report = examine_host(self._settings)
            crowding = self._workers * _CPUS / report.cores if self._workers > 1 else 1.0
            self._report = replace(report, speed=replace(report.speed, crowding=crowding))
        return self._report
