"""When saving a checkpoint pays: counted in scenarios that are still to come, or in later runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: A beginning that one scenario alone has is worth saving if it takes so many times what saving
#: takes, which then makes this run at most a tenth longer. The start of a desktop takes twenty
#: times (73 s against 3.5 s on two cores without KVM).
_TIMES_DEARER = 10
#: And seconds, before scaling: a store of some twenty checkpoints is not there for boot menus.
_LONG = 20.0


@dataclass
class Costs:
    """What saving and going on take on this host, in seconds.

    The first figures are those of the machine on which this was developed (a desktop of 1 GiB
    under emulation on two cores), stretched; each one measured moves them.

    Attributes:
        saving: until the machine runs on.
        waking: going on.
        long: what a beginning takes at least that is saved for later runs alone.
        is_measured: whether saving has been measured yet.
    """

    saving: float = 5.0
    waking: float = 2.0
    long: float = _LONG
    is_measured: bool = False

    @classmethod
    def on(cls, slowness: float) -> Costs:
        """Return the first guess for a host.

        Args:
            slowness: factor on every deadline.
        """
        return cls(saving=5.0 * slowness, waking=2.0 * slowness, long=_LONG * slowness)

    def saw_saving(self, seconds: float) -> None:
        """Take a measured time into account."""
        self.saving = (self.saving + seconds) / 2
        self.is_measured = True

    def saw_waking(self, seconds: float) -> None:
        """Take a measured time into account."""
        self.waking = (self.waking + seconds) / 2

    def are_small_beside(self, seconds: float) -> bool:
        """Tell whether saving costs little for a beginning that only later runs would be spared.

        A later run may come with another image, and find nothing that it can use. The first figures
        are a guess, and rather too high: a long beginning is saved once to measure.

        Args:
            seconds: that it took to get here, from the start or from an earlier checkpoint.
        """
        is_cheap = not self.is_measured or seconds >= _TIMES_DEARER * self.saving
        return seconds >= self.long and is_cheap


@dataclass
class Savings:
    """Counts who would begin where.

    Args:
        chains: scenario id to its keys; see `key_chain`. Only scenarios that may use checkpoints.
    """

    chains: Mapping[str, Sequence[str]]
    _begun: set[str] = field(default_factory=set)

    def begin(self, scenario: str) -> None:
        """Note that a scenario is no longer to come."""
        self._begun.add(scenario)

    def beginners(self, scenario: str, index: int) -> int:
        """Return how many scenarios to come would begin after this step, and nowhere later.

        Those that share the next step with the present scenario would begin behind that. Of those
        that share another next step with one another, one would begin here and save again.

        Args:
            scenario: the present one.
            index: of the step in it.
        """
        mine = self.chains[scenario]
        ends, branches = 0, set()
        for other, chain in self.chains.items():
            if other in self._begun or other == scenario:
                continue
            if len(chain) <= index or chain[index] != mine[index]:
                continue
            if len(chain) == index + 1:
                ends += 1
            elif len(mine) == index + 1 or chain[index + 1] != mine[index + 1]:
                branches.add(chain[index + 1])
        return ends + len(branches)

    def pays(self, scenario: str, index: int, seconds: float, costs: Costs) -> bool:
        """Tell whether saving after this step costs less than it spares.

        Args:
            seconds: that it took to get here, from the start or from an earlier checkpoint.
        """
        spared = self.beginners(scenario, index) * (seconds - costs.waking)
        return spared > costs.saving
