"""A server of the lab that has something of its own at a place where others find the host's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_SCRIPT = 'mount --bind "$0" "$1" && shift && exec "$@"'


def with_mount(source: Path, place: str, argv: Sequence[str]) -> list[str]:
    """Return a command that runs another one with a file or folder put over a place.

    Only in the lab, where everybody may mount; the mount is seen by that process and its children.

    Args:
        source: what is to be there.
        place: an existing file or folder of the host; it stays what it is.
    """
    return ["unshare", "--mount", "sh", "-c", _SCRIPT, str(source), place, *argv]
