"""Running a program of the host that makes or inspects media."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.text import printable

#: Where Debian keeps tools of the administrator; ordinary users do not have it in their PATH.
ADMIN_PATH = ":/usr/local/sbin:/usr/sbin:/sbin"

#: Seconds for one call; making media writes some megabytes, copying them some gigabytes.
CALL_LIMIT = 300.0

#: Characters of what a program said that are worth showing.
SHOWN = 300


@dataclass(frozen=True)
class HostTool:
    """A program.

    Attributes:
        name: of the program.
        package: Debian package that it comes in.
    """

    name: str
    package: str

    @property
    def path(self) -> str:
        """Where it is.

        Raises:
            SetupError: it is not installed.
        """
        found = shutil.which(self.name, path=os.environ.get("PATH", "") + ADMIN_PATH)
        if found is None:
            raise SetupError(
                f"{self.name} was not found", hint=f"run: sudo apt install {self.package}"
            )
        return found

    def run(self, *words: str, stdin: bytes = b"", within: float = CALL_LIMIT) -> bytes:
        """Run it and return what it printed.

        Args:
            stdin: what it reads.
            within: seconds.

        Raises:
            SetupError: it is not installed.
            InfrastructureError: it failed, or took too long; says what it said.
        """
        status, stdout, stderr = self.attempt(*words, stdin=stdin, within=within)
        if status != 0:
            said = printable((stderr or stdout).decode(errors="replace").strip()[-SHOWN:])
            raise InfrastructureError(f"{self.name} failed (exit status {status}): {said}")
        return stdout

    def attempt(
        self, *words: str, stdin: bytes = b"", within: float = CALL_LIMIT
    ) -> tuple[int, bytes, bytes]:
        """Run it and return its exit status, what it printed, and what it complained about.

        Raises:
            SetupError: it is not installed.
            InfrastructureError: it took too long, or could not be started.
        """
        with self._told_troubles(within):
            done = subprocess.run(
                [self.path, *words],
                input=stdin,
                capture_output=True,
                timeout=within,
                check=False,
                env=_environment(),
            )
        return done.returncode, done.stdout, done.stderr

    def attempt_into(self, target: Path, *words: str, most: int, within: float = CALL_LIMIT) -> int:
        """Run it and return its exit status; nothing that it writes becomes large.

        What takes something out of a medium does as it is told there, and a guest may have written
        that.

        Args:
            target: file for what it prints; what it complains about is not kept.
            most: bytes that any file that it writes may have. One that would have more gets so
                many, and the program is ended by a signal or says that it failed.

        Raises:
            SetupError: it, or prlimit, is not installed.
            InfrastructureError: it took too long, or could not be started.
        """
        bounded = [HostTool("prlimit", package="util-linux").path, f"--fsize={most}", "--"]
        with self._told_troubles(within), target.open("wb") as printed:
            done = subprocess.run(
                [*bounded, self.path, *words],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.DEVNULL,
                timeout=within,
                check=False,
                env=_environment(),
            )
        return done.returncode

    @contextlib.contextmanager
    def _told_troubles(self, within: float) -> Iterator[None]:
        try:
            yield
        except subprocess.TimeoutExpired as error:
            raise InfrastructureError(f"{self.name} did not end within {within:g} s") from error
        except OSError as error:
            raise InfrastructureError(f"{self.name} cannot be started: {error.strerror}") from error


def _environment() -> dict[str, str]:
    return os.environ | {"LC_ALL": "C.UTF-8"}
