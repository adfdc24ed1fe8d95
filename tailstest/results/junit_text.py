"""Names and texts in JUnit files that no consumer stumbles over."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from hashlib import blake2s
from pathlib import PurePath
from xml.sax.saxutils import escape

from tailstest.core.text import printable
from tailstest.results.run_record import ScenarioRecord

#: Characters of one message or name; consumers show them on one line.
MAX_MESSAGE = 2_000
MAX_NAME = 400
#: Bytes that new lines and their indentation add to an element, which is at most five levels deep.
_INDENTED = 2 * (1 + 5 * 2)
#: What attributes escape besides.
_QUOTES = {'"': "&quot;"}
#: How the names of properties begin that say what is suspected; fields of `suspect_told` follow.
SUSPECT_PROPERTY = "tailstest.suspect."


def unique_names(scenarios: Iterable[ScenarioRecord]) -> dict[str, str]:
    """Give each scenario (by id) of one file a name of its own; equal ones get their line."""
    scenarios = list(scenarios)
    plain = {s.id: name_of(s.name, "(unnamed scenario)") for s in scenarios}
    count = Counter(plain.values())
    count["(unnamed scenario)"] += 1  # always with its line, so that adding one renames no other
    result: dict[str, str] = {}
    used: set[str] = set()
    for scenario in scenarios:
        name = plain[scenario.id]
        if count[name] > 1:
            name += f" (line {name_of(scenario.location.rpartition(':')[2], '?')})"
        name = unused(name, used)
        used.add(name)
        result[scenario.id] = name
    return result


def unused(name: str, used: Container[str]) -> str:
    """Return `name`, or it with a number when it is in `used` already."""
    candidate, number = name, 2
    while candidate in used:
        candidate = f"{name} ({number})"
        number += 1
    return candidate


def unique_classnames(files: Mapping[str, object]) -> dict[str, str]:
    """Turn paths into dotted names; two paths that would meet get a digest of the path."""
    plain = {
        file: name_of(
            ".".join(
                part.replace(".", "_") for part in PurePath(file.removesuffix(".feature")).parts
            ).lstrip("/."),
            "features",
        )
        for file in files
    }
    count = Counter(plain.values())
    return {
        file: name
        if count[name] == 1
        else f"{name}-{blake2s(file.encode('utf-8', 'replace'), digest_size=3).hexdigest()}"
        for file, name in plain.items()
    }


def clean(text: str) -> str:
    """Make text from tests and guests valid in XML and unable to forge an attachment."""
    return printable(text).replace("[[ATTACHMENT", "[ [ATTACHMENT")


def one_line(text: str) -> str:
    """Return cleaned text on one line."""
    return " ".join(clean(text).split())


def name_of(text: str, fallback: str) -> str:
    """Return a name of bounded length on one line, `fallback` when nothing is left of it."""
    name = one_line(text) or fallback
    if len(name) <= MAX_NAME:
        return name
    digest = blake2s(name.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{name[:MAX_NAME]}... {digest}"


def message_of(text: str, limit: int) -> str:
    """Return the first line of a text, of at most about `limit` bytes in the file."""
    whole = one_line(text.strip().partition("\n")[0])
    line = whole[:MAX_MESSAGE]
    while len(line) > 1 and (size := text_size(line, _QUOTES)) > limit:
        line = line[: min(len(line) - 1, max(1, len(line) * limit // size))]
    return line if line == whole else line + "..."


def bounded(text: str, limit: int, where: str) -> str:
    """Return cleaned text of at most `limit` bytes in the file, with a note naming the whole.

    Bytes are counted as XML writes them, so that a guest sending only "&" gains nothing. Where not
    even the note has room, nothing is left.
    """
    text = clean(text)
    total = text_size(text)
    if total <= limit:
        return text
    note = f"\n[... shortened, {total} bytes in all; the whole: {where} ...]\n"
    room = limit - text_size(note)
    if room < 0:
        return ""
    half = room // 2
    while half:
        head, tail = text[:half], text[-half:]
        size = text_size(head) + text_size(tail)
        if size <= room:
            return head + note + tail
        half = min(half - 1, half * max(1, room) // size)
    return note


def written_size(element: ET.Element) -> int:
    """Return the bytes that an element takes in the file, indented."""
    return len(ET.tostring(element, "utf-8")) + _INDENTED * sum(1 for _ in element.iter())


def text_size(text: str, more: Mapping[str, str] | None = None) -> int:
    """Return the bytes that a text takes in the file; `more` is what is escaped besides."""
    return len(escape(text, dict(more or {})).encode("utf-8", "replace"))
