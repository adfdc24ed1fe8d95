"""Checks of what is on a stick, and the table of a step that says what shall be there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.text import printable, shortened
from tailstest.media.pattern_search import SearchResult
from tailstest.media.stick_content.inspection import StickInspection, same_content
from tailstest.media.stick_content.volume import Volume
from tailstest.media.usb_stick import UsbStick
from tailstest.suite.parameter_types import size

#: Columns of the table of a step.
COLUMNS = ("size", "file system", "label", "encryption", "passphrase", "files")

#: Characters of a file that a message quotes.
QUOTED = 500


class StickCheck:
    """One stick that nobody writes to.

    Every check raises CheckFailed if it is not as expected, and says what is there instead.

    Args:
        name: for messages.
    """

    def __init__(self, name: str, stick: UsbStick) -> None:
        self._name = printable(name)
        self._stick = stick

    def check_table(self, kind: str) -> None:
        """Check the partition table: "GPT", "MBR" or "no"."""
        with StickInspection.of(self._stick) as seen:
            found = seen.table.kind
        self._expect(found == kind, f"partition table {kind}", found)

    def check_content(self, number: int, content: str) -> None:
        """Check what a partition holds, such as "FAT32", "LUKS2", or "none"."""
        with StickInspection.of(self._stick) as seen:
            found = seen.file_system(number).kind
        self._expect(found == content, f"{content} on partition {number}", found)

    def check_label(self, number: int, label: str) -> None:
        """Check the label of the file system of a partition."""
        with StickInspection.of(self._stick) as seen:
            found = seen.file_system(number).label
        self._expect(found == label, f'the label "{label}" on partition {number}', f'"{found}"')

    def check_passphrase(self, number: int, passphrase: str, *, expected: bool) -> None:
        """Check whether a passphrase opens an encrypted partition."""
        with StickInspection.of(self._stick) as seen:
            opens = seen.opens(number, passphrase)
        wish = "opens" if expected else "does not open"
        found = "it opens it" if opens else "it does not"
        self._expect(opens is expected, f"that the passphrase {wish} partition {number}", found)

    def check_file(self, number: int, path: str, text: str, passphrase: str = "") -> None:
        """Check that a file is there and that a text is in it.

        Args:
            passphrase: of an encrypted partition.
        """
        with StickInspection.of(self._stick) as seen:
            found = seen.read(number, path, passphrase).decode(errors="replace")
        quoted = shortened(printable(found), QUOTED)
        self._expect(text in found, f'"{printable(text)}" in {printable(path)}', f"\n{quoted}")

    def check_sha256(self, digest: str) -> None:
        """Check the SHA-256 of all bytes of the stick."""
        with StickInspection.of(self._stick) as seen:
            found = seen.sha256()
        self._expect(found == digest.lower(), f"the SHA-256 {printable(digest)}", found)

    def search(self, needles: Mapping[str, bytes]) -> SearchResult:
        """Search all bytes of the stick; see `media.pattern_search`."""
        with StickInspection.of(self._stick) as seen:
            return seen.search(needles)

    def read(self, number: int, path: str, passphrase: str = "") -> bytes:
        """Return the content of a file; see `StickInspection.read`."""
        with StickInspection.of(self._stick) as seen:
            return seen.read(number, path, passphrase)

    def check_same(self, other: StickCheck, *, expected: bool) -> None:
        """Check whether two sticks have the same size and content."""
        differ = same_content(self._stick, other._stick)
        wish = "the content" if expected else "another content than that"
        found = differ or "they are the same"
        self._expect(bool(differ) is not expected, f'{wish} of "{other._name}"', found)

    def _expect(self, is_so: bool, expected: str, found: str) -> None:
        if not is_so:
            raise CheckFailed(
                f'expected on the USB stick "{self._name}": {expected}; it has: {found}'
            )


def volumes_of(table: Any, suite: Path) -> list[Volume]:
    """Return what the rows of a step's table describe.

    Args:
        table: behave's Table with `COLUMNS`, of which only "file system" is needed.
        suite: folders in the column "files" are relative to it.

    Raises:
        UsageError: no table, or an unknown column or size.
    """
    if table is None:
        raise UsageError(
            "this step needs a table of partitions", hint=f"columns: {', '.join(COLUMNS)}"
        )
    unknown = [name for name in table.headings if name not in COLUMNS]
    if unknown or "file system" not in table.headings:
        raise UsageError(
            f"a table of partitions has no column {unknown[0]!r}"
            if unknown
            else "a table of partitions needs the column 'file system'",
            hint=f"columns: {', '.join(COLUMNS)}",
        )
    return [_volume({name: row.get(name, "") or "" for name in COLUMNS}, suite) for row in table]


def _volume(cells: dict[str, str], suite: Path) -> Volume:
    wanted = cells["size"]
    try:
        own = size(wanted) if wanted not in {"", "rest"} else None
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"{printable(wanted)!r} is no size", hint='write "512 MiB", "2 GB", or "rest"'
        ) from error
    return Volume(
        file_system=cells["file system"],
        label=cells["label"],
        encryption=cells["encryption"],
        passphrase=cells["passphrase"],
        files=suite / cells["files"] if cells["files"] else None,
        size=own,
    )
