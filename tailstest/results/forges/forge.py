"""What is asked of a forge (GitLab, Gitea, GitHub): a state at a commit, a note on a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.results.shown import one_line

#: Seconds for one request to a forge, and how often one that failed is tried again.
TIMEOUT = 30
RETRIES = 2
#: Characters of a description of a state; GitHub takes 140, the others more.
MAX_DESCRIPTION = 140
#: Characters of a note; GitHub takes 65,536, the others more.
MAX_NOTE = 60_000
#: Notes of one request that are looked through for our own.
MAX_NOTES = 2_000
#: What reading an answer of another form ends in, here and inside of the clients.
ODD_ANSWER = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
_CONTEXT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,59}$")


class State(StrEnum):
    """What a commit is marked with."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"  # infrastructure trouble: no statement about the commit


@dataclass(frozen=True)
class Status:
    """A state at a commit.

    Attributes:
        context: names the check; the same one again replaces what it said before.
        link: address of the report, "" for none.
    """

    state: State
    description: str
    context: str
    link: str = ""


@dataclass(frozen=True)
class Note:
    """A note of ours on a request."""

    id: int
    text: str


class Forge(Protocol):
    """A forge. Everything raises UsageError or InfrastructureError; see `explained`."""

    def set_status(self, commit: str, status: Status) -> None:
        """Mark a commit."""

    def own_notes(self, request: int, marker: str) -> list[Note]:
        """Return notes that begin with a marker and were written by whoever has our token."""

    def add_note(self, request: int, text: str) -> None:
        """Write a note on a merge request or pull request."""

    def change_note(self, request: int, note: Note, text: str) -> None:
        """Replace the text of a note."""


def put_note(forge: Forge, request: int, text: str, context: str) -> str:
    """Write a note, or bring the one that is there up to date.

    A note is our own if its author is the user of the token and it begins with our marker: what
    others write, marker and all, is never touched.

    Returns:
        "added", "changed" or "unchanged".
    """
    marker = marker_of(context)
    whole = f"{marker}\n{_cut(text, MAX_NOTE - len(marker) - 1)}"
    notes = forge.own_notes(request, marker)
    if not notes:
        forge.add_note(request, whole)
        return "added"
    if notes[0].text.strip() == whole.strip():
        return "unchanged"
    forge.change_note(request, notes[0], whole)
    return "changed"


def marker_of(context: str) -> str:
    """Return the first line of a note, which nobody sees, by which it is found again.

    Raises:
        UsageError: the context has characters that have no place in it.
    """
    if not _CONTEXT.match(context):
        raise UsageError(
            f'"{one_line(context, 80)}" cannot be the name of a check',
            hint="use letters, digits, blanks and ._/- (60 at most)",
        )
    return f"<!-- tailstest: {context} -->"


def explained(forge: str, doing: str, status: int | None, said: str = "") -> TailstestError:
    """Return the error for people when a forge did not do what it was asked.

    Args:
        doing: what was asked, "mark commit abc" for example.
        status: of HTTP; None when there was no answer.
        said: by the forge or the network.
    """
    reason = one_line(said, 200)
    tail = f": {reason}" if reason else ""
    if status in (401, 403):
        return UsageError(
            f"{forge} does not let this token {doing} (status {status}){tail}",
            hint="give a token that may write states of commits and comments on requests",
        )
    if status in (400, 404, 422):
        return UsageError(
            f"{forge} cannot {doing} (status {status}){tail}",
            hint="look at project, commit and number of the request; what a token may not see, "
            "does not exist for it",
        )
    what = "gave no answer" if status is None else f"answered with status {status}"
    return InfrastructureError(
        f"{forge} {what} when asked to {doing}{tail}", hint="look after the server, then try again"
    )


def not_understood(forge: str, doing: str) -> TailstestError:
    """Return the error for an answer that is none of a forge, a page to log in for example."""
    return InfrastructureError(
        f"the answer of {forge}, when asked to {doing}, is not of the form that it should have",
        hint="look whether the address is that of the server itself, not of a page before it",
    )


def described(text: str) -> str:
    """Return a description that every forge takes."""
    return one_line(text, MAX_DESCRIPTION)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    note = "\n\n… shortened; the report has all of it\n"
    return text[: text.rfind("\n", 0, limit - len(note))] + note
