"""Words that step texts share, such as "BIOS" or "a USB stick", and what they mean in code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import parse


@parse.with_pattern(r"BIOS|UEFI")
def firmware(text: str) -> str:
    """Return "bios" or "uefi"."""
    return text.lower()


@parse.with_pattern(r"DVD|USB stick")
def medium(text: str) -> str:
    """Return "dvd" or "usb"."""
    return text.split()[0].lower()


@parse.with_pattern(r"PC|Q35")
def chipset(text: str) -> str:
    """Return "pc" or "q35"."""
    return text.lower()


@parse.with_pattern(r"up|down")
def direction(text: str) -> int:
    """Return 1 for down, -1 for up."""
    return 1 if text == "down" else -1


#: Bytes of the units of sizes; GB is what is printed on a stick, GiB what a program shows.
_UNITS = {
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}


@parse.with_pattern(r"\d{1,9} (?:KiB|MiB|GiB|TiB|kB|MB|GB|TB)")
def size(text: str) -> int:
    """Return the bytes of a size such as "512 MiB" or "8 GB"."""
    number, unit = text.split()
    return int(number) * _UNITS[unit]


@parse.with_pattern(r"a GPT|an MBR|no partition table")
def partition_table(text: str) -> str:
    """Return "GPT", "MBR" or "no"; see `media.stick_content.volume`."""
    return "no" if text.startswith("no") else text.split()[1]


@parse.with_pattern(r"a virtio disk|a SATA disk|an NVMe disk|an SD card")
def disk_kind(text: str) -> str:
    """Return what a built-in disk is attached to; see `media.usb_stick.Bus`."""
    return text.split()[1].lower()


@parse.with_pattern(r"USB stick|disk|SD card")
def named_medium(text: str) -> str:
    """Return what people call a medium with a name; all of them are found by it alone."""
    return text


@parse.with_pattern(r"read errors|write errors")
def fault(text: str) -> str:
    """Return "unreadable" or "unwritable"; see `media.faults`."""
    return "unreadable" if text.startswith("read") else "unwritable"


@parse.with_pattern(r"loses the rest|writes the rest over it")
def beyond(text: str) -> str:
    """Return "lost" or "wraps"; see `media.faults`."""
    return "lost" if text.startswith("loses") else "wraps"


@parse.with_pattern(r"[123]")
def usb_version(text: str) -> int:
    """Return the version of USB."""
    return int(text)


@parse.with_pattern(r"FAT32|exFAT|NTFS|ext4|btrfs|ISO 9660|LUKS1|LUKS2|nothing")
def content(text: str) -> str:
    """Return what a partition holds, as `media.stick_content.inspection` names it."""
    return "none" if text == "nothing" else text


@parse.with_pattern(r"[^\"]+")
def keys(text: str) -> str:
    """Return names of keys as they are; a quote ends them."""
    return text


@parse.with_pattern(
    r"toggle button|radio button|button|check box|combo box|drop-down list|menu item|menu|"
    r"list item|list|entry|field|label|link|tab|table|heading|dialog|slider|spin button|"
    r"progress bar"
)
def role(text: str) -> str:
    """Return the kind of thing on a desktop; see `guest.accessibility.roles`."""
    return text


@parse.with_pattern(r"TCP|UDP")
def protocol(text: str) -> str:
    """Return a protocol as the lab names it, "tcp" or "udp"."""
    return text.lower()


_WAYS_IN = {
    "what the image offers": "auto",
    "our agent": "agent",
    "QEMU's guest agent": "qemu-agent",
    "a shell on the serial port": "debug-shell",
    "a login on the serial port": "serial-login",
}


@parse.with_pattern("|".join(_WAYS_IN))
def way_in(text: str) -> str:
    """Return how commands get inside; see `channel` of `machine.definition`."""
    return _WAYS_IN[text]


_TIMES = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


@parse.with_pattern(r"\d+ (?:second|minute|hour|day)s? (?:ahead|behind)")
def clock_error(text: str) -> int:
    """Return how many seconds a clock is ahead of the right time; below 0 it is behind."""
    number, unit, side = text.split()
    return int(number) * _TIMES[unit.removesuffix("s")] * (1 if side == "ahead" else -1)


#: The types that every step file may use in its patterns, for example {medium:Medium}.
PARAMETER_TYPES: dict[str, Callable[[str], Any]] = {
    "Firmware": firmware,
    "Medium": medium,
    "Chipset": chipset,
    "Size": size,
    "PartitionTable": partition_table,
    "Content": content,
    "DiskKind": disk_kind,
    "NamedMedium": named_medium,
    "Fault": fault,
    "Beyond": beyond,
    "ClockError": clock_error,
    "WayIn": way_in,
    "UsbVersion": usb_version,
    "Direction": direction,
    "Keys": keys,
    "Protocol": protocol,
    "Role": role,
}
