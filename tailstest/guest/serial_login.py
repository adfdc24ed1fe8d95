"""Logging in at the prompt of agetty on a guest's serial port."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import SetupError
from tailstest.core.text import printable
from tailstest.guest.errors import GuestUnreachable, GuestUsageError
from tailstest.guest.port_socket import LOOK_INTERVAL
from tailstest.guest.serial_line import SerialLine
from tailstest.guest.serial_shell import READY_WITHIN, SerialShell

T = TypeVar("T")

#: Seconds between two presses of Enter that bring the prompt back after other text.
WAKE_INTERVAL = 3.0

#: Seconds of silence after which a shell without a known prompt is taken to be there.
SILENCE = 8.0

#: Seconds of silence after what looks like a prompt.
PROMPT_SILENCE = 0.5

#: How often a login is tried: a character of the name or password may get lost.
TRIES = 2

_LOGIN = re.compile(r"\blogin: ?$", re.IGNORECASE | re.MULTILINE)
_PASSWORD = re.compile(r"assword(?: for [^\n:]*)?: ?$", re.IGNORECASE | re.MULTILINE)
_REFUSED = re.compile(
    r"incorrect|authentication failure|permission denied|not allowed|account (?:is )?(?:locked|"
    r"expired)|maximum number of tries",
    re.IGNORECASE,
)
_PROMPT = re.compile(r"[#$%>] ?$")

#: Bytes of what came that are looked at for a question.
_LOOKED_AT = 4096


def log_in(
    shell: SerialShell, user: str, password: str, *, deadline: Deadline | None = None
) -> None:
    """Log in at the prompt on the serial port; afterwards the shell is ready (120 s unless said).

    Args:
        password: may be empty; it is not sent when none is asked for, and never shown.

    Raises:
        SetupError: the guest refused this user or password, or the image lacks what a shell needs.
        GuestUnreachable: an InfrastructureError; no prompt or no shell came. It says what was seen.
        GuestUsageError: a UsageError; a name or password that no prompt takes.
    """
    if not user or not (user + password).isprintable():
        raise GuestUsageError("a user's name and password are one line; the name is not empty")
    deadline = deadline or shell.line.deadline(READY_WITHIN)
    shell.line.hide(password)
    shell.line.open(deadline)
    login = _Login(shell.line, user, deadline)
    for _ in range(TRIES):
        login.wait_prompt()
        event = login.give(user)
        if event == "password":
            event = login.give(password)
        if event == "shell":
            break
    else:
        raise login.refused()
    try:
        shell.wait_ready(deadline)
    except GuestUnreachable:
        # What was silent so long may have been a slow refusal.
        if _REFUSED.search(shell.line.seen()):
            raise login.refused() from None
        raise


class _Login:
    """One attempt to log in."""

    def __init__(self, line: SerialLine, user: str, deadline: Deadline) -> None:
        self._line = line
        self._user = user
        self._deadline = deadline

    def wait_prompt(self) -> None:
        """Wait for a login prompt; press Enter for one, again and again."""
        wake = Deadline.after(0.0)

        def look() -> bool | None:
            nonlocal wake
            self._line.read()
            if _LOGIN.search(self._text()):
                return True
            if wake.expired:
                self._line.send(b"\n", self._line.deadline(1.0))
                wake = self._line.deadline(WAKE_INTERVAL)
            return None

        if self._poll(look) is None:
            raise self._nothing("no login prompt came")

    def give(self, text: str) -> str:
        """Give what is asked for; return what came of it: login, password, refused or shell."""
        self._line.discard()
        self._line.send(text.encode() + b"\n", self._deadline)
        return self._next_event()

    def refused(self) -> SetupError:
        """Return the error for a login that the guest does not want."""
        return SetupError(
            f"the guest refused the login of user {printable(self._user)!r} on the serial port; "
            f"{self._line.describe_seen()}",
            hint="Check the user's name and the password for this image.",
        )

    def _next_event(self) -> str:
        """Wait for the next question, a refusal, or a shell."""
        silence, prompt = self._line.deadline(SILENCE), self._line.deadline(PROMPT_SILENCE)

        def look() -> str | None:
            nonlocal silence, prompt
            if self._line.read():
                silence = self._line.deadline(SILENCE)
                prompt = self._line.deadline(PROMPT_SILENCE)
            text = self._text()
            if _REFUSED.search(text):
                return "refused"
            if _PASSWORD.search(text):
                return "password"
            if _LOGIN.search(text):
                return "login"
            if silence.expired or (prompt.expired and _PROMPT.search(text)):
                return "shell"
            return None

        event = self._poll(look)
        if event is None:
            raise self._nothing("neither a question nor a shell came after the login")
        return event

    def _text(self) -> str:
        text = self._line.pending[-_LOOKED_AT:].decode("utf-8", "replace")
        return printable(text.replace("\r", ""))

    def _poll(self, look: Callable[[], T | None]) -> T | None:
        return poll(look, self._deadline, interval=LOOK_INTERVAL, watches=self._line.watches)

    def _nothing(self, what: str) -> GuestUnreachable:
        return GuestUnreachable(
            f"{what} on the guest's serial port, in {self._deadline.seconds:.0f} seconds; "
            f"{self._line.describe_seen()}",
            hint="Does the image ask for a login on this port?",
        )
