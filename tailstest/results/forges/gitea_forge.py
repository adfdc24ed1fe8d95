"""Gitea and Forgejo, through py-gitea."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from gitea import Gitea
from gitea.exceptions import GiteaApiException
from requests import PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from tailstest.core.errors import UsageError
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
    State.FAILURE: "failure",
    State.ERROR: "error",
}
#: What the library calls the statuses of HTTP.
_STATUS_OF = {
    "Forbidden": 401,
    "Unauthorized": 403,
    "NotFoundException": 404,
    "ConflictException": 409,
    "Unprocessable": 422,
}


class GiteaForge:
    """A project on a Gitea or Forgejo server.

    Args:
        url: of the server.
        project: OWNER/NAME.
    """

    def __init__(self, url: str, project: str, token: str) -> None:
        owner, separator, name = project.partition("/")
        if not (owner and separator and name) or "/" in name:
            raise UsageError(f'"{project}" is no project', hint="write OWNER/NAME")
        self._server: Any = Gitea(url.rstrip("/"), token_text=token, log_level="CRITICAL")
        logging.getLogger("gitea").propagate = False
        for scheme in ("http://", "https://"):
            self._server.requests.mount(scheme, _Bounded())
        self._place = f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"

    def set_status(self, commit: str, status: Status) -> None:
        """Mark a commit."""
        values = {
            "state": _STATES[status.state],
            "context": status.context,
            "description": described(status.description),
            "target_url": status.link,
        }
        with self._told(f"mark commit {commit}"):
            path = f"{self._place}/statuses/{quote(commit, safe='')}"
            self._server.requests_post(path, data=values)

    def own_notes(self, request: int, marker: str) -> list[Note]:
        """Return our notes, the oldest first."""
        with self._told(f"read the notes of pull request {request}"):
            own = self._server.requests_get("/user").get("id")
            notes = self._server.requests_get(f"{self._place}/issues/{request}/comments") or []
            return [
                Note(note["id"], note["body"])
                for note in notes[-MAX_NOTES:]
                if note["body"].startswith(marker) and note["user"]["id"] == own
            ]

    def add_note(self, request: int, text: str) -> None:
        """Write a note."""
        with self._told(f"write a note on pull request {request}"):
            path = f"{self._place}/issues/{request}/comments"
            self._server.requests_post(path, data={"body": text})

    def change_note(self, request: int, note: Note, text: str) -> None:
        """Replace the text of a note."""
        with self._told(f"change a note on pull request {request}"):
            path = f"{self._place}/issues/comments/{note.id}"
            self._server.requests_patch(path, data={"body": text})

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except GiteaApiException as error:
            # The library tells the status in words: "Received status code: 500 (URL)".
            words = str(error).partition("status code: ")[2].split()
            status = int(words[0]) if words and words[0].isdecimal() else 500
            raise explained("Gitea", doing, _STATUS_OF.get(type(error).__name__, status)) from error
        except RequestException as error:
            raise explained("Gitea", doing, None, str(error)) from error
        except ODD_ANSWER as error:
            raise not_understood("Gitea", doing) from error


class _Bounded(HTTPAdapter):
    """Requests that end: the library itself sets neither a time limit nor tries anything again."""

    def __init__(self) -> None:
        # A POST is not tried again: an answer that got lost would mean a second note.
        again = Retry(
            total=RETRIES,
            backoff_factor=0.5,
            status_forcelist=(502, 503, 504),
            allowed_methods=("GET", "PATCH"),
            raise_on_status=False,
        )
        super().__init__(max_retries=again)

    def send(self, request: PreparedRequest, *words: Any, **options: Any) -> Response:
        """Send a request with a limit of time."""
        options["timeout"] = options.get("timeout") or TIMEOUT
        return super().send(request, *words, **options)
