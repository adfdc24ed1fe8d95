"""Telling the run about searches of the screen, and keeping pictures of those that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tailstest.core.deadline import Deadline
from tailstest.core.errors import CheckFailed
from tailstest.core.events import Events, FrameKept, Looked
from tailstest.core.evidence import EvidenceFolder
from tailstest.screen.candidate import keep
from tailstest.screen.frame import Frame
from tailstest.screen.look import Look
from tailstest.screen.reference import Reference
from tailstest.screen.text_look import TextLook


class SearchLog:
    """Publishes the results of searches, and turns failed ones into errors with evidence.

    Args:
        events: hears about every search.
        evidence: where pictures of failed searches go.
    """

    def __init__(self, events: Events, evidence: EvidenceFolder) -> None:
        self._events = events
        self._evidence = evidence

    def reference(
        self, wanted: Sequence[str], look: Look, files: Mapping[str, str] | None = None
    ) -> None:
        """Publish a search for references."""
        self._publish("reference", wanted, look, files or {})

    def text(self, wanted: str, look: TextLook, files: Mapping[str, str] | None = None) -> None:
        """Publish a search for a text."""
        self._publish("text", [wanted], look, files or {})

    def not_found(
        self, names: Sequence[str], frame: Frame, look: Look, reference: Reference, waited: Deadline
    ) -> CheckFailed:
        """Keep a candidate for a reference that was not there, and return the error to raise."""
        files = keep(self._evidence, frame, look, reference)
        self.reference(names, look, files)
        quoted = ", ".join(f"“{name}”" for name in names)
        what = f"the picture {quoted}" if len(names) == 1 else f"any of the pictures {quoted}"
        return CheckFailed(
            f"waited {waited.elapsed:.0f} s for {what}: {look.explain()}{_shown(files)}",
            hint="if the screen is right, accept the new picture with `tailstest review`",
        )

    def still_there(self, name: str, frame: Frame, look: Look, waited: Deadline) -> CheckFailed:
        """Return the error for a reference that did not go away."""
        files = self.keep_frame(frame, f"still {name}")
        self.reference([name], look, files)
        return CheckFailed(
            f"waited {waited.elapsed:.0f} s for the picture “{name}” to disappear, but "
            f"{look.explain()}{_shown(files)}"
        )

    def text_not_found(self, frame: Frame, look: TextLook, waited: Deadline) -> CheckFailed:
        """Return the error for a text that could not be read; it prints all that was read."""
        files = self.keep_frame(frame, f"no {look.text}")
        self.text(look.text, look, files)
        return CheckFailed(
            f"waited {waited.elapsed:.0f} s for a text: {look.explain()}\n"
            f"  All that {look.engine} read:\n{look.transcript()}{_shown(files)}",
            hint="if the text is there but was misread, ask for the part that was read right",
        )

    def text_still_there(self, frame: Frame, look: TextLook, waited: Deadline) -> CheckFailed:
        """Return the error for a text that did not go away."""
        files = self.keep_frame(frame, f"still {look.text}")
        self.text(look.text, look, files)
        return CheckFailed(
            f"waited {waited.elapsed:.0f} s for a text to disappear, but {look.explain()}"
            f"{_shown(files)}"
        )

    def failed(self, frame: Frame, reason: str, what: str, waited: Deadline) -> CheckFailed:
        """Return the error for another wait: `what` was waited for and what happened instead."""
        files = self.keep_frame(frame, reason)
        kept = FrameKept(path=files["frame"], reason=reason, width=frame.width, height=frame.height)
        self._events.publish(kept)
        return CheckFailed(f"waited {waited.elapsed:.0f} s for {what}{_shown(files)}")

    def keep_frame(self, frame: Frame, reason: str) -> dict[str, str]:
        """Write a frame to the run's folder; return its path by its role."""
        path = self._evidence.path("frames", reason, ".png")
        frame.save(path)
        return {"frame": self._evidence.relative(path)}

    def _publish(
        self, kind: str, wanted: Sequence[str], look: Look | TextLook, files: Mapping[str, str]
    ) -> None:
        self._events.publish(
            Looked(
                kind=kind,
                wanted=list(wanted),
                found=look.found,
                look=look.to_json(),
                files=dict(files),
            )
        )


def _shown(files: Mapping[str, str]) -> str:
    return f"\n  The screen: {files['frame']}"
