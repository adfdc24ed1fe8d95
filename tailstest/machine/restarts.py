"""Counting how often what runs in a machine restarts it."""

from __future__ import annotations

#: Seconds, before scaling, in which a BIOS resets the machine once more after a reset: SeaBIOS sees
#: that it ran before, restores its own memory and starts again (measured: 0.03 to 0.04 s later,
#: and more than 1 s on an overloaded host). It happens in the first instructions; three seconds
#: are still before anything that was typed could cause a restart.
ECHO_LIMIT = 3.0
#: Resets that a BIOS adds at most in a machine that was started, and in one that ran on from a
#: checkpoint: SeaBIOS needs one to three tries to restore itself, by chance (measured with QEMU
#: 7.2, all within 0.3 s; more than one without a checkpoint only on an overloaded host). A system
#: that restarts without end still has more than these.
ECHOES, ECHOES_AFTER_WAKING = 3, 10


class Restarts:
    """Tells restarts by the guest from the reset button, and from what the firmware adds to both.

    Not safe to use from several threads; `Lifecycle` guards it.

    Args:
        echo_limit: seconds in which a second reset belongs to the first; 0 where the firmware
            resets nothing by itself.
        echoes: how many more resets may belong to one, all within `echo_limit`.
    """

    def __init__(self, echo_limit: float, echoes: int = ECHOES) -> None:
        self._echo_limit = echo_limit
        self._echoes = echoes
        self._left = 0
        self._last = -echo_limit
        self._pending = False

    def saw(self, at: float, *, by_guest: bool) -> bool:
        """Take in that QEMU reset the machine; tell whether that was a restart by the guest.

        Args:
            at: when, in seconds on QEMU's clock, so that a late report does not matter.
            by_guest: what QEMU says; it takes the firmware for a guest too.
        """
        if by_guest and self._left and 0 <= at - self._last < self._echo_limit:
            self._left -= 1  # one more than these would be a restart again
            return False
        self._last, self._left = at, self._echoes
        self._pending = self._pending or by_guest
        return by_guest

    def take(self) -> bool:
        """Tell whether the guest restarted the machine since the last call."""
        pending, self._pending = self._pending, False
        return pending
