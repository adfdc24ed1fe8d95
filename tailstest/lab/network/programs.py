"""Programs of the host that a lab is made of, or an error that says how to get them."""

from __future__ import annotations

import shutil

from tailstest.core.errors import SetupError

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
