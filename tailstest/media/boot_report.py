"""What an image can boot from, found out without starting it."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable
from tailstest.media.efi_loader import LOADER, Loader, find_loader
from tailstest.media.image_file import BOOT_MARK, SECTOR, check_image

#: El Torito (version 1.0, 1995): platform ids, and the sector of the boot record descriptor.
BOOT_RECORD = 17 * SECTOR
PLATFORMS = {0: "BIOS", 0xEF: "UEFI"}
#: Partition types: EFI system partition in an MBR, "protective" for a GPT (UEFI 2.10, 5.2).
MBR_EFI, MBR_GPT = 0xEF, 0xEE
#: EFI system partition in a GPT, as its bytes lie on the disk.
GPT_EFI = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")

#: File systems in which a loader is looked for; a real image has one or two.
MOST_LOOKED_AT = 8


@dataclass(frozen=True)
class BootEntry:
    """An entry of the El Torito catalogue: platform, where it lies, whether that is in the file."""

    platform: str
    offset: int
    size: int
    exists: bool


@dataclass(frozen=True)
class Partition:
    """A partition: table, number, type, place in bytes, whether it lies within the file."""

    table: str
    number: int
    kind: str
    offset: int
    size: int
    fits: bool


@dataclass(frozen=True)
class Bootable:
    """Whether one way of booting can work, and why (not)."""

    possible: bool
    reason: str


@dataclass(frozen=True)
class BootReport:
    """All of it for one image.

    Attributes:
        entries: El Torito entries; empty on a plain disk image.
        partitions: MBR and GPT.
        has_boot_code: whether the first sector has code and the boot mark.
        efi_loader: whether an EFI system partition holds EFI/BOOT/BOOTX64.EFI; None if that could
            not be found out.
        ways: ("dvd", "bios") and the like to a verdict.
    """

    image: str
    size: int
    entries: tuple[BootEntry, ...]
    partitions: tuple[Partition, ...]
    has_boot_code: bool
    efi_loader: bool | None
    ways: dict[tuple[str, str], Bootable]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        content = asdict(self)
        content["ways"] = {f"{m} {f}": asdict(way) for (m, f), way in self.ways.items()}
        return content

    def to_text(self) -> str:
        """Return it for a person."""
        lines = [f"{printable(self.image)}: {self.size} bytes"]
        for (medium, firmware), way in self.ways.items():
            name = f"{'DVD' if medium == 'dvd' else 'USB stick'}, {firmware.upper()}"
            lines.append(f"  {name:16} {'yes' if way.possible else 'NO '}  {way.reason}")
        lines += [
            f"  El Torito entry: {entry.platform}, {entry.size} bytes at {entry.offset}"
            f"{'' if entry.exists else ', OUTSIDE THE FILE'}"
            for entry in self.entries
        ]
        lines += [
            f"  {part.table} partition {part.number}: {part.kind}, {part.size} bytes"
            f" at {part.offset}{'' if part.fits else ', BEYOND THE END OF THE FILE'}"
            for part in self.partitions
        ]
        return "\n".join(lines)


def inspect_image(path: Path) -> BootReport:
    """Find out what an image can boot from.

    Raises:
        UsageError: missing, empty, cut off, or no image; see `check_image`.
        InfrastructureError: reading fails half-way.
    """
    check_image(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            first = file.read(SECTOR)
            entries = _el_torito(file, size)
            partitions = (*_mbr(first, size), *_gpt(file, size))
    except OSError as error:
        raise InfrastructureError(
            f"{path}: cannot be read: {error.strerror}",
            hint="is the disk or the network all right?",
        ) from error
    has_code = first[510:512] == BOOT_MARK and any(first[:440])
    efi = [part for part in partitions if part.kind == "EFI system" and part.fits]
    on_stick = [find_loader(path, part.offset) for part in efi[:MOST_LOOKED_AT]]
    on_dvd = [
        find_loader(path, entry.offset)
        for entry in entries[:MOST_LOOKED_AT]
        if entry.platform == "UEFI" and entry.exists
    ]
    ways = {
        ("dvd", "bios"): _el_torito_entry(entries, "BIOS"),
        ("dvd", "uefi"): _dvd_uefi(entries, on_dvd),
        ("usb", "bios"): _usb_bios(has_code, first, partitions),
        ("usb", "uefi"): _usb_uefi(on_stick),
    }
    known = Loader.UNKNOWN not in on_stick or Loader.THERE in on_stick
    return BootReport(
        image=str(path),
        size=size,
        entries=entries,
        partitions=partitions,
        has_boot_code=has_code,
        efi_loader=Loader.THERE in on_stick if known else None,
        ways=ways,
    )


def _el_torito_entry(entries: tuple[BootEntry, ...], platform: str) -> Bootable:
    mine = [entry for entry in entries if entry.platform == platform]
    if not entries:
        return Bootable(False, "no El Torito boot catalogue")
    if not mine:
        return Bootable(False, f"no El Torito entry for {platform}")
    if not any(entry.exists for entry in mine):
        return Bootable(False, f"the El Torito entry for {platform} lies outside the file")
    return Bootable(True, f"El Torito entry for {platform}")


def _dvd_uefi(entries: tuple[BootEntry, ...], loaders: list[Loader]) -> Bootable:
    entry = _el_torito_entry(entries, "UEFI")
    return _with_loader("El Torito entry for UEFI", loaders) if entry.possible else entry


def _with_loader(place: str, loaders: list[Loader]) -> Bootable:
    """Judge a place that UEFI firmware starts from by what is in it."""
    if Loader.THERE in loaders:
        return Bootable(True, f"{place} with {LOADER}")
    if Loader.UNKNOWN in loaders:
        why = "was not looked for, because mtools does not work here"
        return Bootable(True, f"{place}; {LOADER} {why}")
    return Bootable(False, f"the {place} has no {LOADER}")


def _usb_bios(has_code: bool, first: bytes, partitions: tuple[Partition, ...]) -> Bootable:
    if first[510:512] != BOOT_MARK:
        return Bootable(False, "no boot mark in the first sector")
    if not has_code:
        return Bootable(False, "no boot code in the first sector")
    beyond = [part for part in partitions if not part.fits]
    if beyond:
        return Bootable(False, f"partition {beyond[0].number} lies beyond the end of the file")
    return Bootable(True, "boot code in the first sector")


def _usb_uefi(loaders: list[Loader]) -> Bootable:
    if not loaders:
        return Bootable(False, "no EFI system partition within the file")
    return _with_loader("EFI system partition", loaders)


def _el_torito(file: Any, size: int) -> tuple[BootEntry, ...]:
    """Read the boot catalogue: validation entry, default entry, then sections."""
    file.seek(BOOT_RECORD)
    record = file.read(SECTOR)
    if record[:7] != b"\x00CD001\x01" or b"EL TORITO" not in record[7:39]:
        return ()
    file.seek(struct.unpack_from("<I", record, 71)[0] * SECTOR)
    catalogue = file.read(SECTOR)
    entries: list[BootEntry] = []
    platform = catalogue[1] if len(catalogue) > 1 else 0
    for at in range(32, len(catalogue) - 31, 32):
        entry = catalogue[at : at + 32]
        if entry[0] in {0x90, 0x91}:  # header of a section
            platform = entry[1]
        elif entry[0] == 0x88:  # bootable
            count, start = struct.unpack_from("<HI", entry, 6)
            offset, length = start * SECTOR, count * 512
            exists = offset > 0 and offset + length <= size
            entries.append(
                BootEntry(PLATFORMS.get(platform, f"0x{platform:02x}"), offset, length, exists)
            )
    return tuple(entries)


def _mbr(first: bytes, size: int) -> list[Partition]:
    if first[510:512] != BOOT_MARK:
        return []
    found = []
    for number in range(4):
        kind = first[446 + 16 * number + 4]
        start, count = struct.unpack_from("<II", first, 446 + 16 * number + 8)
        if kind == 0 or count == 0 or kind == MBR_GPT:
            continue
        name = "EFI system" if kind == MBR_EFI else f"type 0x{kind:02x}"
        end = (start + count) * 512
        found.append(Partition("MBR", number + 1, name, start * 512, count * 512, end <= size))
    return found


def _gpt(file: Any, size: int) -> list[Partition]:
    file.seek(512)
    header = file.read(512)
    if header[:8] != b"EFI PART":
        return []
    table, count, length = struct.unpack_from("<QII", header, 72)
    if not 128 <= length <= 4096 or count > 256 or table * 512 > size:
        return []
    file.seek(table * 512)
    entries = file.read(count * length)
    found = []
    for number in range(len(entries) // length):
        entry = entries[number * length : (number + 1) * length]
        if not any(entry[:16]):
            continue
        first, last = struct.unpack_from("<QQ", entry, 32)
        if last < first:
            continue
        name = "EFI system" if entry[:16] == GPT_EFI else "other"
        extent = (last - first + 1) * 512
        fits = (last + 1) * 512 <= size
        found.append(Partition("GPT", number + 1, name, first * 512, extent, fits))
    return found
