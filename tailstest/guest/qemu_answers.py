"""What QEMU's guest agent answers, checked: nothing in it is taken for granted."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from tailstest.core.errors import SetupError
from tailstest.guest.errors import GuestProtocolError, GuestUnreachable, quoted

#: Commands that an agent must have and allow.
NEEDED = (
    "guest-exec",
    "guest-exec-status",
    "guest-file-open",
    "guest-file-write",
    "guest-file-close",
)

#: Most commands that an agent may say it has.
_COMMANDS_LIMIT = 2000


def parsed(line: bytes) -> dict[str, Any]:
    """Return the object in a line, or an empty one if there is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def check_allowed(info: object) -> None:
    """See that all that we need is there and allowed."""
    listed = info.get("supported_commands") if isinstance(info, dict) else None
    if not isinstance(listed, list) or len(listed) > _COMMANDS_LIMIT:
        raise nonsense("guest-info", info)
    enabled: dict[str, bool] = {}
    for entry in listed:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or type(entry.get("enabled")) is not bool:
            raise nonsense("guest-info", entry)
        enabled[name] = entry["enabled"]
    other = 'or reach the image another way, such as channel = "debug-shell".'
    missing = [name for name in NEEDED if name not in enabled]
    if missing:
        raise SetupError(
            f"the image's QEMU guest agent is too old: it does not know {', '.join(missing)}",
            hint=f"Use an image with QEMU's guest agent 2.5 or later, {other}",
        )
    blocked = [name for name in NEEDED if not enabled[name]]
    if blocked:
        raise SetupError(
            f"the image's QEMU guest agent blocks {', '.join(blocked)}",
            hint="Allow it in the image (block-rpcs, blacklist or allow-rpcs in "
            "/etc/qemu/qemu-ga.conf, or the options in /etc/sysconfig/qemu-ga), " + other,
        )


def ended(answer: object) -> tuple[int, bytes] | None:
    """Return status and output of a command that has ended."""
    about = "guest-exec-status"
    if not isinstance(answer, dict) or type(answer.get("exited")) is not bool:
        raise nonsense(about, answer)
    if not answer["exited"]:
        return None
    if "signal" in answer:
        status = 128 + number(answer, "signal", about, 1, 127)
    else:
        status = number(answer, "exitcode", about, 0, 255)
    coded = answer.get("out-data", "")
    try:
        return status, base64.b64decode(coded.encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error):
        raise nonsense(about, answer) from None


def number(answer: object, key: str, command: str, least: int, most: int) -> int:
    """Return the whole number under a key, within its limits."""
    value = answer.get(key) if isinstance(answer, dict) else None
    if type(value) is not int or not least <= value <= most:
        raise nonsense(command, answer)
    return value


def refused(command: str, error: object) -> GuestUnreachable:
    """Return the error for a command that the agent does not do."""
    said = error.get("desc") if isinstance(error, dict) else None
    if not isinstance(said, str):
        return nonsense(command, error)
    return GuestUnreachable(f"the QEMU guest agent could not do {command}: {quoted(said)}")


def nonsense(command: str, answer: object) -> GuestProtocolError:
    """Return the error for an answer that no honest agent gives."""
    shown = answer if isinstance(answer, str) else repr(answer)
    return GuestProtocolError(
        f"the QEMU guest agent answered nonsense to {command}: {quoted(shown)}"
    )
