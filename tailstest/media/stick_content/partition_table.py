"""Partition tables in files, by sfdisk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import InfrastructureError
from tailstest.media.host_tool import HostTool
from tailstest.media.stick_content.volume import Volume

SFDISK = HostTool("sfdisk", package="fdisk")
BLKID = HostTool("blkid", package="util-linux")

#: What blkid ends with where there is nothing that it knows, and where there is more than one thing
#: (its manual, "EXIT STATUS").
NOTHING, AMBIVALENT = 2, 8

_SECTOR = 512

#: What partitions say they hold: UEFI specification 2.10, 5.3.3, and
#: https://uapi-group.org/specifications/specs/discoverable_partitions_specification/
_MICROSOFT = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_LUKS = "CA7D7CCB-63ED-4C53-861C-1742536059CC"
_GPT_TYPES = {"FAT32": _MICROSOFT, "exFAT": _MICROSOFT, "NTFS": _MICROSOFT}
_MBR_TYPES = {"FAT32": "c", "exFAT": "7", "NTFS": "7"}


@dataclass(frozen=True)
class PartitionFound:
    """A partition that a table names.

    Attributes:
        number: as in its name: the 1 of sda1.
        start, size: in bytes.
    """

    number: int
    start: int
    size: int


@dataclass(frozen=True)
class TableFound:
    """A partition table.

    Attributes:
        kind: "GPT", "MBR" or "no".
        partitions: in the order of the table; without a table the whole stick is number 1.
    """

    kind: str
    partitions: tuple[PartitionFound, ...]


def write_table(
    file: Path, kind: str, volumes: list[Volume], places: list[tuple[int, int]]
) -> None:
    """Write a partition table into a file.

    Args:
        kind: "GPT" or "MBR".
        places: begin and size of each partition, in bytes.

    Raises:
        SetupError: sfdisk is not installed.
        InfrastructureError: it fails.
    """
    lines = [f"label: {'gpt' if kind == 'GPT' else 'dos'}"]
    for volume, (begin, size) in zip(volumes, places, strict=True):
        if kind == "GPT":
            name = _LUKS if volume.encryption else _GPT_TYPES.get(volume.file_system, _LINUX)
        else:
            name = "e8" if volume.encryption else _MBR_TYPES.get(volume.file_system, "83")
        lines.append(f"start={begin // _SECTOR}, size={size // _SECTOR}, type={name}")
    words = ("--quiet", "--no-reread", "--no-tell-kernel", str(file))
    SFDISK.run(*words, stdin="\n".join(lines).encode() + b"\n")


def read_table(file: Path) -> TableFound:
    """Return the partition table in a file.

    Raises:
        SetupError: sfdisk is not installed.
        InfrastructureError: it says something that cannot be understood.
    """
    whole = PartitionFound(1, 0, file.stat().st_size)
    status, stdout, _stderr = SFDISK.attempt("--json", str(file))
    if status != 0:
        return TableFound("no", (whole,))
    try:
        table = json.loads(stdout)["partitiontable"]
        unit = int(table.get("sectorsize", _SECTOR))
        found = tuple(
            PartitionFound(
                int(str(entry["node"]).removeprefix(str(file)).lstrip("p")),
                int(entry["start"]) * unit,
                int(entry["size"]) * unit,
            )
            for entry in table.get("partitions", [])
        )
        # sfdisk takes the boot sector of a file system for a table, without or with odd entries;
        # so does blkid for exFAT. An ISO image may be both. Of several, blkid names none.
        status, told, _stderr = BLKID.attempt("-p", "-o", "export", str(file))
        is_file_system = b"USAGE=filesystem" in told or (status == AMBIVALENT and not found)
        if is_file_system and (not found or b"PTTYPE=" not in told):
            return TableFound("no", (whole,))
        kind = {"gpt": "GPT", "dos": "MBR"}.get(table["label"], str(table["label"])[:20])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InfrastructureError("sfdisk describes a table that is not understood") from error
    return TableFound(kind, found)
