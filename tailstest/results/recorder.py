"""Everything that listens to a run, attached in one call and closed in one call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Event, Events
from tailstest.core.settings import Settings
from tailstest.results.event_log import EventLog
from tailstest.results.junit import write_junit
from tailstest.results.report import write_report
from tailstest.results.run_builder import RunBuilder
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import NoteRecord, Run


class Progress(Protocol):
    """What shows a run to somebody, `results.terminal.Terminal` for example."""

    def __call__(self, event: Event) -> None:
        """Take an event."""

    def end(self, run: Run, report: Path | None) -> None:
        """Show how the run ended and where its report is, None when there is none."""


class Keeper(Protocol):
    """What keeps results beyond a run, `results.store.live.LiveStore` for example.

    Its own trouble never becomes an error of the run.
    """

    def __call__(self, event: Event, run: Run) -> None:
        """Take an event, after the run's own files have it."""

    def close(self, run: Run) -> None:
        """Keep how the run ended."""


class Recorder:
    """Keeps what happens in a run and writes its files when closed; see `attach`."""

    def __init__(
        self,
        folder: RunFolder,
        settings: Settings,
        *,
        terminal: Progress | None = None,
        project: Path | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self.folder = folder
        self.junit_file: Path | None = None
        self.report_file: Path | None = None
        self._settings = settings
        self._project = project
        self._builder = RunBuilder()
        self._log = EventLog(folder.events_file, on_full=folder.release_reserve)
        self._terminal = terminal
        self._keeper = keeper
        self._lock = threading.RLock()
        self._is_closed = False
        self._thread = threading.get_ident()
        self._trouble: InfrastructureError | None = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except InfrastructureError as trouble:
            if error is None:
                raise
            error.add_note(str(trouble))  # what ended the run matters more

    def __call__(self, event: Event) -> None:
        """Take an event, from any thread.

        Memory comes first and the disk last, so that the report knows of an event that the disk
        had no room for. What the disk refused in another thread (libvirt's, say) is raised at the
        next event of the thread that made the recorder, where somebody can act on it.

        Raises:
            InfrastructureError: (once) the event log cannot be written.
        """
        with self._lock:
            self._builder(event)
            if self._terminal is not None:
                self._terminal(event)
            try:
                self._log(event)
            except InfrastructureError as error:
                self._trouble = error
            if self._keeper is not None:
                self._keeper(event, self._builder.run)
            trouble = self._trouble
            if trouble is not None and threading.get_ident() == self._thread:
                self._trouble = None
                raise trouble

    def close(self) -> Run:
        """Write junit.xml and report.html and tell the terminal; harmless when done before.

        It is called however the run ended. The terminal hears of the end of the run only now,
        because only now there is a report to name.

        Raises:
            InfrastructureError: a file could not be written; all others were tried before.
        """
        with self._lock:
            run = self._builder.end()
            if self._is_closed:
                return run
            self._is_closed = True
            if self._log.lost:
                text = f"the disk was full: {self._log.lost} events are missing in events.jsonl"
                run.notes.append(NoteRecord(text, "warning", run.ended))
            if self._keeper is not None:
                self._keeper.close(run)
            self._log.close()
            self.folder.release_reserve()
            trouble: list[InfrastructureError] = []
            self.junit_file = _tried(self._write_junit, trouble)
            self.report_file = _tried(lambda: write_report(run, self.folder), trouble)
            if self._terminal is not None:
                self._terminal.end(run, self.report_file)
            if trouble:
                raise trouble[0]
            return run

    def _write_junit(self) -> Path:
        return write_junit(
            self._builder.run,
            self.folder,
            output_limit=self._settings.junit_output_limit,
            project=self._project,
        )


def attach(
    events: Events,
    folder: RunFolder,
    settings: Settings,
    *,
    terminal: Progress | None = None,
    project: Path | None = None,
    keeper: Keeper | None = None,
) -> Recorder:
    """Subscribe everything that a run needs to `events`.

    Use it as a context manager around the run, or call `close()` in a `finally`.

    Args:
        terminal: shows progress; None for silence.
        project: folder that paths in junit.xml are relative to.
        keeper: keeps results beyond the run; None for none.

    Returns:
        The recorder; its `close()` writes junit.xml and report.html.

    Raises:
        InfrastructureError: the event log cannot be opened.
    """
    recorder = Recorder(folder, settings, terminal=terminal, project=project, keeper=keeper)
    events.subscribe(recorder)
    return recorder


def _tried(write: Callable[[], Path], trouble: list[InfrastructureError]) -> Path | None:
    try:
        return write()
    except InfrastructureError as error:
        trouble.append(error)
        return None
