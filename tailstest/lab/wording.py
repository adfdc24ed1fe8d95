"""Times, addresses and bytes of packets as text; nothing in it can harm a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from tailstest.core.text import printable
from tailstest.lab.seen import address_text, mac_text

SECOND = 1_000_000_000
#: Characters of one name from a packet; the longest that DNS allows.
LONGEST_NAME = 255


def name_text(name: bytes | str) -> str:
    """Return a name out of a packet as one line that is safe to print."""
    if isinstance(name, bytes):
        name = name.decode("utf-8", "backslashreplace")
    one_line = printable(name).replace("\n", "\\n").replace("\t", "\\t")
    return one_line[:LONGEST_NAME]


def time_text(time: int | None) -> str:
    """Return a time (nanoseconds since 1970) as date and time in UTC, to the microsecond."""
    if time is None:
        return "no time"
    try:
        date = datetime.fromtimestamp(time // SECOND, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time / SECOND:.6f} s since 1970"
    return f"{date:%Y-%m-%d %H:%M:%S}.{time % SECOND // 1000:06d} UTC"


def end_text(address: bytes, port: int = 0) -> str:
    """Return one end of a conversation: an IP address with port, or a MAC address."""
    if not address:
        return "?"
    text = mac_text(address) if len(address) == 6 else address_text(address)
    if not port:
        return text
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"


def bytes_text(data: bytes) -> tuple[str, str]:
    """Return bytes as hexadecimal digits and as letters, with dots for what is no letter."""
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    return data.hex(" "), letters


def count_text(number: int, thing: str) -> str:
    """Return "1 packet" or "2 packets"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def size_text(size: int) -> str:
    """Return a number of bytes for a person."""
    if size < 10_000:
        return f"{size} B"
    return f"{size / 1e3:.0f} kB" if size < 10_000_000 else f"{size / 1e6:.0f} MB"
