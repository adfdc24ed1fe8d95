"""Keeping a picture of the screen after each step."""

from __future__ import annotations

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Events, FrameKept, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.machine import Machine


class FrameKeeper:
    """Writes frames into the run's folder.

    Args:
        events: told about each.
        evidence: gives out file names.
    """

    def __init__(self, events: Events, evidence: EvidenceFolder) -> None:
        self._events = events
        self._evidence = evidence

    def keep(self, machine: Machine, reason: str) -> None:
        """Keep what the screen shows now, or the last frame of a machine that is off.

        Args:
            reason: "step" or "failure"; becomes a part of the file's name.
        """
        try:
            if machine.state in {MachineState.RUNNING, MachineState.PAUSED}:
                frame = machine.screen.frame()
            elif machine.screen.last_frame is not None:
                frame = machine.screen.last_frame
            else:
                return
            path = self._evidence.path("frames", reason, ".png")
            frame.save(path)
        except InfrastructureError as error:
            self._events.publish(Noted(text=f"no frame was kept: {error}", level="warning"))
            return
        self._events.publish(
            FrameKept(
                path=self._evidence.relative(path),
                reason=reason,
                width=frame.width,
                height=frame.height,
            )
        )
