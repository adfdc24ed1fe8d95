"""Asking git about one folder, whatever the environment says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

#: Variables that would make git look at another repository than the one of the folder.
_FOREIGN = frozenset(
    {
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
    }
)


def ask_git(folder: Path, *words: str, limit: float) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder; it neither asks a person nor takes a lock.

    Args:
        limit: seconds that it may take.

    Raises:
        FileNotFoundError: there is no git.
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it does not end.
    """
    environment = {key: each for key, each in os.environ.items() if key not in _FOREIGN}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(
        ["git", "-C", str(folder), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limit,
        check=False,
        env=environment,
    )
