"""Secrets in files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tailstest.core.errors import UsageError


def private_text(file: Path) -> str:
    """Return the first line of a file that holds a secret.

    Raises:
        UsageError: it cannot be read, is empty, or others may read it, too.
    """
    try:
        with file.open(encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.readline(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{file}: cannot be read: {why}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"{file} holds a secret and others may read it", hint=f"run: chmod 600 {file}"
        )
    if not text:
        raise UsageError(f"{file} is empty", hint="write the secret into its first line")
    return text
