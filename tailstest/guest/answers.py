"""JSON from a guest, read with checks: a guest that lies gives one clear error."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from tailstest.core.errors import TailstestError
from tailstest.guest.errors import GuestProtocolError, refusal
from tailstest.guest.frames import VERSION

_FAR = 2**53


class Answer:
    """A JSON object that came in one frame (which bounds its size).

    Raises:
        GuestProtocolError: it is not a JSON object; every method raises it for a wrong type.
    """

    def __init__(self, payload: bytes) -> None:
        try:
            values = json.loads(payload)
        except (ValueError, RecursionError):
            raise GuestProtocolError("the guest's agent sent something that is not JSON") from None
        if not isinstance(values, dict):
            raise GuestProtocolError("the guest's agent sent JSON that is not an object")
        self._values: dict[str, object] = values

    def integer(self, name: str, low: int = 0, high: int = _FAR) -> int:
        """Return a whole number from `low` to `high`."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str) -> float:
        """Return a finite number."""
        value = self._values.get(name)
        wrong = isinstance(value, bool) or not isinstance(value, int | float)
        if wrong or not math.isfinite(value) or abs(value) > _FAR:  # type: ignore[arg-type]
            raise self._wrong(name, "a number")
        return float(value)  # type: ignore[arg-type]

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def text(self, name: str, longest: int = 4096) -> str:
        """Return a string of at most `longest` characters."""
        value = self._values.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise self._wrong(name, f"text of at most {longest} characters")
        return value

    @staticmethod
    def _wrong(name: str, wanted: str) -> GuestProtocolError:
        return GuestProtocolError(f"the guest's agent did not send {wanted} as {name!r}")


@dataclass(frozen=True)
class AgentInfo:
    """Who answered in the guest.

    Attributes:
        sha256: digest of the agent's own file, in hex.
        boot_id: changes with every boot of the guest.
        clock: the guest's clock when it answered, in seconds since 1970.
    """

    version: int
    sha256: str
    pid: int
    uid: int
    boot_id: str
    clock: float

    @classmethod
    def parse(cls, payload: bytes) -> AgentInfo:
        """Read the answer to a greeting.

        Raises:
            GuestProtocolError: it is malformed, or of another version of the protocol.
        """
        answer = Answer(payload)
        version = answer.integer("version")
        if version != VERSION:
            raise GuestProtocolError(
                f"the guest's agent speaks version {version} of the protocol, we speak {VERSION}",
                hint="Put the agent of this tailstest into the guest.",
            )
        return cls(
            version,
            answer.text("sha256", 64),
            answer.integer("pid"),
            answer.integer("uid"),
            answer.text("boot_id", 64),
            answer.number("clock"),
        )


@dataclass(frozen=True)
class FileStatus:
    """What `lstat` says about a path in the guest.

    Attributes:
        kind: "file", "folder", "link" or "other".
        size: bytes.
        mtime: seconds since 1970.
        target: where a link points to, else empty.
    """

    kind: str
    size: int
    mode: int
    uid: int
    gid: int
    mtime: float
    target: str

    @classmethod
    def read(cls, answer: Answer) -> FileStatus:
        """Read the answer to a stat request."""
        kind = answer.text("kind", 16)
        if kind not in KINDS.values():
            raise GuestProtocolError("the guest's agent sent an unknown type of file")
        return cls(
            kind,
            answer.integer("size"),
            answer.integer("mode", 0, 0o7777),
            answer.integer("uid"),
            answer.integer("gid"),
            answer.number("mtime"),
            answer.text("target"),
        )


@dataclass(frozen=True)
class Entry:
    """One name in a folder of the guest; `kind` as in `FileStatus`."""

    name: str
    kind: str


#: Letter in a folder's listing, and what it means.
KINDS = {"f": "file", "l": "link", "o": "other", "d": "folder"}


def parse_listing(data: bytes) -> list[Entry]:
    """Read a folder's listing; sorted by name.

    Raises:
        GuestProtocolError: a name that cannot be one, or an unknown type.
    """
    entries = []
    for part in data.split(b"\0")[:-1]:
        kind, name = KINDS.get(part[:1].decode("latin-1")), part[1:]
        if kind is None or not name or b"/" in name or name in (b".", b".."):
            raise GuestProtocolError("the guest's agent sent a listing with an impossible name")
        entries.append(Entry(name.decode("utf-8", "surrogateescape"), kind))
    if data and not data.endswith(b"\0"):
        raise GuestProtocolError("the guest's agent sent a listing that is cut off")
    return sorted(entries, key=lambda entry: entry.name)


def parse_error(payload: bytes) -> TailstestError:
    """Return the error that the agent reported, or what is wrong with its report."""
    try:
        answer = Answer(payload)
        return refusal(
            answer.text("code", 40), answer.text("message"), answer.text("path", MAX_PATH)
        )
    except GuestProtocolError as error:
        return error


MAX_PATH = 8192
