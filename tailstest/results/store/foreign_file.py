"""Reading report files that other tools wrote, within bounds."""

from __future__ import annotations

from pathlib import Path

from tailstest.core.errors import UsageError

#: Bytes of the largest file; GitLab takes 30 MB, Jenkins has no limit of its own.
MAX_BYTES = 200 * 1024 * 1024
#: Test cases of one import.
MAX_CASES = 200_000


def read_foreign(file: Path) -> bytes:
    """Return the content of a file.

    Raises:
        UsageError: it cannot be read, or is too large.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{file}: larger than {MAX_BYTES} bytes")
    return data
