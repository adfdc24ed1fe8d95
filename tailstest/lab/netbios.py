"""Names in NetBIOS messages (RFC 1001, 14.1): each half of a byte is a letter from A to P."""

from __future__ import annotations

import re

#: Characters of a name, filled up with spaces; behind them stands a byte that says what has it.
NAME_SIZE = 15
_FIRST_LETTER = ord("A")
#: A name behind its length, 32: two letters for each of 16 bytes.
_NAME = re.compile(rb"\x20([A-P]{30})[A-P]{2}", re.IGNORECASE)


def encoded(name: str) -> bytes:
    """Return a name as it stands in a message, without what it is filled up with."""
    halves = (half for byte in name.upper().encode()[:NAME_SIZE] for half in divmod(byte, 16))
    return bytes(_FIRST_LETTER + half for half in halves)


def names_in_netbios(message: bytes) -> tuple[str, ...]:
    """Return the names in a message, in upper case and maybe cut off; not safe to print."""
    found = (_decoded(match[1].upper()) for match in _NAME.finditer(message))
    return tuple(dict.fromkeys(found))


def _decoded(letters: bytes) -> str:
    halves = [letter - _FIRST_LETTER for letter in letters]
    pairs = zip(halves[::2], halves[1::2], strict=True)
    return bytes(high << 4 | low for high, low in pairs).decode("utf-8", "replace").rstrip(" \0")
