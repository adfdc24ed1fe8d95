"""Older versions of a suite, each in a git worktree that goes away afterwards."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tailstest.core.text import printable
from tailstest.suite.git import ask_git
from tailstest.suite.suite_commit import suite_commit

#: Seconds that git may take to write out the files of a commit.
_LIMIT = 300.0
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
#: Behind the commit of a suite that had changes when it was used.
CHANGES = "+changes"


class CannotCheckOut(Exception):
    """A version of the suite cannot be had; the text says why."""


class Checkouts:
    """Gives out folders with versions of a suite; use it as a context manager.

    Args:
        suite: folder of the present one.
        place: private folder in which others are checked out.

    Attributes:
        present: folder of the present one.
        now: its commit; "" without one.
    """

    def __init__(self, suite: Path, place: Path) -> None:
        self.present = suite
        self._suite = suite
        self._place = place
        self._made: dict[str, Path] = {}
        self.now = suite_commit(suite)

    def __enter__(self) -> Checkouts:
        return self

    def __exit__(self, *_error: object) -> None:
        for folder in self._made.values():
            self._git("worktree", "remove", "--force", str(folder))
        if self._made:
            self._git("worktree", "prune")

    def folder_of(self, commit: str) -> Path:
        """Return the suite's folder as it was in a commit.

        Args:
            commit: with or without a mark of changes, which nobody has any more.

        Raises:
            CannotCheckOut: says why.
        """
        if commit and commit == self.now:
            return self.present
        plain = commit.removesuffix(CHANGES)
        if not plain:
            raise CannotCheckOut("its run tells no commit of the suite")
        if not _COMMIT.fullmatch(plain):
            raise CannotCheckOut(f"{printable(plain)} is no commit")
        if not self.now:
            raise CannotCheckOut("the suite is in no git repository")
        top = self._git("rev-parse", "--show-toplevel").decode("utf-8", "replace").strip()
        if not top:
            raise CannotCheckOut("git does not tell where the repository of the suite is")
        below = self._suite.resolve().relative_to(Path(top).resolve())
        if plain not in self._made:
            folder = self._place / f"suite-{plain[:12]}"
            self._add(folder, plain)
            self._made[plain] = folder
        suite = self._made[plain] / below
        if not suite.is_dir():
            raise CannotCheckOut(f"the commit {plain[:12]} has no folder {below}")
        return suite

    def _add(self, folder: Path, commit: str) -> None:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            words = ("worktree", "add", "--detach", "--force", str(folder.absolute()), commit)
            done = ask_git(self._suite, *words, limit=_LIMIT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotCheckOut(f"git: {error}") from error
        if done.returncode:
            said = printable(done.stderr.decode("utf-8", "replace")).strip().splitlines()
            raise CannotCheckOut(f"git: {said[-1] if said else 'no reason'}")

    def _git(self, *words: str) -> bytes:
        try:
            done = ask_git(self._suite, *words, limit=_LIMIT)
        except (OSError, subprocess.TimeoutExpired):
            return b""
        return done.stdout if done.returncode == 0 else b""
