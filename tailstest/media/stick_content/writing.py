"""Writing a stick: table, encryption, file systems and files, into one qcow2 file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.media.stick_content.file_systems import make_file_system
from tailstest.media.stick_content.luks import PAYLOAD, encrypt_into, format_luks
from tailstest.media.stick_content.partition_table import write_table
from tailstest.media.stick_content.sparse import copy_range, make_sparse
from tailstest.media.stick_content.volume import TABLES, Volume, places
from tailstest.media.usb_stick import LARGEST, QEMU_IMG, SMALLEST, UsbStick


def written_stick(overlay: Path, size: int, table: str, volumes: list[Volume]) -> UsbStick:
    """Make a stick with partitions, file systems and files on it.

    Args:
        overlay: file that will be created; it takes no more room than what is written to it.
        size: of the stick in bytes.
        table: kind of the partition table, "GPT", "MBR" or "no".

    Raises:
        UsageError: there cannot be such a stick; says why.
        SetupError: a tool is not installed.
        InfrastructureError: it cannot be written.
    """
    if table not in TABLES:
        raise UsageError(f"there is no partition table of kind {table!r}", hint="use GPT or MBR")
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(f"a USB stick cannot have {size} bytes", hint="take 1 MiB to 2 TiB")
    for volume in volumes:
        volume.check()
    size = size // 512 * 512
    spots = places(volumes, table, size)
    with tempfile.TemporaryDirectory(dir=overlay.parent, prefix="stick-") as folder:
        whole = make_sparse(Path(folder) / "whole", size)
        if table != "no":
            write_table(whole, table, volumes, spots)
        for volume, (begin, own) in zip(volumes, spots, strict=True):
            part = _written_volume(volume, own, Path(folder))
            copy_range(part, whole, start=0, size=own, to=begin)
            part.unlink()
        try:
            QEMU_IMG.run("convert", "-f", "raw", "-O", "qcow2", str(whole), str(overlay))
        except InfrastructureError:
            overlay.unlink(missing_ok=True)
            raise
    overlay.chmod(0o600)
    return UsbStick(overlay)


def _written_volume(volume: Volume, size: int, folder: Path) -> Path:
    part = make_sparse(folder / "part", size)
    if not volume.encryption:
        make_file_system(volume, part)
        return part
    format_luks(volume.encryption, part, volume.passphrase)
    content = make_sparse(folder / "content", size - PAYLOAD)
    make_file_system(volume, content)
    encrypt_into(content, part, volume.passphrase)
    content.unlink()
    return part
