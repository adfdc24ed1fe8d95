"""Looking for texts in the bytes of a memory or a medium, raw and in UTF-16."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.text import printable
from tailstest.media.stick_content.sparse import extents

#: Fewest and most bytes of a text. A gibibyte of noise has one of four bytes by chance in one case
#: out of four, one of eight bytes never; a longer one than the limit is no secret but a document.
SHORTEST, LONGEST = 8, 1024

#: Bytes that are searched at once.
WINDOW = 8 << 20

#: Copies after which nobody counts on: what is searched is hostile, and may hold nothing else.
COUNTED = 1_000_000

#: Bytes of a block that is passed over when it is nothing but zeros; longer than any needle.
_BLOCK = 4096

#: Places of copies that are remembered.
_SHOWN = 3

#: Reads at most so many bytes at a place of what is searched.
Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Copies:
    """Where one form of a text was found.

    Attributes:
        count: of copies; `COUNTED` may mean more.
        first: places of the first ones, in bytes from the beginning.
    """

    count: int
    first: tuple[int, ...]


@dataclass(frozen=True)
class SearchResult:
    """What a search has found.

    Attributes:
        copies: name of a form to its copies, also those that were not found.
        size: bytes of all that was searched.
        searched: bytes of it that have any content; the rest is nothing but zeros.
    """

    copies: Mapping[str, Copies]
    size: int
    searched: int

    @property
    def found(self) -> bool:
        """Whether there is any copy of any form."""
        return any(each.count for each in self.copies.values())

    def only(self, name: str) -> SearchResult:
        """Return what was found of the needles whose names begin with a name and a colon."""
        start = f"{name}: "
        copies = {
            form.removeprefix(start): each
            for form, each in self.copies.items()
            if form.startswith(start)
        }
        return SearchResult(copies, self.size, self.searched)

    def explain(self) -> str:
        """Return in words how much was searched, and what was found where."""
        parts = [_words(name, copies) for name, copies in self.copies.items() if copies.count]
        found = "; ".join(parts) or f"no copy ({', '.join(self.copies)})"
        read = f"{self.searched / 2**20:.1f} MiB with content"
        return f"{found}; searched: {read}, of {self.size / 2**20:.0f} MiB"


def forms_of(text: str) -> dict[str, bytes]:
    """Return the bytes that a text may stand in, by the name of the form.

    Zero bytes at either end are left out, so that a copy is found at the edge of what was written
    to. A text of ASCII in UTF-16 then is the same in either order of bytes.

    Raises:
        UsageError: too short to prove anything, or too long.
    """
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw.strip(b"\0")) < SHORTEST or len(raw) > LONGEST:
        raise UsageError(
            f'"{printable(text[:40])}" has {len(raw)} bytes, which cannot be looked for',
            hint=f"take a text of {SHORTEST} to {LONGEST} bytes that stands nowhere else",
        )
    little = text.encode("utf-16-le", "surrogatepass").strip(b"\0")
    big = text.encode("utf-16-be", "surrogatepass").strip(b"\0")
    if little == big:
        return {"raw": raw.strip(b"\0"), "UTF-16": little}
    return {"raw": raw.strip(b"\0"), "UTF-16LE": little, "UTF-16BE": big}


def search_file(descriptor: int, size: int, needles: Mapping[str, bytes]) -> SearchResult:
    """Search an open file; holes are not read.

    Args:
        size: bytes that it must have.
        needles: name of a form to bytes, which neither begin nor end with zero.

    Raises:
        InfrastructureError: it is shorter than that, or cannot be read.
    """
    try:
        there = os.fstat(descriptor).st_size
        if there < size:
            raise InfrastructureError(
                f"only {there} of {size} bytes can be searched", hint="is the disk full?"
            )
        return search(
            extents(descriptor, 0, size),
            lambda place, most: os.pread(descriptor, most, place),
            size,
            needles,
        )
    except OSError as error:
        raise InfrastructureError(f"what is searched cannot be read: {error.strerror}") from error


def search_path(path: Path, needles: Mapping[str, bytes]) -> SearchResult:
    """Search a file of the host; see `search_file`."""
    try:
        with path.open("rb") as file:
            return search_file(file.fileno(), path.stat().st_size, needles)
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror}") from error


def search(
    parts: Iterator[tuple[int, int]],
    read: Read,
    size: int,
    needles: Mapping[str, bytes],
    *,
    window: int = WINDOW,
) -> SearchResult:
    """Search parts of something, window by window.

    Args:
        parts: begin and end of each, in order; what lies between them is zero.
        read: reads from it.
        size: of all of it, in bytes.
        needles: name to bytes, which neither begin nor end with zero.
        window: bytes that are read at once.

    Raises:
        InfrastructureError: it ends before it should.
    """
    counters = {name: _Counter(needle) for name, needle in needles.items()}
    overlap = max((len(needle) for needle in needles.values()), default=1) - 1
    searched, before, end = 0, b"", -1
    for place, data in _contents(parts, read, window):
        if place != end:
            before = b""
        joined = before + data
        for counter in counters.values():
            counter.count_in(joined, len(before), place - len(before))
        searched += len(data)
        end = place + len(data)
        before = joined[-overlap:] if overlap else b""
    copies = {name: Copies(each.count, tuple(each.first)) for name, each in counters.items()}
    return SearchResult(copies, size, searched)


def _contents(
    parts: Iterator[tuple[int, int]], read: Read, window: int
) -> Iterator[tuple[int, bytes]]:
    """Yield places and bytes, in order, without blocks of nothing but zeros.

    A needle is shorter than a block and neither begins nor ends with zero, so no copy is missed.
    A memory that is wiped is full of such blocks, and UTF-16 is slow to be found in them.
    """
    for begin, end in parts:
        place = begin
        while place < end:
            data = read(place, min(window, end - place))
            if not data:
                raise InfrastructureError(f"what is searched ends at byte {place} instead of {end}")
            for first, last in _filled(data):
                yield place + first, data[first:last]
            place += len(data)


def _filled(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of runs of blocks that are not zero; a part of a block always counts."""
    whole = len(data) // _BLOCK
    words = np.frombuffer(data, dtype=np.uint64, count=whole * (_BLOCK // 8))
    filled = words.reshape(whole, _BLOCK // 8).any(axis=1)
    # Where a run of filled blocks begins, and where it ends.
    edges = np.flatnonzero(np.diff(np.concatenate(([False], filled, [False])).astype(np.int8)))
    rest = len(data) - whole * _BLOCK
    for first, last in edges.reshape(-1, 2).tolist():
        yield first * _BLOCK, last * _BLOCK
    if rest:
        yield whole * _BLOCK, len(data)


class _Counter:
    """Counts one needle in windows that overlap."""

    def __init__(self, needle: bytes) -> None:
        self._needle = needle
        self.count = 0
        self.first: list[int] = []

    def count_in(self, data: bytes, known: int, offset: int) -> None:
        """Count the copies that end behind the bytes that are known already.

        Args:
            known: bytes at the beginning that were in the window before.
            offset: place of the window.
        """
        at = max(0, known - len(self._needle) + 1)
        while self.count < COUNTED and (at := data.find(self._needle, at)) >= 0:
            self.count += 1
            if len(self.first) < _SHOWN:
                self.first.append(offset + at)
            at += 1


def _words(name: str, copies: Copies) -> str:
    number = f"{copies.count} or more" if copies.count >= COUNTED else str(copies.count)
    noun = "copy" if copies.count == 1 else "copies"
    places = ", ".join(f"{place:#x}" for place in copies.first)
    more = ", ..." if copies.count > len(copies.first) else ""
    return f"{number} {noun} ({name}) at {places}{more}"
