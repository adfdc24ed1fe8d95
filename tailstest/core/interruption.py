"""An end that is asked for from outside, with the same end as Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt meanwhile, as Ctrl-C does; in the main thread only."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interruptions_wait() -> Iterator[None]:
    """Let SIGINT and SIGTERM take effect behind what must be done as a whole, and is done soon."""
    with _held_back(signal.SIGINT, signal.SIGTERM):
        yield


@contextmanager
def alarm_waits() -> Iterator[None]:
    """Let SIGALRM, which ends a step that takes too long, take effect behind such a thing.

    Of interruptions this one comes while the run goes on, with all that it has half done.
    """
    with _held_back(signal.SIGALRM):
        yield


@contextmanager
def _held_back(*numbers: signal.Signals) -> Iterator[None]:
    """Let some signals take effect afterwards; the first one that came, for it raises."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are dealt with in the main thread only
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda told, _frame: came.append(told)) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for told in came[:1]:
            signal.raise_signal(told)
