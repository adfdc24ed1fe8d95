"""Looking for real MAC addresses and host names in whole packets, in each way they are written."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tailstest.lab.eui64 import MIDDLE, interface_id
from tailstest.lab.neighbours import SOLICITED_NODE
from tailstest.lab.netbios import encoded
from tailstest.lab.policy import Forbidden

#: A shorter host name is found by chance in encrypted data: at 5 letters, once in 32 GB; at 4
#: letters, once in 270 MB. In protocols that tell names (see `names`) any length is looked for.
SHORTEST_ANYWHERE = 6

#: How characters that are no letters are written in names that are safe to print.
_ESCAPED = re.compile(r"\\(?:\d{3}|x[0-9a-f]{2}|u[0-9a-f]{4}|[nt])")


@dataclass(frozen=True)
class _Needles:
    """Bytes to look for, to what they are; all of them end with `end`, which is looked for first.

    One quick search instead of five: that is most of the time of a whole check.
    """

    end: bytes
    needles: tuple[tuple[bytes, str], ...]

    @classmethod
    def of(cls, needles: dict[bytes, str]) -> _Needles:
        shortest = min(needles, key=len)
        ends = (shortest[place:] for place in range(len(shortest) + 1))
        end = next(end for end in ends if all(needle.endswith(end) for needle in needles))
        return cls(end, tuple(needles.items()))

    def find(self, data: bytes) -> str:
        if self.end in data:
            for needle, what in self.needles:
                if needle in data:
                    return what
        return ""


class ForbiddenThings:
    """What must not be in any packet."""

    def __init__(self, forbidden: Forbidden) -> None:
        #: To look for as it is, and in lower case.
        self._exact = [_mac_bytes(mac) for mac in forbidden.macs]
        self._lower = [_mac_texts(mac) for mac in forbidden.macs]
        self._words = [
            (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), name)
            for name in forbidden.host_names
        ]
        for name in forbidden.host_names:
            if len(name) >= SHORTEST_ANYWHERE:
                self._lower += _name_texts(name)

    def find(self, data: bytes) -> str:
        """Return which forbidden thing is in a packet, and how; "" for none."""
        for needles in self._exact:
            if found := needles.find(data):
                return found
        if self._lower:
            lower = data.lower()
            for needles in self._lower:
                if found := needles.find(lower):
                    return found
        return ""

    def find_in_texts(self, texts: Iterable[str]) -> str:
        """Return which forbidden host name is a word in these texts, or a part between dots."""
        for text in texts:
            lower = _ESCAPED.sub(" ", text.lower())
            for word, name in self._words:
                if word.search(lower):
                    return f"the real host name {name}"
        return ""


def _mac_bytes(mac: bytes) -> _Needles:
    what = f"the real MAC address {mac.hex(':')}"
    return _Needles.of(
        {
            mac: what,
            interface_id(mac): f"{what}, inside an IPv6 address (EUI-64)",
            mac[:3] + MIDDLE + mac[3:]: f"{what}, inside an EUI-64",
            SOLICITED_NODE + mac[3:]: f"{what}, the end of it in an IPv6 group (solicited node)",
            b"\x33\x33\xff" + mac[3:]: f"{what}, the end of it in an IPv6 group",
        }
    )


def _mac_texts(mac: bytes) -> _Needles:
    groups = str(ipaddress.IPv6Address(b"\xff" * 8 + interface_id(mac))).split(":", 4)[4]
    texts = (mac.hex(":"), mac.hex("-"), mac.hex(), mac.hex(".", 2), groups)
    what = f"the real MAC address {mac.hex(':')}, as text"
    return _Needles.of({text.encode(): what for text in texts})


def _name_texts(name: str) -> list[_Needles]:
    what = f"the real host name {name}"
    found = {name.encode(): what, name.encode("utf-16-le"): f"{what}, as UTF-16"}
    found[encoded(name).lower()] = f"{what}, in a NetBIOS message"
    parts = [part.encode() for part in name.split(".")]
    if len(parts) > 1 and all(len(part) < 64 for part in parts):
        labels = b"".join(bytes([len(part)]) + part for part in parts)
        found[labels.lower()] = f"{what}, as DNS labels"
    return [_Needles.of({needle: text}) for needle, text in found.items()]
