"""One living helper, and a new one when it is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from tailstest.core.errors import CheckFailed
from tailstest.guest.accessibility.helper import Helper, HelperEnded
from tailstest.guest.accessibility.told import Told


class HelperKeeper:
    """Starts the helper when something is asked, and again when it died; for several threads.

    Args:
        start: starts a helper, or raises.
    """

    def __init__(self, start: Callable[[], Helper]) -> None:
        self._start = start
        self._helper: Helper | None = None
        self._lock = threading.RLock()

    def ask(self, op: str, values: Mapping[str, object], *, again: bool) -> Told:
        """Ask the helper.

        Args:
            again: ask a new helper if this one died meanwhile. Only for what may be done twice:
                nobody knows what a helper did before it died.

        Raises:
            TailstestError: what `Helper.start` and `Helper.ask` raise.
        """
        with self._lock:
            try:
                return self._ask(op, values)
            except HelperEnded:
                if not again:
                    raise
                return self._ask(op, values)

    def close(self) -> None:
        """End the helper; a later question starts a new one."""
        with self._lock:
            helper, self._helper = self._helper, None
            if helper is not None:
                helper.close()

    def _ask(self, op: str, values: Mapping[str, object]) -> Told:
        if self._helper is not None and not self._helper.usable:
            self.close()
        if self._helper is None:
            self._helper = self._start()
        try:
            return self._helper.ask(op, values)
        except CheckFailed:
            raise  # an answer like any other
        except BaseException:
            # It is gone, or an answer may be on its way that nobody waits for.
            self.close()
            raise
