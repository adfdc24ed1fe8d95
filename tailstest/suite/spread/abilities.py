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
MACHINE, KVM, LAB, MEMORY = (f"tailstest-{each}" for each in ("machine", "kvm", "lab", "memory"))
_MIB = 1024 * 1024


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
        return {
            MACHINE: threads if has.accelerator else 0.0,
            KVM: threads if self.kvm else 0.0,
            LAB: 0.0 if has.no_lab else threads,
            MEMORY: has.memory_mib * threads,
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
    """Return the Dask resources that each scenario takes; none where every worker will do.

    Args:
        needs: id to what the scenario needs.
        workers: all of them.
        names: id to what people call the scenario.

    Raises:
        UsageError: nobody can run a scenario; names it and what is missing.
    """
    resources: dict[str, dict[str, float]] = {}
    impossible: list[str] = []
    for scenario, wanted in needs.items():
        lacking = [worker.lacks(wanted) for worker in workers]
        if all(lacking):
            least = min(range(len(workers)), key=lambda index: len(lacking[index]))
            missing = "; ".join(lacking[least])
            impossible.append(f"{names[scenario]}: {workers[least].name}: {missing}")
        elif any(lacking):
            resources[scenario] = _taken(wanted, workers)
    if impossible:
        more = len(impossible) - _NAMED
        rest = f"\n... and {more} more" if more > 0 else ""
        raise UsageError(
            "no worker can run:\n" + "\n".join(impossible[:_NAMED]) + rest,
            hint="add a worker that can, or leave these scenarios out",
        )
    return resources


def _taken(needs: Needs, workers: list[Worker]) -> dict[str, float]:
    taken = {}
    if needs.guest_memory or needs.kvm or needs.lab:
        taken[MACHINE] = 1.0
    if needs.kvm:
        taken[KVM] = 1.0
    if needs.lab:
        taken[LAB] = 1.0
    if needs.guest_memory:
        # The most that it takes on any of them: emulated machines take more.
        taken[MEMORY] = float(
            max(
                needs.memory_on(each.abilities.accelerator)
                for each in workers
                if not each.lacks(needs)
            )
        )
    return taken
