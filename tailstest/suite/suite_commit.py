"""Which commit and which branch of the suite a run was made with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
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


#: Where CI systems say which branch they work on, because they check out a commit without one:
#: GitLab (merge request, else any), GitHub and Gitea (pull request, else any), Jenkins.
_CI_VARIABLES = (
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
    "CI_COMMIT_REF_NAME",
    "GITHUB_HEAD_REF",
    "GITHUB_REF_NAME",
    "CHANGE_BRANCH",
    "BRANCH_NAME",
)


def suite_branch(folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Return the branch that a folder's files are of, as CI or git says it; "" when unknown."""
    known = os.environ if environment is None else environment
    for name in _CI_VARIABLES:
        if known.get(name):
            return known[name]
    return _git(folder, "branch", "--show-current").strip()


def _git(folder: Path, *words: str) -> str:
    try:
        done = ask_git(folder, *words, limit=_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
