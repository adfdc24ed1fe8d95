"""Taking frames, once or until one of them answers a question."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tailstest.core.deadline import Deadline, Watch, poll
from tailstest.core.errors import InfrastructureError
from tailstest.screen.frame import Frame, FrameIncomplete, FrameSource

T = TypeVar("T")

#: Seconds, before scaling, in which a single look tries to get a whole picture.
FRAME_DEADLINE = 5.0


class Camera:
    """Takes frames from a source; safe to use from several threads.

    Args:
        source: where frames come from.
        deadline_scale: factor of the host's slowness on every deadline.
    """

    def __init__(self, source: FrameSource, deadline_scale: float) -> None:
        #: Called between two looks of every wait; one that raises ends the wait.
        self.watches: list[Watch] = []
        #: The newest frame; it stays when the source is gone.
        self.last_frame: Frame | None = None
        self._source = source
        self._scale = deadline_scale
        self._lock = threading.Lock()

    def frame(self) -> Frame:
        """Take one frame; a picture that was cut off is taken again for some seconds.

        Raises:
            FrameIncomplete: every picture was cut off.
            InfrastructureError: there is no picture; the machine is off.
        """
        problem: list[FrameIncomplete] = []

        def look() -> Frame | None:
            try:
                return self._capture()
            except FrameIncomplete as error:
                problem[:] = [error]
                return None

        deadline = Deadline.after(FRAME_DEADLINE, scale=self._scale)
        frame = poll(look, deadline)
        if frame is None:
            raise _no_frame(deadline, problem[0])
        return frame

    @property
    def newest(self) -> Frame:
        """The last frame if there is one, else a new one."""
        return self.last_frame or self.frame()

    def wait(
        self,
        search: Callable[[Frame], T | None],
        deadline: Deadline,
        *,
        even_unchanged: bool = False,
    ) -> T | None:
        """Give frames to `search` until it returns something or the deadline passes.

        Args:
            even_unchanged: call `search` also with frames that are equal to the one before.

        Raises:
            InfrastructureError: not a single whole frame came until the deadline.
            Whatever a watch raises.
        """
        seen: list[bytes] = []
        problem: list[InfrastructureError] = []

        def look() -> T | None:
            try:
                frame = self._capture()
            except InfrastructureError as error:
                problem[:] = [error]
                return None
            if seen == [frame.digest] and not even_unchanged:
                return None
            seen[:] = [frame.digest]
            return search(frame)

        result = poll(look, deadline, watches=self.watches)
        if result is None and not seen:
            raise _no_frame(deadline, problem[0])
        return result

    def _capture(self) -> Frame:
        with self._lock:
            self.last_frame = self._source.capture()
            return self.last_frame


def _no_frame(deadline: Deadline, problem: InfrastructureError) -> InfrastructureError:
    if isinstance(problem, FrameIncomplete):
        return FrameIncomplete(
            f"screenshot incomplete: every picture of the screen was cut off for "
            f"{deadline.elapsed:.0f} s; the last one: {problem.message}"
        )
    return InfrastructureError(
        f"the machine showed no screen for {deadline.elapsed:.0f} s: {problem.message}",
        hint=problem.hint,
    )
