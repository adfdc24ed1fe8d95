"""Disks as the system sees them: the one that it runs from, and its persistent storage."""

import json
import os
import struct
import subprocess
from pathlib import Path

#: GPT name of the partition and LUKS label of the finished container in it.
STORAGE = "DemoData"
SECTOR = 512
#: Where the persistent storage begins: systems of every version end before it, so that a stick can
#: be upgraded without moving anybody's data.
STORAGE_START = 1 << 30
#: Begin of the volume id of every version's ISO.
VOLUME = "TAILSTEST_DEMO"


class Problem(Exception):
    """Something that a person must be told."""


def run(*command, data=None):
    """Return what a program wrote; raises subprocess.CalledProcessError with its last words."""
    return subprocess.run(command, input=data, capture_output=True, text=True, check=True).stdout


def table(disk):
    """Return the partition table of a disk as sfdisk describes it; {} if it has none."""
    try:
        return json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    except subprocess.CalledProcessError:
        return {}


def storage_partition(disk):
    """Return sfdisk's description of the partition for persistent storage, or None."""
    found = [part for part in table(disk).get("partitions", ()) if part.get("name") == STORAGE]
    return found[0] if found else None


def is_finished(disk, partition):
    """Tell whether a partition holds persistent storage that was made to its end.

    It is read through the disk, as it is written: the kernel keeps the bytes of a disk and those of
    its partitions in memory separately.
    """
    begin, size = str(partition["start"] * SECTOR), str(partition["size"] * SECTOR)
    command = ["blkid", "--probe", "--offset", begin, "--size", size, "--output", "value", "--match-tag", "LABEL", disk]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() == STORAGE


def size_of(disk):
    """Return the size of a disk in bytes."""
    with open(disk, "rb", buffering=0) as file:
        return file.seek(0, os.SEEK_END)


def system_on(disk):
    """Return volume id and size in bytes of the ISO that a disk begins with; ("", 0) without one."""
    with open(disk, "rb") as file:
        file.seek(16 * 2048)
        descriptor = file.read(2048)
    if descriptor[1:6] != b"CD001":  # ECMA-119, 8.4: primary volume descriptor
        return "", 0
    volume = descriptor[40:72].decode("ascii", "replace").strip()
    return volume, struct.unpack_from("<I", descriptor, 80)[0] * 2048


def is_stick(disk):
    """Tell whether a disk is plugged into USB."""
    return "/usb" in str(Path("/sys/class/block", Path(disk).name).resolve())
