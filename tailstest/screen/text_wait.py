"""One wait for a text: which frame is read when, and by which engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future

from tailstest.core.deadline import Deadline, Watch, poll
from tailstest.core.errors import InfrastructureError
from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame
from tailstest.screen.reader import Reader
from tailstest.screen.text_look import TextLook

#: Seconds of waiting before the accurate engine is asked: most texts need no second opinion, and
#: until then the processors are the guest's.
PATIENCE = 1.0
#: The accurate engine rests this many times as long as it worked, so that a screen that changes
#: all the time (a spinner) does not take a whole processor from the guest.
REST = 3.0
#: Seconds that the last reading may take; engines need some seconds on a busy host.
LAST_CHANCE = 120.0


class TextWait:
    """Reads the newest frame whenever an engine is free; older ones are never queued.

    Args:
        reader: reads.
        text: what to wait for.
        deadline: of the wait.
        present: wait until the text is there; False: until it is gone.
        region, threshold: see `Reader.look`.
    """

    def __init__(
        self,
        reader: Reader,
        text: str,
        deadline: Deadline,
        *,
        present: bool,
        region: Region | None,
        threshold: float | None,
    ) -> None:
        self._reader = reader
        self._text = text
        self._deadline = deadline
        self._present = present
        self._region = region
        self._threshold = threshold
        self._quick = _Slot()
        self._patient = _Slot()
        self._result: TextLook | None = None

    def look(self, frame: Frame) -> TextLook | None:
        """Take the next frame; return the result once the text is there (or gone).

        Never waits: the engines read in threads of the reader.
        """
        for slot in (self._quick, self._patient):
            look = slot.collect()
            if look is not None and look.found == self._present and self._counts(slot):
                self._result = look
                return look
        if self._quick.is_free and frame.digest != self._quick.digest:
            self._start(self._quick, frame, patient=False)
        elif self._needs_second_opinion(frame):
            self._start(self._patient, frame, patient=True)
        return None

    def last_chance(self, frame: Frame, watches: Sequence[Watch]) -> TextLook:
        """Return the result, after a last patient reading of `frame` if there is none yet.

        Raises:
            InfrastructureError: the engines gave no answer for minutes.
            Whatever a watch raises.
        """
        if self._result is not None:
            return self._result
        future = self._begin(frame, patient=True)

        def look() -> TextLook | None:
            return future.result() if future.done() else None

        result = poll(look, Deadline.after(LAST_CHANCE), watches=watches)
        if result is None:
            raise InfrastructureError(
                f"reading the screen took longer than {LAST_CHANCE:.0f} s",
                hint="the host is overloaded; run fewer things at once",
            )
        return result

    def _counts(self, slot: _Slot) -> bool:
        """Tell whether an answer is final: that a text is gone needs both engines."""
        return self._present or slot is self._patient

    def _needs_second_opinion(self, frame: Frame) -> bool:
        slot = self._patient
        if not slot.is_free or frame.digest == slot.digest or self._quick.last is None:
            return False
        # That a text is gone needs both opinions, so the second one is asked at once.
        due = self._deadline.elapsed >= PATIENCE if self._present else not self._quick.last.found
        return due and slot.rested >= REST * slot.seconds

    def _start(self, slot: _Slot, frame: Frame, *, patient: bool) -> None:
        slot.begin(frame.digest, self._begin(frame, patient=patient))

    def _begin(self, frame: Frame, *, patient: bool) -> Future[TextLook]:
        return self._reader.start(
            frame, self._text, region=self._region, threshold=self._threshold, patient=patient
        )


class _Slot:
    """At most one reading under way."""

    def __init__(self) -> None:
        self.digest = b""
        self.last: TextLook | None = None
        self.seconds = 0.0
        self._future: Future[TextLook] | None = None
        self._began = 0.0
        self._ended = 0.0

    @property
    def is_free(self) -> bool:
        return self._future is None

    @property
    def rested(self) -> float:
        """Seconds since the last reading ended."""
        return time.monotonic() - self._ended

    def begin(self, digest: bytes, future: Future[TextLook]) -> None:
        self.digest = digest
        self._future = future
        self._began = time.monotonic()

    def collect(self) -> TextLook | None:
        """Return a reading that has just ended, None otherwise; raises what it raised."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        self._ended = time.monotonic()
        self.seconds = self._ended - self._began
        self.last = future.result()
        return self.last
