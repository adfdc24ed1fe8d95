"""What can go wrong with a guest, by whose trouble it is."""

from __future__ import annotations

from tailstest.core.errors import CheckFailed, InfrastructureError, TailstestError, UsageError
from tailstest.core.text import printable, shortened


class GuestError(TailstestError):
    """Base of everything that the channel to a guest raises on purpose."""


class GuestUnreachable(GuestError, InfrastructureError):
    """The agent in the guest does not answer, was restarted, or the line to it is closed."""


class GuestProtocolError(GuestUnreachable):
    """What came from the guest is not what its agent would send."""


class GuestUsageError(GuestError, UsageError):
    """A call that can never work: an empty command, a relative path, a command that is too long."""


class GuestRefused(GuestError, CheckFailed):
    """The guest could not do it: no such user, no session, no permission, a file too large."""


class GuestPathMissing(GuestRefused):
    """A file, folder or program is not in the guest.

    Args:
        path: the path as it was asked for.
    """

    def __init__(self, path: str) -> None:
        shown = quoted(path)
        super().__init__(
            f"{shown} is not in the guest",
            hint="Check the path, and whether what makes it has run already.",
        )
        self.path = path


class EpochUnknown(GuestUnreachable):
    """The agent was restarted or set back since it was greeted; nothing of the request was done."""


def quoted(text: str, limit: int = 300) -> str:
    """Return text from a guest in quotes, short and safe to show."""
    return f"'{shortened(printable(text), limit)}'"


def refusal(code: str, message: str, path: str) -> GuestError:
    """Return the error for what the agent answered; see PROTOCOL.md for the codes."""
    said = shortened(printable(message), 500)
    about = f"{quoted(path)}: " if path else ""
    if code == "missing" and path:
        return GuestPathMissing(path)
    if code == "epoch":
        return EpochUnknown(
            "the agent in the guest was restarted or set back, and does not know us any more",
            hint="Call wait_ready() after the guest was started again or a saved state restored.",
        )
    if code == "bad_request":
        return GuestUsageError(f"the guest's agent does not accept this: {about}{said}")
    if code in _REFUSALS:
        return GuestRefused(f"{about}{_REFUSALS[code]}{said}")
    return GuestUnreachable(f"the guest's agent could not do it: {about}{said}")


_REFUSALS = {
    "missing": "not in the guest: ",
    "denied": "the guest does not allow it: ",
    "wrong_type": "",
    "no_user": "",
    "no_session": "",
    "too_large": "too large: ",
    "io": "the guest says: ",
}
