"""Counting how often what runs in a machine restarts it."""

from __future__ import annotations

#: Seconds, before scaling, in which a BIOS resets the machine again after a reset: SeaBIOS sees
#: that it ran before, restores its own memory and starts again. That takes it one to several
#: tries, by chance, of one or two resets each (measured with QEMU 7.2: one to four resets, all
#: within 0.3 s, and on an overloaded host more than 1 s late). They are not counted, because no
#: number is sure; a system that restarts without end is still seen, as it does so later too.
ECHO_LIMIT = 3.0


class Restarts:
    """Tells restarts by the guest from the reset button, and from what the firmware adds to both.

    Not safe to use from several threads; `Lifecycle` guards it.

    Args:
        echo_limit: seconds in which further resets belong to the first; 0 where the firmware
            resets nothing by itself.
    """

    def __init__(self, echo_limit: float) -> None:
        self._echo_limit = echo_limit
        self._last = -echo_limit
        self._pending = False

    def saw(self, at: float, *, by_guest: bool) -> bool:
        """Take in that QEMU reset the machine; tell whether that was a restart to be counted.

        Args:
            at: when, in seconds on QEMU's clock, so that a late report does not matter.
            by_guest: what QEMU says; it takes the firmware for a guest too.
        """
        if by_guest and 0 <= at - self._last < self._echo_limit:
            return False
        self._last = at  # what follows is measured from here, never from an echo
        return by_guest

    def is_over(self, now: float) -> bool:
        """Tell whether no restart is left to be taken, and no echo of one can come any more.

        Args:
            now: seconds on QEMU's clock, which is the host's.
        """
        return not self._pending and not 0 <= now - self._last < self._echo_limit

    def count(self) -> None:
        """Count a restart by the guest."""
        self._pending = True

    def take(self) -> bool:
        """Tell whether the guest restarted the machine since the last call."""
        pending, self._pending = self._pending, False
        return pending
