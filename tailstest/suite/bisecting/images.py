"""The images of a bisection: files that are there, or built when one is wanted."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.core.interruption import sigterm_interrupts
from tailstest.core.text import printable, shortened
from tailstest.machine.profile import Profile, find_image
from tailstest.media.image_file import check_image

#: What stands for the version in the command that builds an image, and the variable that has it.
PLACE_HOLDER = "{}"
VARIABLE = "BISECT_VERSION"
#: Bytes of the end of what a build printed in which the image's path is looked for.
_TAIL = 64 * 1024


class CannotJudge(InfrastructureError):
    """An image cannot be had, so it says nothing."""


class Images(Protocol):
    """Where images come from."""

    def get(self, label: str, place: int) -> tuple[Path, str]:
        """Return the file of an image, and what `tailstest run --image` is to be given.

        Raises:
            CannotJudge: it cannot be had.
        """
        ...


class GivenImages:
    """Images that are there: files and names of profiles.

    Args:
        profiles: by name.
        folder: what files are relative to.
    """

    def __init__(self, profiles: Mapping[str, Profile], folder: Path) -> None:
        self._profiles = profiles
        self._folder = folder

    def check(self, label: str) -> None:
        """Look whether there is such an image, without making it.

        Raises:
            UsageError: there is none.
        """
        if label.partition(":")[0] not in self._profiles:
            find_image(label, self._profiles, self._folder)

    def get(self, label: str, place: int) -> tuple[Path, str]:
        """Return the file of an image, and what a run is to be given; see `Images`."""
        try:
            path, profile = find_image(label, self._profiles, self._folder)
        except TailstestError as error:
            raise CannotJudge(error.message) from error
        is_name = profile is not None and label.partition(":")[0] in self._profiles
        return path, label if is_name else str(path.resolve())


class BuiltImages:
    """Images that a command builds; the last line it prints is the path of the image.

    Args:
        command: for the shell; `{}` stands for the version (quoted), as the variable
            BISECT_VERSION does.
        folder: where it runs.
        logs: folder for what it prints.
        limit: seconds that it may take.
    """

    def __init__(self, command: str, folder: Path, logs: Path, limit: float) -> None:
        self._command = command
        self._folder = folder
        self._logs = logs
        self._limit = limit

    def get(self, label: str, place: int) -> tuple[Path, str]:
        """Return the file of an image, and what a run is to be given; see `Images`."""
        command = self._command.replace(PLACE_HOLDER, shlex.quote(label))
        printed, log = (self._logs / f"build-{place:04d}.{end}" for end in ("out", "log"))
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            with printed.open("wb") as out, log.open("wb") as err:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", command],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=self._folder,
                    env={**os.environ, VARIABLE: label},
                    start_new_session=True,
                )
                status = self._wait(process)
            said = _last_line(printed)
        except OSError as error:
            raise CannotJudge(f"it cannot be built: {error}") from error
        if status is None:
            raise CannotJudge(f"it was not built within {self._limit:.0f} s; see {log}")
        if status:
            raise CannotJudge(f"building it failed with status {status}; see {log}")
        if not said:
            raise CannotJudge(f"the command printed no path of an image as its last line: {log}")
        path = self._folder / said
        try:
            return check_image(path), str(path.resolve())
        except UsageError as error:
            raise CannotJudge(f"what was built is no image: {printable(error.message)}") from error

    def _wait(self, process: subprocess.Popen[bytes]) -> int | None:
        """Return the status; None when it took too long. Nothing of it goes on afterwards."""
        with sigterm_interrupts():
            try:
                return process.wait(self._limit)
            except subprocess.TimeoutExpired:
                return None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _last_line(file: Path) -> str:
    with file.open("rb") as data:
        data.seek(max(0, file.stat().st_size - _TAIL))
        lines = [line.strip() for line in data.read().decode("utf-8", "replace").splitlines()]
    return shortened(next((line for line in reversed(lines) if line), ""), 4000)
