"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tailstest.core.errors import InfrastructureError


def write_whole(file: Path, text: str, *, private: bool, hint: str = "") -> None:
    """Write a text file in one step, so that a reader never sees half of it.

    Args:
        private: only its owner may read it.
        hint: what to do if it cannot be written.

    Raises:
        InfrastructureError: it cannot be written; an older one stays as it was.
    """
    fresh = file.with_name(file.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8", errors="replace")
        if private:
            fresh.chmod(0o600)
        fresh.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise InfrastructureError(
            f"cannot write {file}: {error.strerror}",
            hint=hint or "make its folder, or free some space on its disk",
        ) from error
