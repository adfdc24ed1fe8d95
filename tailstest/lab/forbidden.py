"""Looking for real MAC addresses and host names in whole packets, in each way they are written."""

from __future__ import annotations

import ipaddress

from tailstest.lab.policy import Forbidden

#: A shorter host name is found by chance in encrypted data: at 5 letters, once in 32 GB; at 4
#: letters, once in 270 MB. Names that a parser reads (DNS, DHCP) are compared at any length.
SHORTEST_ANYWHERE = 6
UNIVERSAL_BIT = 2


class ForbiddenThings:
    """What must not be in any packet."""

    def __init__(self, forbidden: Forbidden) -> None:
        #: Bytes to look for as they are, and in lower case; to what they are.
        self._exact: list[tuple[bytes, str]] = []
        self._lower: list[tuple[bytes, str]] = []
        self._names = forbidden.host_names
        for mac in forbidden.macs:
            self._add_mac(mac)
        for name in forbidden.host_names:
            if len(name) >= SHORTEST_ANYWHERE:
                self._add_name(name)

    def find(self, data: bytes) -> str:
        """Return which forbidden thing is in a packet, and how; "" for none."""
        for needle, what in self._exact:
            if needle in data:
                return what
        if self._lower:
            lower = data.lower()
            for needle, what in self._lower:
                if needle in lower:
                    return what
        return ""

    def find_in_names(self, names: tuple[str, ...]) -> str:
        """Return which forbidden host name is one of these names or a part between dots."""
        for name in names:
            dotted = f".{name.lower()}."
            for forbidden in self._names:
                if f".{forbidden}." in dotted:
                    return f"the real host name {forbidden}"
        return ""

    def _add_mac(self, mac: bytes) -> None:
        what = f"the real MAC address {mac.hex(':')}"
        middle = mac[:3] + b"\xff\xfe" + mac[3:]
        inside = bytes([middle[0] ^ UNIVERSAL_BIT]) + middle[1:]
        groups = str(ipaddress.IPv6Address(b"\xff" * 8 + inside)).split(":", 4)[4]
        self._exact += [
            (mac, what),
            (inside, f"{what}, inside an IPv6 address (EUI-64)"),
            (middle, f"{what}, inside an EUI-64"),
            (
                bytes.fromhex("ff0200000000000000000001ff") + mac[3:],
                f"{what}, the end of it in an IPv6 group (solicited node)",
            ),
            (b"\x33\x33\xff" + mac[3:], f"{what}, the end of it in an IPv6 group"),
        ]
        written = (
            mac.hex(":"),
            mac.hex("-"),
            mac.hex(),
            mac.hex(".", 2),
            groups,
        )
        self._lower += [(text.encode(), f"{what}, as text") for text in written]

    def _add_name(self, name: str) -> None:
        what = f"the real host name {name}"
        parts = [part.encode() for part in name.split(".")]
        self._lower += [
            (name.encode(), what),
            (name.encode("utf-16-le"), f"{what}, as UTF-16"),
        ]
        if len(parts) > 1 and all(len(part) < 64 for part in parts):
            labels = b"".join(bytes([len(part)]) + part for part in parts)
            self._lower.append((labels.lower(), f"{what}, as DNS labels"))
