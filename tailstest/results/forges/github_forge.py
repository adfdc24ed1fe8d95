"""GitHub, through PyGithub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from github import Auth, Github, GithubException, GithubRetry
from github.IssueComment import IssueComment
from github.Repository import Repository
from requests import RequestException

from tailstest.results.forges.forge import (
    MAX_NOTES,
    ODD_ANSWER,
    RETRIES,
    TIMEOUT,
    Note,
    Status,
    described,
    explained,
    not_understood,
)

#: Seconds to wait when GitHub says that there were too many requests.
MAX_WAIT = 60


class GithubForge:
    """A project on GitHub.

    Args:
        url: of the interface, https://api.github.com for example.
        project: OWNER/NAME.
    """

    def __init__(self, url: str, project: str, token: str) -> None:
        self._server = Github(
            base_url=url,
            auth=Auth.Token(token),
            timeout=TIMEOUT,
            # A POST is not tried again: an answer that got lost would mean a second note.
            retry=GithubRetry(
                total=RETRIES,
                backoff_factor=0.5,
                raise_on_status=False,
                max_rate_limit_wait=MAX_WAIT,
                allowed_methods=("GET", "PATCH"),
            ),
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        )
        self._name = project

    def set_status(self, commit: str, status: Status) -> None:
        """Mark a commit."""
        link: dict[str, Any] = {"target_url": status.link} if status.link else {}
        with self._told(f"mark commit {commit}"):
            self._project.get_commit(commit).create_status(
                status.state.value,
                description=described(status.description),
                context=status.context,
                **link,
            )

    def own_notes(self, request: int, marker: str) -> list[Note]:
        """Return our notes, the oldest first."""
        with self._told(f"read the notes of pull request {request}"):
            own = self._user()
            notes = islice(self._project.get_issue(request).get_comments(), MAX_NOTES)
            return [
                Note(note.id, note.body)
                for note in notes
                if note.body.startswith(marker) and _is_own(note, own)
            ]

    def add_note(self, request: int, text: str) -> None:
        """Write a note."""
        with self._told(f"write a note on pull request {request}"):
            self._project.get_issue(request).create_comment(text)

    def change_note(self, request: int, note: Note, text: str) -> None:
        """Replace the text of a note."""
        with self._told(f"change a note on pull request {request}"):
            self._project.get_issue(request).get_comment(note.id).edit(text)

    @property
    def _project(self) -> Repository:
        return self._server.get_repo(self._name)

    def _user(self) -> str:
        """Return whose token it is; "" for that of a workflow, which may not ask."""
        try:
            return self._server.get_user().login
        except GithubException as error:
            if error.status == 403:
                return ""
            raise

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except GithubException as error:
            said = error.data.get("message", "") if isinstance(error.data, dict) else ""
            raise explained("GitHub", doing, error.status or None, str(said)) from error
        except RequestException as error:
            raise explained("GitHub", doing, None, str(error)) from error
        except ODD_ANSWER as error:
            raise not_understood("GitHub", doing) from error


def _is_own(note: IssueComment, own: str) -> bool:
    # The token of a workflow writes as a robot, whose notes no person can write.
    return note.user.login == own if own else note.user.type == "Bot"
