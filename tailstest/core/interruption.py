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
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are dealt with in the main thread only
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda told, _frame: came.append(told))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for told in came[:1]:
            signal.raise_signal(told)
