"""Filming a machine's screen beside the test, a few frames a second."""

from __future__ import annotations

import threading

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import ArtifactKept, Events, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.machine import Machine
from tailstest.results.video import VideoRecorder


class Film:
    """A thread that takes frames of one machine and hands them to the video's process."""

    def __init__(
        self,
        machine: Machine,
        recorder: VideoRecorder,
        interval: float,
        events: Events,
        evidence: EvidenceFolder,
    ) -> None:
        self._machine = machine
        self._recorder = recorder
        self._interval = interval
        self._events = events
        self._evidence = evidence
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._shoot, name="film", daemon=True)
        self._thread.start()

    @classmethod
    def of(
        cls,
        machine: Machine,
        title: str,
        settings: Settings,
        events: Events,
        evidence: EvidenceFolder,
    ) -> Film | None:
        """Start filming; None if settings want no video or it cannot be recorded.

        A video that cannot be recorded never fails a test.
        """
        if settings.video == "never":
            return None
        parts = machine.definition
        try:
            recorder = VideoRecorder(
                evidence.path("video", title, ".webm"), size=(parts.width, parts.height)
            )
        except InfrastructureError as error:
            events.publish(Noted(text=f"no video: {error}", level="warning"))
            return None
        return cls(machine, recorder, 1.0 / settings.video_fps, events, evidence)

    def follow(self, machine: Machine) -> None:
        """Film another machine from now on: the same one, running on from a checkpoint."""
        self._machine = machine

    def end(self, *, keep: bool) -> None:
        """Stop filming; keep the video or throw it away."""
        self._stop.set()
        self._thread.join()
        report = self._recorder.close(keep=keep)
        if report.error and keep:
            self._events.publish(Noted(text=f"video: {report.error}", level="warning"))
        if report.path is not None and keep:
            self._events.publish(
                ArtifactKept(
                    kind="video",
                    path=self._evidence.relative(report.path),
                    title=f"Video of {self._machine.name}, {report.seconds:.0f} s",
                    truncated=report.truncated,
                )
            )

    def _shoot(self) -> None:
        while not self._stop.wait(self._interval):
            if self._machine.state is not MachineState.RUNNING:
                continue
            try:
                frame = self._machine.screen.frame()
            except InfrastructureError:
                continue  # the machine is being switched off; the test itself tells about trouble
            self._recorder.add(frame.pixels, frame.taken)
