"""The limit of a scenario: what hangs is interrupted, so that the others run."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import (
    Event,
    Events,
    HeldUp,
    ScenarioFinished,
    ScenarioStarted,
    StepStarted,
)
from tailstest.core.text import printable
from tailstest.hypervisor.memory_claims import LONG_WAIT

#: Seconds after which a step is interrupted once more that went on all the same. It may be busy
#: putting away what it had begun, which nothing should interrupt.
_AGAIN = 300.0
#: Seconds for a timer that shall ring at once; 0 would switch it off.
_AT_ONCE = 0.001


class LimitReached(InfrastructureError):
    """A scenario took longer than it may; nobody knows whose trouble that is.

    Args:
        message: what was going on, and how long the scenario may take.
        hint: what to do.
        trace: where it was going on, in Python.
    """

    def __init__(self, message: str, *, hint: str = "", trace: str = "") -> None:
        super().__init__(message, hint=hint)
        self.trace = trace


class _Rung(BaseException):
    """The alarm rang.

    It is no Exception, for steps, and we in many places, try something else after one.
    """


class ScenarioLimit:
    """The time that an attempt at a scenario may take.

    It is counted from the beginning of the attempt, and enforced while a step or a hook in front
    of one runs: never while the scenario is put away. What a person takes does not count, and
    neither does waiting for memory, which others have for as long as their scenarios take.

    Args:
        seconds: the setting `scenario_limit`; 0: no limit.
        events: that it listens to.
        scale: of the host's slowness.
        tell: called, when an attempt begins and when it begins or ends to be held up, with the
            seconds after which no step of it runs any more.
    """

    def __init__(
        self,
        seconds: float,
        events: Events,
        *,
        scale: float = 1.0,
        tell: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._setting = seconds
        self._scale = scale
        self._seconds = seconds * scale
        self._tell = tell
        self._ends = math.inf
        self._held_since: float | None = None
        self._step = ""
        self._has_rung = False
        self._trace = ""
        self._is_armed = False
        self._handler_before: Any = None
        self._timer_before = (0.0, 0.0)
        self._armed_at = 0.0
        if seconds:
            events.subscribe(self._heard)

    def during(self, action: Callable[[], object], what: str = "") -> None:
        """Do something that is interrupted when the scenario takes too long.

        Args:
            action: what to do.
            what: how it is called; "": the step that began last.

        Raises:
            LimitReached: the scenario took too long, before or meanwhile. This also comes in place
                of whatever the action made of being interrupted.
        """
        if self._ends == math.inf or self._is_armed:
            action()
            return
        what = what or f"“{self._step}”"
        if self._left <= 0:
            raise self._reached(what)
        try:
            try:
                self._arm()
                action()
            finally:
                self._disarm()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if not self._has_rung:
                raise
            raise self._reached(what) from error
        finally:
            self._disarm()  # an interruption may have come just when it was to be done
        if self._has_rung:
            raise self._reached(what)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time meanwhile out: a person looks at the scenario, and may let it go on.

        One that had taken too long already begins anew then.
        """
        left = self._left
        try:
            yield
        finally:
            if left <= 0:
                left, self._has_rung, self._trace = self._seconds, False, ""
            self._ends = time.monotonic() + left

    @property
    def _left(self) -> float:
        """Seconds that the attempt may still take."""
        now = time.monotonic() if self._held_since is None else self._held_since
        return self._ends - now

    def _heard(self, event: Event) -> None:
        if isinstance(event, ScenarioStarted):
            self._held_since, self._step = None, ""
            self._has_rung, self._trace = False, ""
            self._ends = time.monotonic() + self._seconds
            self._tell(self._seconds)
        elif isinstance(event, ScenarioFinished):
            self._ends = math.inf
        elif isinstance(event, StepStarted):
            self._step = f"{event.keyword} {event.text}".strip()
            self._go_on()  # whatever held up the step before ended with it
        elif isinstance(event, HeldUp):
            if event.text:
                self._hold()
            else:
                self._go_on()

    def _hold(self) -> None:
        if self._held_since is None and self._ends != math.inf:
            self._held_since = time.monotonic()
            self._set_timer()
            self._tell(self._left + LONG_WAIT)

    def _go_on(self) -> None:
        if self._held_since is not None:
            left, self._held_since = self._left, None
            self._ends = time.monotonic() + left
            self._set_timer()
            self._tell(left)

    def _arm(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # signals are dealt with in the main thread only
        self._handler_before = signal.signal(signal.SIGALRM, self._ring)
        self._timer_before = signal.getitimer(signal.ITIMER_REAL)
        self._armed_at = time.monotonic()
        self._is_armed = True
        self._set_timer()

    def _disarm(self) -> None:
        if not self._is_armed:
            return
        self._is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        before = self._handler_before
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        seconds, interval = self._timer_before
        if seconds:  # somebody else's, which stood still
            left = seconds - (time.monotonic() - self._armed_at)
            signal.setitimer(signal.ITIMER_REAL, max(left, _AT_ONCE), interval)

    def _set_timer(self) -> None:
        if self._is_armed:
            left = 0.0 if self._held_since is not None else max(self._left, _AT_ONCE)
            signal.setitimer(signal.ITIMER_REAL, left, _AGAIN)

    def _ring(self, _number: int, frame: FrameType | None) -> None:
        if not self._is_armed:
            return
        if self._left > 0:  # somebody else's alarm, or the clocks differ by a little
            self._set_timer()
            return
        self._has_rung = True
        self._trace = self._trace or _trace_of(frame)
        raise _Rung

    def _reached(self, what: str) -> LimitReached:
        stretched = f", times {self._scale:g} on this host" if self._scale != 1 else ""
        return LimitReached(
            f"the scenario took longer than {self._setting:g} s (the setting scenario_limit"
            f"{stretched}); {printable(what)} was going on",
            hint="look at what that was waiting for (the details show the line); "
            "if it needs so long, raise scenario_limit",
            trace=self._trace,
        )


def _trace_of(frame: FrameType | None) -> str:
    """Return where something was interrupted, from what was to be done on."""
    stack = traceback.extract_stack(frame)
    ours = [number for number, each in enumerate(stack) if each.filename == __file__]
    return "".join(traceback.format_list(stack[ours[-1] + 1 :] if ours else stack))
