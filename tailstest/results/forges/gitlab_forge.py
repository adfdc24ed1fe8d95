"""GitLab, through python-gitlab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from gitlab import Gitlab, GitlabError
from requests import RequestException

from tailstest.results.forges.forge import (
    MAX_NOTES,
    ODD_ANSWER,
    RETRIES,
    TIMEOUT,
    Note,
    State,
    Status,
    described,
    explained,
    not_understood,
)

_STATES = {
    State.PENDING: "pending",
    State.SUCCESS: "success",
    State.FAILURE: "failed",
    State.ERROR: "failed",
}
_BOUNDS: dict[str, Any] = {"max_retries": RETRIES}


class GitlabForge:
    """A project on a GitLab server.

    Args:
        url: of the server.
        project: number or path of the project.
    """

    def __init__(self, url: str, project: str, token: str) -> None:
        self._server = Gitlab(
            url, private_token=token, timeout=TIMEOUT, retry_transient_errors=True
        )
        self._project = self._server.projects.get(project, lazy=True)

    def set_status(self, commit: str, status: Status) -> None:
        """Mark a commit."""
        values = {
            "state": _STATES[status.state],
            "name": status.context,
            "description": described(status.description),
        }
        if status.link:
            values["target_url"] = status.link
        with self._told(f"mark commit {commit}", ignore="Cannot transition status"):
            self._project.commits.get(commit, lazy=True).statuses.create(values, **_BOUNDS)

    def own_notes(self, request: int, marker: str) -> list[Note]:
        """Return our notes, the oldest first."""
        with self._told(f"read the notes of merge request {request}"):
            user = self._server.http_get("/user", **_BOUNDS)
            own = user.get("id") if isinstance(user, dict) else None
            notes = self._request(request).notes.list(
                iterator=True, order_by="created_at", sort="asc", per_page=100, **_BOUNDS
            )
            return [
                Note(note.id, note.body)
                for note in islice(notes, MAX_NOTES)
                if note.body.startswith(marker) and note.author["id"] == own
            ]

    def add_note(self, request: int, text: str) -> None:
        """Write a note."""
        with self._told(f"write a note on merge request {request}"):
            # Not tried again: an answer that got lost would mean a second note.
            self._request(request).notes.create({"body": text}, retry_transient_errors=False)

    def change_note(self, request: int, note: Note, text: str) -> None:
        """Replace the text of a note."""
        with self._told(f"change a note on merge request {request}"):
            self._request(request).notes.update(note.id, {"body": text}, **_BOUNDS)

    def _request(self, number: int) -> Any:
        return self._project.mergerequests.get(number, lazy=True)

    @contextmanager
    def _told(self, doing: str, ignore: str = "") -> Iterator[None]:
        try:
            yield
        except GitlabError as error:
            # A state that is set already is no reason to complain.
            if not (ignore and error.response_code == 400 and ignore in str(error)):
                said = str(error.error_message)
                raise explained("GitLab", doing, error.response_code, said) from error
        except RequestException as error:
            raise explained("GitLab", doing, None, str(error)) from error
        except ODD_ANSWER as error:
            raise not_understood("GitLab", doing) from error
