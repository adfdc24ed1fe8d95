"""Which forge, project, commit and request are meant: said by options, else by CI's variables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tailstest.core.errors import SetupError, UsageError
from tailstest.results.forges.forge import Forge
from tailstest.results.private_file import private_text
from tailstest.results.shown import one_line

KINDS = ("gitlab", "gitea", "github")
PACKAGES = {"gitlab": "python-gitlab", "gitea": "py-gitea", "github": "PyGithub"}
#: Variables with a token, the first that is set counts.
TOKENS = {
    "gitlab": ("GITLAB_TOKEN",),
    "gitea": ("GITEA_TOKEN", "GITHUB_TOKEN"),
    "github": ("GITHUB_TOKEN",),
}
#: Bytes read of the file in which GitHub and Gitea describe the event of a workflow.
MAX_EVENT = 16 * 1024 * 1024
GITHUB_API = "https://api.github.com"


@dataclass(frozen=True)
class Place:
    """Where to write; `request` is 0 when there is none."""

    kind: str
    url: str
    project: str
    commit: str
    request: int
    token: str = field(repr=False)

    def open(self) -> Forge:
        """Return the forge.

        Raises:
            SetupError: the package for it is not installed.
        """
        # Loaded when needed: each of the clients takes a while, and two of three are not used.
        try:
            if self.kind == "gitlab":
                from tailstest.results.forges.gitlab_forge import GitlabForge

                return GitlabForge(self.url, self.project, self.token)
            if self.kind == "gitea":
                from tailstest.results.forges.gitea_forge import GiteaForge

                return GiteaForge(self.url, self.project, self.token)
            from tailstest.results.forges.github_forge import GithubForge

            return GithubForge(self.url, self.project, self.token)
        except ImportError as error:
            raise SetupError(
                f"talking to {self.kind} needs the Python package {PACKAGES[self.kind]} "
                f"({one_line(error, 100)})",
                hint='run: pip install "tailstest[notify]"',
            ) from error


def find_place(
    *,
    kind: str = "",
    url: str = "",
    project: str = "",
    commit: str = "",
    request: int = 0,
    token_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Place:
    """Return what options say, and what CI's variables say where they say nothing.

    Args:
        token_file: holds the token and is readable by its owner only; else a variable has it.
        environment: variables; the process's own by default.

    Raises:
        UsageError: something needed is not known; names the option and the variable.
    """
    known = os.environ if environment is None else environment
    kind = kind or _kind(known)
    said = _from_gitlab(known) if kind == "gitlab" else _from_actions(kind, known)
    url = url or said.url
    project = project or said.project
    if not url:
        raise UsageError(f"which {kind} server is not known", hint="say its address with --url")
    _check_url(url)
    if not project:
        raise UsageError("which project is not known", hint="name it with --project")
    if token_file is not None:
        token = private_text(token_file)
    else:
        token = next((known[name] for name in TOKENS[kind] if known.get(name)), "")
    if not token:
        raise UsageError(
            f"there is no token for {kind}",
            hint=f"set the variable {TOKENS[kind][0]}, or name a private file with --token-file",
        )
    return Place(kind, url, project, commit or said.commit, request or said.request, token)


def needed_commit(place: Place) -> str:
    """Return the commit.

    Raises:
        UsageError: none is known.
    """
    if not place.commit:
        raise UsageError("which commit is not known", hint="name it with --commit")
    return place.commit


def needed_request(place: Place) -> int:
    """Return the number of the merge request or pull request.

    Raises:
        UsageError: none is known.
    """
    if not place.request:
        raise UsageError(
            "this is no merge request", hint="give its number with --request, or leave the note out"
        )
    return place.request


def _kind(known: Mapping[str, str]) -> str:
    # Gitea's runner sets GitHub's variables, too.
    for name, kind in (
        ("GITLAB_CI", "gitlab"),
        ("GITEA_ACTIONS", "gitea"),
        ("FORGEJO_ACTIONS", "gitea"),
        ("GITHUB_ACTIONS", "github"),
    ):
        if known.get(name):
            return kind
    raise UsageError("which forge is not known", hint=f"say --forge {', '.join(KINDS)}")


def _from_gitlab(known: Mapping[str, str]) -> Place:
    # A pipeline of merged results works on a commit that no branch has.
    commit = known.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or known.get("CI_COMMIT_SHA", "")
    return Place(
        "gitlab",
        known.get("CI_SERVER_URL", ""),
        known.get("CI_PROJECT_ID", ""),
        commit,
        _number(known.get("CI_MERGE_REQUEST_IID")),
        "",
    )


def _from_actions(kind: str, known: Mapping[str, str]) -> Place:
    url = known.get("GITHUB_SERVER_URL", "")
    if kind == "github":
        url = known.get("GITHUB_API_URL", GITHUB_API)
    # Of a pull request, GITHUB_SHA is a merge that is in no branch; the event knows the real one.
    asked = _event(known).get("pull_request")
    asked = asked if isinstance(asked, dict) else {}
    head = asked.get("head")
    commit = str(head.get("sha", "")) if isinstance(head, dict) else ""
    return Place(
        kind,
        url,
        known.get("GITHUB_REPOSITORY", ""),
        commit or known.get("GITHUB_SHA", ""),
        _number(asked.get("number")),
        "",
    )


def _event(known: Mapping[str, str]) -> dict[str, Any]:
    file = known.get("GITHUB_EVENT_PATH")
    if not file:
        return {}
    try:
        with Path(file).open("rb") as opened:
            value = json.loads(opened.read(MAX_EVENT))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _check_url(url: str) -> None:
    try:
        split = urlsplit(url)
        is_good = split.scheme in ("http", "https") and split.hostname and not split.password
    except ValueError:
        is_good = False
    if not is_good:
        raise UsageError(
            f'"{one_line(url, 200)}" is no address of a server',
            hint="write https://HOST, without user and password",
        )
