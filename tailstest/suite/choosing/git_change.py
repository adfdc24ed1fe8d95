"""What changed, as git and the variables of CI systems tell it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.text import printable
from tailstest.suite.choosing.choice import Change
from tailstest.suite.git import ask_git

#: Seconds that git may take.
_LIMIT = 60.0
#: What GitLab gives as the commit before the first push of a branch.
_NOTHING = "0" * 40
#: Variables that tell tag, branch and what to compare with, in the order in which they are asked:
#: GitLab CI (docs.gitlab.com/ci/variables/predefined_variables), GitHub Actions
#: (docs.github.com/actions/reference/variables-reference), Jenkins multibranch pipelines.
_TAGS = ("CI_COMMIT_TAG", "TAG_NAME")
_BRANCHES = (
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
    "CI_COMMIT_BRANCH",
    "GITHUB_HEAD_REF",
    "CHANGE_BRANCH",
    "BRANCH_NAME",
)
_BASE_COMMITS = ("CI_MERGE_REQUEST_DIFF_BASE_SHA",)
_BASE_BRANCHES = ("GITHUB_BASE_REF", "CHANGE_TARGET")


@dataclass(frozen=True)
class Wish:
    """What the user said; None and empty stand for what is to be found out."""

    branch: str | None = None
    tag: str | None = None
    since: str | None = None
    files: Sequence[str] = ()


def top_of(folder: Path) -> Path:
    """Return the top of the repository of a folder; the folder itself where there is none."""
    said = (_git(folder, "rev-parse", "--show-toplevel") or "").strip()
    return Path(said) if said else folder


def change_of(folder: Path, wish: Wish, base: str, environment: Mapping[str, str]) -> Change:
    """Return what is to be tested.

    Args:
        folder: of the suite.
        base: branch to compare with where nobody says another commit.
        environment: variables of the process.

    Raises:
        UsageError: the user named a commit that does not exist.
    """
    tag = wish.tag if wish.tag is not None else _tag(folder, environment)
    branch = wish.branch if wish.branch is not None else _branch(folder, environment)
    if wish.files:
        return Change(branch, tag, tuple(wish.files), "the command line")
    since = _since(folder, wish, base, environment)
    if not since:
        return Change(branch, tag, None)
    commit, name = since
    changed = _git(folder, "diff", "--name-only", "--no-renames", "-z", commit, "--", ":/")
    fresh = _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/")
    if changed is None or fresh is None:
        return Change(branch, tag, None)
    files = tuple(dict.fromkeys(each for each in (changed + fresh).split("\0") if each))
    return Change(branch, tag, files, name)


def _tag(folder: Path, environment: Mapping[str, str]) -> str:
    if environment.get("GITHUB_REF_TYPE") == "tag":
        return environment.get("GITHUB_REF_NAME", "")
    told = next((environment[name] for name in _TAGS if environment.get(name)), "")
    if told or _git(folder, "symbolic-ref", "--quiet", "HEAD"):
        return told
    return (_git(folder, "describe", "--tags", "--exact-match", "HEAD") or "").strip()


def _branch(folder: Path, environment: Mapping[str, str]) -> str:
    told = next((environment[name] for name in _BRANCHES if environment.get(name)), "")
    if not told and environment.get("GITHUB_REF_TYPE") == "branch":
        told = environment.get("GITHUB_REF_NAME", "")
    return told or (_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD") or "").strip()


def _since(
    folder: Path, wish: Wish, base: str, environment: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return the commit where the change begins, and what it is called."""
    if wish.since is not None:
        commit = _commit(folder, wish.since)
        if not commit:
            raise UsageError(
                f'git knows no commit "{printable(wish.since)}" here',
                hint="name a branch, a tag or a commit that is in this clone",
            )
        return _fork(folder, commit), wish.since
    names = [environment[name] for name in _BASE_COMMITS if environment.get(name)]
    branches = [environment[name] for name in _BASE_BRANCHES if environment.get(name)]
    for branch in (*branches, base):
        names += [f"origin/{branch}", branch]
    for name in names:
        commit = _commit(folder, name) if name != _NOTHING else ""
        if commit:
            return _fork(folder, commit), name
    return None


def _commit(folder: Path, name: str) -> str:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return (_git(folder, *words) or "").strip()


def _fork(folder: Path, commit: str) -> str:
    """Return where this branch left another; what happened there since is no part of the change."""
    return (_git(folder, "merge-base", commit, "HEAD") or "").strip() or commit


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = ask_git(folder, *words, limit=_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None
