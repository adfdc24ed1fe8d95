"""The runs that wait with a machine: a note and a socket for each, in a folder of the user's own.

The names begin with the number of the run's process, so that what a killed run leaves behind is
told from what a run is just about to make.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.paths import runtime_folder
from tailstest.core.text import printable, shortened

#: Bytes that the address of a Unix socket may have (sun_path, without its NUL).
MAX_ADDRESS = 107

#: A note has some lines; more than this is not one of ours.
_MAX_NOTE = 64 << 10

#: Seconds that two readings of when a process started may differ.
_CLOCK_TOLERANCE = 2.0

#: Characters of a field that are shown.
_SHOWN = 300

#: What to do when there is no such run.
NO_RUN = (
    "start one that waits: `tailstest run --keep` holds the last machine, "
    "`tailstest run --interactive` stops at a failed step"
)


@dataclass(frozen=True)
class WaitingRun:
    """A run whose machine can be looked at.

    Attributes:
        folder: of the run.
        scenario: whose machine it is.
        image: what it was booted from.
        state: "paused" at a failed step, or "kept" after a scenario.
        since: seconds since the epoch.
        pid: of the run.
        started: when that process started, seconds since the epoch.
        note: file that says all this; the socket stands beside it.
    """

    folder: str
    scenario: str
    image: str
    state: str
    since: float
    pid: int
    started: float
    note: Path

    @classmethod
    def of_this_process(
        cls, folder: Path, scenario: str, image: Path | None, state: str
    ) -> WaitingRun:
        """Return what this process would say of itself; nothing is written.

        Raises:
            UsageError: the private folder cannot be made, or its path is too long.
        """
        name = f"{os.getpid()}-{secrets.token_hex(4)}.json"
        run = cls(
            folder=str(folder.resolve()),
            scenario=scenario,
            image=str(image or ""),
            state=state,
            since=time.time(),
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            note=waiting_folder() / name,
        )
        if len(os.fsencode(run.address)) > MAX_ADDRESS:
            raise UsageError(
                f"the path {run.address} is too long for a socket",
                hint="set XDG_RUNTIME_DIR to a folder of your own with a short path",
            )
        return run

    @property
    def address(self) -> Path:
        """Where to ask the run for something."""
        return self.note.with_suffix(".sock")

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return Path(self.folder).name

    def write(self) -> None:
        """Write the note; whoever reads it sees all of it or none."""
        hidden = self.note.with_suffix(".part")
        facts = asdict(self) | {"note": None}
        hidden.touch(mode=0o600)
        hidden.write_text(json.dumps(facts), encoding="utf-8")
        hidden.rename(self.note)

    def remove(self) -> None:
        """Remove note and socket; may be called twice."""
        for suffix in (".json", ".sock", ".part"):
            self.note.with_suffix(suffix).unlink(missing_ok=True)

    def connect(self) -> socket.socket:
        """Return a connection to the run.

        Raises:
            OSError: nobody is there.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.address))
        except OSError:
            connection.close()
            raise
        return connection

    def describe(self) -> str:
        """Return some words for people: run, state, scenario, image, since when."""
        since = time.strftime("%H:%M:%S", time.localtime(self.since))
        facts = (f"{self.state} since {since}", f"“{self.scenario}”", self.image, self.folder)
        return "  ".join(printable(shortened(fact, _SHOWN)) for fact in (self.name, *facts))


def waiting_folder() -> Path:
    """Return the folder of notes and sockets; nobody else can look into it."""
    folder = runtime_folder() / "vm"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create the folder {folder}: {error.strerror}") from error
    return folder


def waiting_runs() -> list[WaitingRun]:
    """Return the runs that can be asked now, the one that waits longest first.

    What dead runs have left behind is removed.
    """
    folder = waiting_folder()
    found = []
    for note in folder.glob("*.json"):
        run = _read(note)
        if run is not None and _is_alive(run):
            found.append(run)
        else:
            for suffix in (".json", ".sock"):
                note.with_suffix(suffix).unlink(missing_ok=True)
    for file in folder.glob("*.*"):
        process = file.name.partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            file.unlink(missing_ok=True)
    return sorted(found, key=lambda run: run.since)


def choose_run(wanted: str | None) -> WaitingRun:
    """Return the run that is meant.

    Args:
        wanted: folder of a run, or a part of its name; None is the only one there is.

    Raises:
        UsageError: there is none, or several of them; names them.
    """
    runs = waiting_runs()
    fitting = runs if wanted is None else _fitting(runs, wanted)
    if len(fitting) == 1:
        return fitting[0]
    if not runs:
        raise UsageError("no run waits with a machine to look at", hint=NO_RUN)
    listed = "".join(f"\n  {run.describe()}" for run in fitting or runs)
    if not fitting:
        shown = printable(shortened(wanted or "", _SHOWN))
        raise UsageError(f'no waiting run is called "{shown}"; these wait:{listed}')
    raise UsageError(
        f"{len(fitting)} runs wait with a machine:{listed}",
        hint="say which one is meant: --run with a part of its name",
    )


def _fitting(runs: list[WaitingRun], wanted: str) -> list[WaitingRun]:
    place = str(Path(wanted).resolve()) if "\0" not in wanted else ""
    exact = [run for run in runs if place == run.folder or wanted == run.name]
    return exact or [run for run in runs if wanted and wanted in run.name]


def _is_alive(run: WaitingRun) -> bool:
    try:
        connection = run.connect()
    except BlockingIOError:
        return True  # so many ask it that there is no room to wait
    except OSError:
        return False
    connection.close()
    # A child of a dead run could still hold its socket, without ever answering.
    try:
        return abs(psutil.Process(run.pid).create_time() - run.started) < _CLOCK_TOLERANCE
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def _read(note: Path) -> WaitingRun | None:
    try:
        with note.open("rb") as file:
            facts: Any = json.loads(file.read(_MAX_NOTE))
        return WaitingRun(
            folder=str(facts["folder"]),
            scenario=str(facts["scenario"]),
            image=str(facts["image"]),
            state=str(facts["state"]),
            since=float(facts["since"]),
            pid=int(facts["pid"]),
            started=float(facts["started"]),
            note=note,
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def unreachable(run: WaitingRun) -> InfrastructureError:
    """Return the error for a run that has hung up or cannot be asked any more."""
    return InfrastructureError(
        f"the run {printable(run.name)} has let its machine go",
        hint="`tailstest vm list` shows the runs that wait",
    )
