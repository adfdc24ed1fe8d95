"""What a scenario needs of a host, as far as its text tells before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tailstest.core.errors import TailstestError, UsageError
from tailstest.core.settings import Settings
from tailstest.machine.definition import MachineDefinition, memory_needed
from tailstest.machine.profile import Profile
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.fitting import MARK as CHOOSES_IMAGE
from tailstest.suite.fitting import images_named_by, steps_by_machine
from tailstest.suite.plan import Plan

#: Tag of scenarios that take too long where a machine is emulated.
KVM_TAG = "needs-kvm"
#: Tag of scenarios whose own steps use the lab.
LAB_TAG = "needs-lab"
_MARK = "asks_for"
#: Scenarios that are named in an error.
_NAMED = 10

Asked = Literal["machine", "memory", "lab", "main memory"]


def asks_for(what: Asked) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a step as one that needs something of the host, so that it is known before.

    Args:
        what: "machine" starts one; "memory" has an argument `memory`, MiB of the machine; "lab"
            uses networks of the lab; "main memory" searches that of the machine. A step may have
            several of these marks.
    """

    def mark(step: Callable[..., None]) -> Callable[..., None]:
        setattr(step, _MARK, _asked_by(step) | {what})
        return step

    return mark


@dataclass(frozen=True)
class Needs:
    """What a host must have.

    Attributes:
        guest_memory: MiB of the machine; 0 without one.
        more_memory: MiB of each further machine.
        memory_search: whether its main memory is searched.
        lab: whether it uses networks of the lab.
        kvm: whether an emulated machine will not do.
    """

    guest_memory: int = 0
    lab: bool = False
    kvm: bool = False
    more_memory: tuple[int, ...] = ()
    memory_search: bool = False

    @property
    def guests(self) -> tuple[int, ...]:
        """MiB of memory of each machine where there are several; empty where there are not."""
        return (self.guest_memory, *self.more_memory) if self.more_memory else ()

    def memory_on(self, accelerator: str) -> int:
        """Return the MiB of a host with this accelerator that are needed."""
        return sum(
            memory_needed(MachineDefinition(memory_mib=mib), accelerator)
            for mib in (self.guest_memory, *self.more_memory)
            if mib
        )


def needs_of(
    plan: Plan, profiles: Mapping[str, Profile], under_test: str | None, settings: Settings
) -> dict[str, Needs]:
    """Return what each scenario that will run needs, by its id.

    Args:
        under_test: what `--image` said.
    """
    return {
        scenario.id: _needs_of(scenario, plan, profiles, under_test, settings)
        for scenario in plan.scenarios
        if not scenario.is_manual and scenario.id not in plan.undefined
    }


def searches_memory(scenario: PlannedScenario, plan: Plan) -> bool:
    """Tell whether a step of a scenario searches the main memory of its machine."""
    functions = (function for _machine, _step, function in steps_by_machine(scenario, plan))
    return any("main memory" in _asked_by(function) for function in functions)


def check_memory(
    needs: Mapping[str, Needs],
    names: Mapping[str, str],
    capacity: int,
    accelerator: Callable[[], str],
) -> None:
    """Refuse scenarios whose machine is larger than this host.

    Args:
        needs: scenario id to what it needs.
        names: scenario id to what people call it.
        capacity: MiB that all machines together may take.
        accelerator: tells this host's; asked only when it matters.

    Raises:
        UsageError: names the scenarios and what they need.
    """
    if all(each.memory_on("tcg") <= capacity for each in needs.values()):
        return
    kind = accelerator()
    large = [
        f"{names[scenario]}: {each.memory_on(kind)} MiB"
        for scenario, each in needs.items()
        if each.memory_on(kind) > capacity
    ]
    if large:
        more = f"\n... and {len(large) - _NAMED} more" if len(large) > _NAMED else ""
        raise UsageError(
            f"machines may use {capacity} MiB of this host's memory, and these need more:\n"
            + "\n".join(large[:_NAMED])
            + more,
            hint="use a larger host, raise the setting memory_limit, or leave them out",
        )


def _asked_by(function: Any) -> frozenset[Asked]:
    """Return the marks of a step function, or of None for a step that has no definition."""
    marks: frozenset[Asked] = getattr(function, _MARK, frozenset())
    return marks


def _needs_of(
    scenario: PlannedScenario,
    plan: Plan,
    profiles: Mapping[str, Profile],
    under_test: str | None,
    settings: Settings,
) -> Needs:
    lab = LAB_TAG in scenario.tags
    search = False
    memory: dict[str, int] = {}
    are_there: dict[str, bool] = {}
    for machine, step, function in steps_by_machine(scenario, plan):
        asked = _asked_by(function)
        is_there = "machine" in asked or hasattr(function, CHOOSES_IMAGE)
        are_there[machine] = are_there.get(machine, False) or is_there
        lab = lab or "lab" in asked
        search = search or "main memory" in asked
        if "memory" in asked:
            found = _argument(plan.registry.find_match(step), "memory")
            memory[machine] = found or memory.get(machine, 0)
    guests = []
    for machine, image in images_named_by(scenario, plan).items():
        if are_there.get(machine):
            usual = _usual_machine(image or under_test, profiles)
            guests.append(memory.get(machine, 0) or usual.memory_mib)
            lab = lab or usual.network in {"lab", "isolated"}
    kvm = KVM_TAG in scenario.tags or (bool(guests) and settings.accelerator == "kvm")
    first, *others = guests or [0]
    return Needs(first, lab, kvm, tuple(others), search)


def _usual_machine(image: str | None, profiles: Mapping[str, Profile]) -> MachineDefinition:
    profile = profiles.get((image or "").partition(":")[0])
    try:
        return profile.definition() if profile is not None else MachineDefinition()
    except TailstestError:
        return MachineDefinition()  # the scenario will say what is wrong


def _argument(match: Any, name: str) -> int:
    for argument in match.arguments if match is not None else ():
        if argument.name == name and isinstance(argument.value, int):
            return argument.value
    return 0
