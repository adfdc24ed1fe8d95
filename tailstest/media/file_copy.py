"""Copying large files of a run: media, and what belongs to a machine at rest."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tailstest.core.errors import InfrastructureError
from tailstest.media.host_tool import HostTool


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; nobody else may read the copy.

    Holes stay holes, and file systems that can share blocks do.

    Raises:
        SetupError: cp is not installed.
        InfrastructureError: no space, no permission; nothing is left.
    """
    try:
        target.touch(mode=0o600)
        HostTool("cp", package="coreutils").run(
            *("--reflink=auto", "--sparse=always", "--no-target-directory", "--"),
            str(source),
            str(target),
        )
    except OSError as error:
        raise InfrastructureError(f"cannot write {target}: {error.strerror}") from error
    except InfrastructureError as error:
        with suppress(OSError):
            target.unlink()
        raise InfrastructureError(
            f"cannot copy {source}: {error.message}",
            hint="is there enough space, and may you write there?",
        ) from error
