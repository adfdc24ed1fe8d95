"""Making file systems in files, with content, without mounting anything and without root."""

from __future__ import annotations

import shutil
from pathlib import Path

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.media.host_tool import HostTool
from tailstest.media.stick_content.volume import Volume

MKFS_FAT = HostTool("mkfs.fat", package="dosfstools")
MKFS_EXFAT = HostTool("mkfs.exfat", package="exfatprogs")
MKNTFS = HostTool("mkntfs", package="ntfs-3g")
MKE2FS = HostTool("mke2fs", package="e2fsprogs")
MKFS_BTRFS = HostTool("mkfs.btrfs", package="btrfs-progs")
MCOPY = HostTool("mcopy", package="mtools")
NTFSCP = HostTool("ntfscp", package="ntfs-3g")

#: Bytes that are free on a disk that is as good as full: more than a tool writes in one piece (the
#: most is 2 MiB, zeros of mkfs.btrfs), which then may not fit and leave them free.
_FULL = 16 << 20


def make_file_system(volume: Volume, file: Path) -> None:
    """Make a file system that fills an existing sparse file, and copy files in.

    Raises:
        UsageError: the file system cannot be so small, or cannot hold the files.
        SetupError: the tool is not installed.
        InfrastructureError: the disk with the file is full.
    """
    if volume.file_system == "none":
        return
    try:
        _MAKERS[volume.file_system](volume, file)
    except InfrastructureError as error:
        what = f"a file system {volume.file_system} of {file.stat().st_size} bytes cannot be made"
        free = shutil.disk_usage(file.parent).free
        # The tools tell in words of their own, if at all, whose room there is none of: the disk's,
        # or that within the file system.
        if free < _FULL:
            # Not the folder of the file, which is removed now.
            raise InfrastructureError(
                f"{what}: the disk with {file.parent.parent} is full, {free >> 10} KiB are free",
                hint="free some space there, or choose another disk with --output",
            ) from error
        # They refuse sizes, labels and files that their file systems cannot have; the place where
        # they write was made before, so hardly anything else is left.
        raise UsageError(
            f"{what}: {error.message}", hint="give the partition another size or label"
        ) from error


def _fat(volume: Volume, file: Path) -> None:
    MKFS_FAT.run("-F", "32", *_labelled("-n", volume), str(file))
    if volume.files is not None:
        content = sorted(str(each) for each in volume.files.iterdir())
        if content:
            MCOPY.run("-s", "-Q", "-i", str(file), *content, "::/")


def _exfat(volume: Volume, file: Path) -> None:
    MKFS_EXFAT.run(*_labelled("-L", volume), str(file))


def _ntfs(volume: Volume, file: Path) -> None:
    # A quick format writes no zeros; without -F it refuses everything that is no block device.
    MKNTFS.run("-Q", "-F", "-q", *_labelled("-L", volume), str(file))
    if volume.files is None:
        return
    for each in sorted(volume.files.iterdir()):
        if not each.is_file():
            raise UsageError(
                f"{each}: only files, not folders, can be copied into NTFS",
                hint="choose another file system, or put the files side by side",
            )
        NTFSCP.run("-f", "-q", str(file), str(each), each.name)


def _ext4(volume: Volume, file: Path) -> None:
    # Discarding would ask the file for holes that it has already.
    words = ["-q", "-F", "-t", "ext4", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"]
    if volume.files is not None:
        words += ["-d", str(volume.files)]
    MKE2FS.run(*words, *_labelled("-L", volume), str(file))


def _btrfs(volume: Volume, file: Path) -> None:
    words = ["-q", "-f", "--nodiscard"]
    if volume.files is not None:
        words += ["--rootdir", str(volume.files)]
    MKFS_BTRFS.run(*words, *_labelled("-L", volume), str(file))


def _labelled(option: str, volume: Volume) -> list[str]:
    return [option, volume.label] if volume.label else []


_MAKERS = {"FAT32": _fat, "exFAT": _exfat, "NTFS": _ntfs, "ext4": _ext4, "btrfs": _btrfs}
