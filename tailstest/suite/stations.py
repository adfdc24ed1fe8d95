"""The machines of one scenario by name, and which of them steps are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tailstest.core.errors import UsageError
from tailstest.core.text import printable
from tailstest.machine.machine import Machine
from tailstest.suite.fitting import FIRST
from tailstest.suite.station import Station

#: Most characters of the name of a machine.
NAME_LIMIT = 60


class Stations:
    """The places of machines.

    Args:
        make: makes one of a name.
    """

    def __init__(self, make: Callable[[str], Station]) -> None:
        self._make = make
        self.clear()

    def clear(self) -> None:
        """Go back to one machine that nothing is known of."""
        self._current = self._make(FIRST)
        self._all = {FIRST: self._current}

    def __iter__(self) -> Iterator[Station]:
        return iter(list(self._all.values()))

    @property
    def current(self) -> Station:
        """The one that steps are about."""
        return self._current

    @property
    def are_one(self) -> bool:
        """Whether there is only the first one."""
        return len(self._all) == 1

    @property
    def with_current_last(self) -> list[Station]:
        """All of them, the one that steps are about at the end."""
        return [*(each for each in self if each is not self._current), self._current]

    @property
    def machines(self) -> list[Machine]:
        """The machines that were started, the one that steps are about at the end."""
        found = [each.machine for each in self.with_current_last]
        return [each for each in found if each is not None]

    @property
    def macs(self) -> set[str]:
        """MAC addresses of the machines that were started."""
        return {machine.definition.mac for machine in self.machines}

    def add(self, name: str) -> None:
        """Add a place, and turn to it.

        Raises:
            UsageError: one is called so already, or it is no name.
        """
        if not name.strip() or len(name) > NAME_LIMIT or not name.isprintable():
            raise UsageError(f"a machine needs a name of 1 to {NAME_LIMIT} characters")
        if name in self._all:
            raise UsageError(
                f'there is a machine "{printable(name)}" already', hint="choose another name"
            )
        self._all[name] = self._current = self._make(name)

    def turn_to_a_machine(self) -> None:
        """Turn to a place whose machine was started, if the present one's was not."""
        if self._current.machine is None:
            started = [each for each in self if each.machine is not None]
            self._current = started[-1] if started else self._current

    def turn_to(self, name: str) -> None:
        """Turn to a place.

        Raises:
            UsageError: none is called so; says which there are.
        """
        if name not in self._all:
            known = ", ".join(f'"{printable(each)}"' for each in self._all)
            raise UsageError(
                f'there is no machine "{printable(name)}" in this scenario; there are: {known}',
                hint=f'add it with: Given another machine called "{printable(name)}"',
            )
        self._current = self._all[name]
