"""What stands in the system-out of a test case: attachments, steps, and the ends of logs."""

from __future__ import annotations

from pathlib import Path

from tailstest.core.text import shortened
from tailstest.core.verdict import Verdict
from tailstest.results.junit_text import MAX_NAME, bounded, clean, one_line, text_size
from tailstest.results.run_folder import EVENTS_FILE, RunFolder
from tailstest.results.run_record import AttemptRecord, ScenarioRecord
from tailstest.results.text_tail import tail_of

_MARKER = "[[ATTACHMENT|"


class CapturedOutput:
    """Reads it from the folder of a run.

    Args:
        folder: of the run.
        project: folder that paths are relative to.
    """

    def __init__(self, folder: RunFolder, project: Path) -> None:
        self._folder = folder
        self._project = project

    def path(self, relative: str) -> str:
        """Return the path of a file of the run as consumers take it."""
        path = self._folder.path / relative
        if path.is_relative_to(self._project):
            path = path.relative_to(self._project)
        return one_line(path.as_posix())

    def text(self, scenario: ScenarioRecord, attempt: AttemptRecord, limit: int) -> str:
        """Return markers first, so that cutting never hits them, then the steps, then logs.

        Args:
            attempt: whose files are attached, and whose logs are shown.
            limit: bytes in the file.
        """
        head = self._markers(attempt, limit // 2)
        room = limit - text_size(head)
        lines = []
        for number, one in enumerate(scenario.attempts, 1):
            if len(scenario.attempts) > 1:
                lines.append(f"attempt {number}: {one.verdict}")
            for step in one.steps:
                lines.append(f"{step.verdict:>10}  {step.seconds:8.3f} s  {step.title}")
            lines += [f"{note.level:>10}  {note.text}" for note in one.notes]
        steps = bounded("\n".join(lines), min(room, limit // 4), self.path(EVENTS_FILE))
        if attempt.verdict is Verdict.PASSED:
            return head + steps
        return head + steps + self._tails(attempt, room - text_size(steps))

    def _markers(self, attempt: AttemptRecord, limit: int) -> str:
        """Return the markers of what was kept, as many as have room; the others are counted."""
        paths = [path for path in self._attachments(attempt) if "]]" not in path]
        markers = ""
        for number, path in enumerate(paths):
            marker = f"{_MARKER}{path}]]\n"
            limit -= text_size(marker)
            if limit < 0:
                return f"{markers}[... {len(paths) - number} more files ...]\n"
            markers += marker
        return markers

    def _attachments(self, attempt: AttemptRecord) -> list[str]:
        """The picture first: GitLab shows one attachment only."""
        paths: list[str] = []
        if attempt.verdict is not Verdict.PASSED and attempt.last_frame is not None:
            paths.append(attempt.last_frame.path)
        paths += [artifact.path for artifact in attempt.artifacts]
        existing = [path for path in dict.fromkeys(paths) if self._folder.file(path)]
        return [self.path(path) for path in existing]

    def _tails(self, attempt: AttemptRecord, room: int) -> str:
        """Return the ends of logs and of what was told on serial ports."""
        tails = [a for a in attempt.artifacts if a.kind in ("serial", "log")]
        told = ""
        for artifact in tails:
            file = self._folder.file(artifact.path)
            where = self.path(artifact.path)
            title = clean(shortened(artifact.title or artifact.kind, MAX_NAME))
            head = f"\n\n{title} (the end; all of it: {where})\n"
            share = room // len(tails) - text_size(head)
            if file is not None and share > 0:
                told += head + bounded(tail_of(file, share), share, where)
        return told
