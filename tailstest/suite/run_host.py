"""The host of one run: examined once, connected to when the first machine is needed."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Mapping, Sequence
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
from tailstest.media.media_folder import MediaFolder
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
        self._patience = math.inf
        self._claims = MemoryClaims(settings.memory_limit)
        self._claimed: list[Claim] = []
        self._guests: tuple[int, ...] = ()
        self._taken: dict[str, int] = {}
        #: Where the files of media are.
        self.media = MediaFolder(evidence, self.own)

    def fitted(self, definition: MachineDefinition) -> MachineDefinition:
        """Return a machine with no more processors than the run has cores for each worker.

        An emulated processor is a thread that takes a whole core while the system starts; more of
        them than cores hold one another up. Where the hardware runs guests itself they do not, and
        a number that a profile gives stays.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        if "cpus" in definition.model_fields_set:
            return definition
        cpus = usual_processors(self._examined().accelerator, self._share)
        return definition.model_copy(update={"cpus": cpus})

    @property
    def _share(self) -> int:
        """Cores of the host for each worker."""
        cores = self._examined().cores
        return max(1, min(self._settings.cores or cores, cores) // self._workers)

    def begin_scenario(self, guests: Sequence[int]) -> None:
        """Note what machines the next scenario will have at the same time.

        The first of them then waits until there is room for all: two scenarios that both have one
        machine and want another would wait for each other.

        Args:
            guests: MiB of memory of each; empty if nobody knows.
        """
        self._taken = {}
        self._release()
        self._guests = tuple(guests)
        self._patience = math.inf

    def claim_memory(self, definition: MachineDefinition, name: str) -> None:
        """Wait until the host has the memory for a machine, and keep it until `release_memory`.

        A machine that takes the place of another one of the same name takes its memory, too.

        Args:
            name: what the machine is called; each has memory of its own.

        Raises:
            UsageError: it is more than the host has.
            SetupError, InfrastructureError: the host cannot run machines, or made no room.
        """
        accelerator = self._examined().accelerator
        needed = memory_needed(definition, accelerator)
        others = sum(mib for each, mib in self._taken.items() if each != name)
        claimed = sum(each.mib for each in self._claimed)
        if others + needed > claimed:
            if not others:
                self._release()
                expected = sum(
                    memory_needed(MachineDefinition(memory_mib=mib), accelerator)
                    for mib in self._guests
                )
                self._claim(max(needed, expected), 0)
            else:
                self._claim(others + needed - claimed, claimed)
        self._taken[name] = needed

    def _claim(self, mib: int, has: int) -> None:
        """Claim memory; who has some already does not wait long for more."""
        hypervisor = self._opened()
        began = time.monotonic()
        reason = ""

        def hold(text: str) -> None:
            nonlocal reason
            reason = reason or text
            self._events.publish(HeldUp(text=text))

        marker = str(hypervisor.root or hypervisor.run_folder)
        self._claimed.append(self._claims.claim(mib, marker, hold, has=has))
        if reason:
            took = time.monotonic() - began
            self._events.publish(Noted(text=f"waited {took:.0f} s: {reason}"))

    def release_memory(self, name: str) -> None:
        """Give back what a machine took, which is off; harmless if it took none."""
        self._taken.pop(name, None)
        if not self._taken:
            self._release()

    def _release(self) -> None:
        claimed, self._claimed = self._claimed, []
        for each in claimed:
            each.release()

    def bench(self, library: ReferenceLibrary) -> Bench:
        """Return what the next machine needs.

        Raises:
            SetupError, InfrastructureError: the host cannot run machines.
        """
        report = self._examined()
        # Others may have begun to use the host since the run began, or ended.
        crowding = self._crowding(report, max(1, len(self._guests)))
        speed = replace(report.speed, load_per_core=load_per_core(), crowding=crowding)
        patience = max(1.0, speed.load_per_core, speed.crowding)
        # Of machines beside one another the least patient one is judged.
        self._patience = min(self._patience, patience) if len(self._taken) > 1 else patience
        return Bench(
            hypervisor=self._opened(),
            host=replace(report, speed=speed),
            settings=self._settings,
            events=self._events,
            evidence=self._evidence,
            media=self.media,
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

    def check_lab(self) -> None:
        """Raise if the lab of a scenario is no longer what it should be; takes no time.

        Raises:
            InfrastructureError: names the server that died, or the capture that is full.
        """
        if self._labs is not None:
            self._labs.check()

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
        self._taken = {}
        self._release()
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
            speed = replace(report.speed, crowding=self._crowding(report, 1))
            self._report = replace(report, speed=speed)
        return self._report

    def _crowding(self, report: HostReport, of_each: int) -> float:
        """Return the processors of all machines that run beside one another, for each core.

        Args:
            of_each: machines of each worker.
        """
        machines = self._workers * of_each
        return machines * _CPUS / report.cores if machines > 1 else 1.0


def usual_processors(accelerator: str, share: int) -> int:
    """Return how many processors a machine has for which nobody gives a number; see `fitted`.

    Args:
        accelerator: of the host.
        share: cores of the host for each worker.
    """
    return _CPUS if accelerator == "kvm" else min(_CPUS, share)
