"""Folders of a recipe as archives that are the same wherever and whenever they are made."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from tailstest.media.live_image.recipe import files_below, is_executable


def write_tar(folder: Path, target: Path, epoch: int) -> None:
    """Write all files below `folder` as root's, with one time for all, in a fixed order."""
    with tarfile.open(target, "w") as archive:
        add_tree(archive, folder, epoch)


def add_tree(archive: tarfile.TarFile, folder: Path, epoch: int, prefix: str = "") -> None:
    """Add all files below `folder`; the folders themselves are left to who unpacks them."""
    for file in files_below(folder):
        name = f"{prefix}{file.relative_to(folder)}"
        if file.is_symlink():
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mtime = (
                tarfile.SYMTYPE,
                str(file.readlink()),
                epoch,
            )
            archive.addfile(member)
        else:
            add_bytes(archive, name, file.read_bytes(), epoch, executable=is_executable(file))


def add_bytes(
    archive: tarfile.TarFile, name: str, data: bytes, epoch: int, *, executable: bool = False
) -> None:
    """Add a file of root's."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(data), epoch
    # sudo refuses files that others may write, and some that others may read.
    member.mode = 0o755 if executable else 0o440 if "sudoers.d/" in name else 0o644
    archive.addfile(member, io.BytesIO(data))
