"""Making text from guests, files and tools safe to show."""

from __future__ import annotations

import re

#: Control characters, and the ones that turn the direction of writing: they hide what stands there.
_CONTROL = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]"
)
_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:[()*+][0-9A-Za-z]|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])"
)


def printable(text: str) -> str:
    """Return `text` without terminal escape sequences and with control characters made visible.

    What is left is valid in XML 1.0 (https://www.w3.org/TR/xml/#charsets) and harmless on a
    terminal; newlines and tabs stay, carriage returns before a newline go.
    """
    text = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n")
    return _CONTROL.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


#: Up to this many characters a text stands within a line or a table, where a note is too long.
_WITHIN_A_LINE = 200


def shortened(text: str, limit: int, *, where: str = "") -> str:
    """Return at most about `limit` characters of `text`: head and tail, and what was left out.

    A text of one line stays one: what is left out of a short one is told by an ellipsis, of a long
    one by a note within the line. Otherwise the note has a line of its own.

    Args:
        where: named in the note as the place of the full text, for example a file.
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    head, tail = text[:half], text[-half:]
    if "\n" not in text and limit <= _WITHIN_A_LINE and not where:
        return f"{head.rstrip()} … {tail.lstrip()}"
    source = f"; all of it: {where}" if where else ""
    note = f"[... {len(text) - 2 * half} characters left out{source} ...]"
    between = "\n" if "\n" in text else " "
    return f"{head}{between}{note}{between}{tail}"
