"""What is kept of the inside of a machine when a step failed: journal and accessibility tree."""

from __future__ import annotations

from collections.abc import Callable

from tailstest.core.errors import TailstestError
from tailstest.core.events import ArtifactKept, Events, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.text import printable, shortened
from tailstest.guest.accessibility.tree import AccessibilityTree
from tailstest.machine.inside import Inside

#: The end of the journal that is kept, in lines, and the most bytes of it.
_LINES, _LARGEST = 2000, 2 << 20

#: The most bytes of a file that a scenario asks for.
_LARGEST_FILE = 64 << 20

#: Seconds, before scaling, for the journal; a guest that does not answer has told enough.
_WITHIN = 20.0


class InsideEvidence:
    """Keeps what a system said of itself.

    Args:
        events: told about each file, or why there is none.
        evidence: gives out file names.
    """

    def __init__(self, events: Events, evidence: EvidenceFolder) -> None:
        self._events = events
        self._evidence = evidence

    def keep(self, inside: Inside | None, tree: AccessibilityTree | None) -> None:
        """Keep the journal, and the tree of the desktop, as far as the scenario used them.

        Args:
            inside: None if the scenario never looked inside.
            tree: None if it never looked into the tree.
        """
        if inside is not None:
            self._write("journal", "Journal of the system inside", lambda: _journal(inside))
        if tree is not None:
            self._write("tree", "Accessibility tree of the desktop", tree.dump)

    def keep_file(self, inside: Inside, path: str) -> None:
        """Keep a file of the system because a scenario asked for it.

        Raises:
            CheckFailed: there is no such file, or it is too large.
            InfrastructureError: it cannot be written here.
        """
        kept = self._evidence.path("logs", "file", ".bin")
        inside.channel.get(path, kept, _LARGEST_FILE)
        told = self._evidence.relative(kept)
        title = f"The file {shortened(printable(path), 200)}"
        self._events.publish(ArtifactKept(kind="file", path=told, title=title))

    def _write(self, kind: str, title: str, content: Callable[[], str]) -> None:
        try:
            text = printable(content())
        except TailstestError as error:
            self._events.publish(Noted(text=f"{title}: none was kept: {error.message}"))
            return
        path = self._evidence.path("logs", kind, ".txt")
        path.write_text(text + "\n", encoding="utf-8")
        kept = self._evidence.relative(path)
        self._events.publish(ArtifactKept(kind="log", path=kept, title=title))


def _journal(inside: Inside) -> str:
    command = f"journalctl -b -q -o short-monotonic --no-pager -n {_LINES}"
    return inside.last_channel.run(command, within=_WITHIN, limit=_LARGEST).out
