"""Programs of the host that a lab is made of: found and run, or an error that says what to do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tailstest.core.errors import SetupError
from tailstest.core.text import printable

#: Where programs are, system administration's included.
PROGRAM_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"


def program(name: str, package: str, needed_by: str) -> str:
    """Return the path of a program.

    Args:
        package: of Debian, that has it.
        needed_by: what wants it, as a message begins: "the lab's proxy".

    Raises:
        SetupError: it is not installed.
    """
    path = shutil.which(name, path=PROGRAM_FOLDERS)
    if path is None:
        raise SetupError(
            f"{needed_by} needs {name}, which is not installed",
            hint=f"install Debian's package {package}",
        )
    return path


def output_of(
    argv: Sequence[str], purpose: str, given: bytes = b"", *, folder: Path | None = None
) -> bytes:
    """Return what a program wrote that ends by itself.

    Args:
        purpose: what it was to do, as a message goes on: "make the lab's APT repository".
        given: on its standard input.
        folder: that it runs in.

    Raises:
        SetupError: it failed; quotes what it said.
    """
    done = subprocess.run(argv, input=given, capture_output=True, cwd=folder, check=False)
    if done.returncode:
        said = printable(done.stderr.decode("utf-8", "replace").strip())
        raise SetupError(f"{argv[0]} could not {purpose}: {said}", hint="is the disk full?")
    return done.stdout
