"""Which workers can run which scenarios, as Dask resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tailstest.core.errors import UsageError
from tailstest.suite.needs import Needs
from tailstest.suite.spread.host_card import Abilities

#: Scenarios that nobody can run are named up to this many.
_NAMED = 10
#: Names of the resources that we give to workers; each scenario takes one, or its memory.
SCENARIO, MACHINE, KVM, LAB, MEMORY = (
    f"tailstest-{each}" for each in ("scenario", "machine", "kvm", "lab", "memory")
)
_MIB = 1024 * 1024
#: MiB that any machine takes more where it is emulated.
_MORE_EMULATED = Needs(1024).memory_on("tcg") - Needs(1024).memory_on("kvm")


@dataclass(frozen=True)
class Worker:
    """A Dask worker and what it can do.

    Attributes:
        name: for people.
        threads: scenarios that it runs at once.
        abilities: of its host, and what it was started with.
    """

    name: str
    threads: int
    abilities: Abilities

    @property
    def kvm(self) -> bool:
        """Whether its machines are not emulated."""
        return self.abilities.accelerator == "kvm"

    def lacks(self, needs: Needs) -> list[str]:
        """Return what it lacks for a scenario, in words."""
        has = self.abilities
        lacking = []
        if (needs.guest_memory or needs.lab or needs.kvm) and not has.accelerator:
            lacking.append(f"machines cannot run there: {has.trouble or 'no reason was given'}")
        elif needs.kvm and not self.kvm:
            lacking.append("KVM does not work there")
        if needs.lab and has.no_lab:
            lacking.append(f"there can be no lab: {has.no_lab}")
        wanted = needs.memory_on(has.accelerator)
        if wanted > has.memory_mib:
            lacking.append(f"{wanted} MiB of memory are needed, it has {has.memory_mib} MiB")
        return lacking

    @property
    def resources(self) -> dict[str, float]:
        """What it has, as Dask resources; enough for all its threads at once."""
        has, threads = self.abilities, float(self.threads)
        # Scenarios ask for what their machine takes with KVM; an emulated one takes more.
        more = _MORE_EMULATED if has.accelerator == "tcg" else 0
        return {
            SCENARIO: threads,
            MACHINE: threads if has.accelerator else 0.0,
            KVM: threads if self.kvm else 0.0,
            LAB: 0.0 if has.no_lab else threads,
            MEMORY: max(0, has.memory_mib - more) * threads,
        }


def as_announced(abilities: Abilities, resources: Mapping[str, float]) -> Abilities:
    """Return what a worker can do when it was started with some Dask resources.

    Args:
        abilities: of its host.
        resources: KVM and LAB are 0 or more, MEMORY is in bytes; others mean nothing to us.
    """
    said = {name.upper(): value for name, value in resources.items()}
    if "MEMORY" in said:
        memory = min(abilities.memory_mib, int(said["MEMORY"]) // _MIB)
        abilities = replace(abilities, memory_mib=memory)
    if said.get("LAB") == 0:
        abilities = replace(abilities, no_lab="the worker was started without (LAB=0)")
    if said.get("KVM") == 0 and abilities.accelerator == "kvm":
        abilities = replace(abilities, accelerator="tcg")
    return abilities


def resources_for(
    needs: Mapping[str, Needs], workers: list[Worker], names: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Return the Dask resources that each scenario takes.

    There is one at least that only workers have to which we gave it: others may come while the run
    is on, and can or know nothing of what is needed.

    Args:
        needs: id to what the scenario needs; nothing if its id is missing.
        workers: all of them.
        names: id to what people call the scenario, all of them.

    Raises:
        UsageError: nobody can run a scenario; names it and what is missing.
    """
    resources: dict[str, dict[str, float]] = {}
    impossible: list[str] = []
    for scenario in names:
        wanted = needs.get(scenario, Needs())
        lacking = [worker.lacks(wanted) for worker in workers]
        able = [worker for worker, lacks in zip(workers, lacking, strict=True) if not lacks]
        resources[scenario] = _taken(wanted)
        if able and MEMORY in resources[scenario]:
            # One figure cannot be right for all accelerators; who can run it must be offered it.
            most = max(worker.resources[MEMORY] for worker in able)
            resources[scenario][MEMORY] = min(resources[scenario][MEMORY], most)
        if not able:
            least = min(range(len(workers)), key=lambda index: len(lacking[index]))
            missing = "; ".join(lacking[least])
            impossible.append(f"{names[scenario]}: {workers[least].name}: {missing}")
    if impossible:
        more = len(impossible) - _NAMED
        rest = f"\n... and {more} more" if more > 0 else ""
        raise UsageError(
            "no worker can run:\n" + "\n".join(impossible[:_NAMED]) + rest,
            hint="add a worker that can, or leave these scenarios out",
        )
    return resources


def _taken(needs: Needs) -> dict[str, float]:
    taken = {SCENARIO: 1.0}
    if needs.guest_memory or needs.kvm or needs.lab:
        taken[MACHINE] = 1.0
    if needs.kvm:
        taken[KVM] = 1.0
    if needs.lab:
        taken[LAB] = 1.0
    if needs.guest_memory:
        # Workers that emulate offer less by what one machine takes more there; each further one
        # takes as much more.
        further = 0 if needs.kvm else _MORE_EMULATED * sum(map(bool, needs.more_memory))
        taken[MEMORY] = float(needs.memory_on("kvm") + further)
    return taken
