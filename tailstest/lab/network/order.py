"""What a neighbour is asked to try, as one line of JSON. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

#: Bytes of an order, and things in each of its lists.
LONGEST_ORDER = 1 << 18
MOST_PREFIXES = 4
MOST_ADDRESSES, MOST_PORTS, MOST_MACS = 200, 8192, 1024
#: Seconds that a neighbour may be told to wait for another answer.
LONGEST_QUIET = 600.0


@dataclass(frozen=True)
class Order:
    """What a neighbour shall try.

    Attributes:
        addresses: of the machine.
        prefixes: of IPv6, 64 bits; who has been seen is tried at the address there that is made of
            his MAC address.
        tcp: ports that are tried.
        udp: ports that are asked something.
        ignored: MAC addresses of others, whose answers do not count.
        quiet: seconds without a new answer after which no other one is waited for.
    """

    addresses: tuple[str, ...]
    prefixes: tuple[str, ...]
    tcp: tuple[int, ...]
    udp: tuple[int, ...]
    ignored: tuple[str, ...]
    quiet: float

    def line(self) -> bytes:
        """Return it as it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Order:
        """Return the order of a line.

        Raises:
            ValueError: it is none; says what is wrong with it.
        """
        if len(line) > LONGEST_ORDER:
            raise ValueError(f"an order of more than {LONGEST_ORDER} bytes")
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("an order is an object")
        quiet = values.get("quiet")
        if not isinstance(quiet, int | float) or not 0 < quiet <= LONGEST_QUIET:
            raise ValueError(f"quiet is {quiet!r}, not some seconds up to {LONGEST_QUIET:.0f}")
        return cls(
            addresses=_list(values, "addresses", MOST_ADDRESSES, lambda one: str(ip_address(one))),
            prefixes=_list(values, "prefixes", MOST_PREFIXES, lambda one: str(IPv6Address(one))),
            tcp=_list(values, "tcp", MOST_PORTS, _port),
            udp=_list(values, "udp", MOST_PORTS, _port),
            ignored=_list(values, "ignored", MOST_MACS, _mac),
            quiet=float(quiet),
        )


def _list(
    values: dict[str, Any], key: str, most: int, read: Callable[[Any], Any]
) -> tuple[Any, ...]:
    found = values.get(key)
    if not isinstance(found, list) or len(found) > most:
        raise ValueError(f"{key} is no list of at most {most}")
    return tuple(read(one) for one in found)


def _port(value: Any) -> int:
    if not isinstance(value, int) or not 0 < value < 65536:
        raise ValueError(f"{value!r} is no port")
    return value


def _mac(value: Any) -> str:
    if not isinstance(value, str) or len(bytes.fromhex(value.replace(":", ""))) != 6:
        raise ValueError(f"{value!r} is no MAC address")
    return value
