"""The folder of one run: made before anything starts, found again afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tailstest.core.errors import UsageError
from tailstest.core.evidence import EvidenceFolder

EVENTS_FILE = "events.jsonl"
JUNIT_FILE = "junit.xml"
REPORT_FILE = "report.html"
#: What the image under test is made of; see `store.contents_file`.
CONTENTS_FILE = "image-contents.json"
LATEST = "latest"

#: Bytes put aside in a new run's folder and given back when the disk is full, so that the end of
#: the event log, the JUnit file and a report without pictures can still be written.
RESERVE_BYTES = 4 * 1024 * 1024
_RESERVE_FILE = ".reserve"
#: Bytes of the first event, which says who the run is.
MAX_FIRST_LINE = 4 * 1024 * 1024


@dataclass(frozen=True)
class RunFolder:
    """One run's folder on disk.

    Attributes:
        path: the folder, absolute.
        run_id: its name, `<date>-<time>-<short id>`; also the id of the run in events.
        evidence: hands out names for the files in it.
    """

    path: Path
    run_id: str
    evidence: EvidenceFolder

    @classmethod
    def create(
        cls, base: Path, *, output: Path | None = None, free_space_needed: int = 0
    ) -> RunFolder:
        """Make the folder of a new run, readable by its owner only.

        Args:
            base: folder of all runs ("runs"); the new one goes in it and `base/latest` points to
                the new one.
            output: the folder to use instead; it may exist if it is empty, and no link is made.
            free_space_needed: bytes that must be free there.

        Raises:
            UsageError: the folder cannot be made or written to, holds something already, or its
                disk has too little space; nothing was started yet.
        """
        run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        path = (output if output is not None else base / run_id).absolute()
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir(mode=0o700)
                path.chmod(0o700)
            elif not path.is_dir():
                raise UsageError(
                    f"cannot write the run to {path}: it is not a folder",
                    hint="name a folder with --output, or leave the option out",
                )
            elif any(path.iterdir()):
                raise UsageError(
                    f"cannot write the run to {path}: the folder is not empty",
                    hint="evidence is never overwritten: name a new folder, or empty this one",
                )
            _check_space(path, free_space_needed)
            _put_reserve_aside(path)
            if output is None:
                _point_latest(base.absolute(), run_id)
        except OSError as error:
            raise UsageError(
                f"cannot write the run to {path}: {error.strerror or error}",
                hint="make the folder writable, or choose another one with --output",
            ) from error
        return cls(path, run_id, EvidenceFolder(path))

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the folder of an earlier run.

        Raises:
            UsageError: there is no such folder, or it is not a run's.
        """
        path = path.absolute()
        resolved = path.resolve()
        if not (resolved / EVENTS_FILE).is_file():
            what = "it holds no events.jsonl" if resolved.is_dir() else "there is no such folder"
            raise UsageError(
                f"{path} is not the folder of a run: {what}",
                hint="name a folder below runs/, for example runs/latest",
            )
        return cls(resolved, resolved.name, EvidenceFolder(resolved))

    @classmethod
    def find(cls, name: str | Path | None, base: Path) -> RunFolder:
        """Return an earlier run by its path, by its id or the beginning of it, or the latest.

        Args:
            name: path, id, beginning of an id, "latest" or None (the latest).
            base: folder of all runs.

        Raises:
            UsageError: no run or several runs are meant.
        """
        text = str(name) if name is not None else LATEST
        for path in (Path(text), base / text):
            if path.is_dir():
                return cls.open(path)
        known = sorted(p.name for p in base.glob(f"*/{EVENTS_FILE}") for p in [p.parent])
        known = [run for run in known if run != LATEST]
        matching = [run for run in known if run.startswith(text)]
        if len(matching) == 1:
            return cls.open(base / matching[0])
        if matching:
            raise UsageError(f"{text!r} could be any of these runs: {', '.join(matching)}")
        recent = ", ".join(known[-5:]) or "none"
        raise UsageError(
            f"there is no run {text!r} in {base}; the latest ones are: {recent}",
            hint="name the folder of a run, or its id",
        )

    @property
    def events_file(self) -> Path:
        """Where the events are kept."""
        return self.path / EVENTS_FILE

    @property
    def junit_file(self) -> Path:
        """Where the JUnit XML is written."""
        return self.path / JUNIT_FILE

    @property
    def report_file(self) -> Path:
        """Where the HTML report is written."""
        return self.path / REPORT_FILE

    def file(self, relative: object) -> Path | None:
        """Return the file that an event names, or None when it is gone or lies elsewhere.

        Events come from a file that may have been damaged or brought from another machine, so a
        name that leads out of this folder (absolute, with "..", through a link) is not followed.
        """
        if not isinstance(relative, str) or not relative or "\0" in relative:
            return None
        parts = PurePosixPath(relative)
        if parts.is_absolute() or ".." in parts.parts:
            return None
        try:
            path = (self.path / parts).resolve()
            inside = path.is_relative_to(self.path.resolve()) and path.is_file()
        except OSError:
            return None
        return path if inside else None

    def release_reserve(self) -> None:
        """Give back the space that was put aside; harmless when done before."""
        with contextlib.suppress(OSError):
            (self.path / _RESERVE_FILE).unlink(missing_ok=True)


def recorded_id(path: Path) -> str:
    """Return the id of the run that was recorded in a folder, whatever the folder is called.

    A run with `--output`, or one that was put together of parts, has a folder of another name.

    Returns:
        "" when it is no folder of a run, or the run did not say its id.
    """
    try:
        with (path / EVENTS_FILE).open("rb") as file:
            first = json.loads(file.readline(MAX_FIRST_LINE))
    except (OSError, ValueError, RecursionError):
        return ""
    run_id = first.get("run_id") if isinstance(first, dict) else None
    return run_id if isinstance(run_id, str) else ""


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path).free
    if free < needed:
        raise UsageError(
            f"too little space for a run in {path}: {free // 2**20} MiB are free, "
            f"{needed // 2**20} MiB are needed",
            hint="free some space, choose another disk with --output, "
            "or lower the setting free_space_needed",
        )


def _put_reserve_aside(path: Path) -> None:
    """Write the reserve; it also proves that the folder takes files. A small disk gets none."""
    file = path / _RESERVE_FILE
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        if shutil.disk_usage(path).free > 4 * RESERVE_BYTES:
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    finally:
        os.close(descriptor)


def _point_latest(base: Path, run_id: str) -> None:
    """Turn `base/latest` to the new run in one step; a real folder of that name is left alone."""
    link = base / LATEST
    if link.exists() and not link.is_symlink():
        return
    fresh = base / f".{LATEST}-{secrets.token_hex(4)}"
    fresh.symlink_to(run_id, target_is_directory=True)
    fresh.replace(link)
