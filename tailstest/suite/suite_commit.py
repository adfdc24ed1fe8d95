"""Which commit of the suite a run was made with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

#: Seconds that git may take; a large tree on a slow disk needs a few.
_LIMIT = 20.0
#: Only these may lead git elsewhere than to the folder it is asked about.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def suite_commit(folder: Path) -> str:
    """Return the commit that a folder's files are of, with "+changes" if some are not.

    "" where there is no git, or the folder is in no repository: results are kept all the same.
    """
    commit = _git(folder, "rev-parse", "HEAD").strip()
    if not commit:
        return ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{commit}+changes" if changed.strip() else commit


def _git(folder: Path, *words: str) -> str:
    environment = {key: each for key, each in os.environ.items() if key not in _FOREIGN}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
