"""What computers make of their MAC address. Standard library only: it is used inside the lab."""

from __future__ import annotations

UNIVERSAL_BIT = 2
MIDDLE = b"\xff\xfe"


def interface_id(mac: bytes) -> bytes:
    """Return the last half of an IPv6 address that is made of a MAC address (RFC 4291, 2.5.1)."""
    return bytes([mac[0] ^ UNIVERSAL_BIT]) + mac[1:3] + MIDDLE + mac[3:]
