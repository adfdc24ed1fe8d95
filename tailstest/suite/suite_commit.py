"""Which commit of the suite a run was made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tailstest.suite.git import ask_git

#: Seconds that git may take; a large tree on a slow disk needs a few.
_LIMIT = 20.0


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
    try:
        done = ask_git(folder, *words, limit=_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
