"""Options of the commands that let a policy choose what runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from tailstest.core.errors import UsageError
from tailstest.suite.choosing.applying import Choosing
from tailstest.suite.choosing.git_change import Wish, change_of, top_of
from tailstest.suite.choosing.policy import load_choice_policy
from tailstest.suite.selection import Selection
from tailstest.suite.suite_folder import SuiteFolder

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--chosen-by",
        type=click.Path(path_type=Path),
        metavar="POLICY",
        help="Only what this policy chooses for the branch, tag and files that changed.",
    ),
    click.option(
        "--git-branch",
        metavar="NAME",
        help="For --chosen-by: the branch (default: asked of CI, git).",
    ),
    click.option(
        "--git-tag", metavar="NAME", help="For --chosen-by: the tag (default: as CI or git say)."
    ),
    click.option(
        "--changed-since",
        metavar="COMMIT",
        help="For --chosen-by: what to compare with (default: as CI says, or the policy's base).",
    ),
    click.option(
        "--changed",
        multiple=True,
        metavar="FILE",
        help="For --chosen-by: a file that changed, instead of asking git. Repeatable.",
    ),
)


def choosing_options(function: F) -> F:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def choosing_of(
    paths: Sequence[str],
    policy_file: Path | None,
    branch: str | None,
    tag: str | None,
    since: str | None,
    changed: Sequence[str],
) -> Choosing | None:
    """Return what is chosen from; None without a policy.

    Raises:
        UsageError: the policy, a path or a commit is wrong, or an option lacks the policy.
    """
    if policy_file is None:
        if changed or any(each is not None for each in (branch, tag, since)):
            raise UsageError(
                "--git-branch, --git-tag, --changed-since and --changed are for a policy",
                hint="give one with --chosen-by POLICY",
            )
        return None
    policy = load_choice_policy(policy_file)
    root = SuiteFolder.of(Selection.of(paths).paths).root
    wish = Wish(branch, tag, since, changed)
    change = change_of(root, wish, policy.topic.base, os.environ)
    return Choosing(policy, change, top_of(root))
