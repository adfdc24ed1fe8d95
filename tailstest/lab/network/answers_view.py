"""What answered a neighbour, as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tailstest.lab.network.knocking import Answer

#: Addresses that are listed, and ranges of ports for each kind of answer.
MOST_ADDRESSES, MOST_RANGES = 10, 12

_WORDS = {
    "open": "TCP open: {}",
    "udp": "UDP answers: {}",
    "refused": "TCP refuses: {}",
    "udp refused": "UDP refuses: {}",
    "ping": "answers ping",
    "other": "other answers ({})",
}


def answers_text(answers: Collection[Answer]) -> str:
    """Return a line for each address that answered; what is open stands first."""
    addresses = sorted({each.address for each in answers})
    lines = [
        f"  {address or 'not IP'}: {_of_one([each for each in answers if each.address == address])}"
        for address in addresses[:MOST_ADDRESSES]
    ]
    if len(addresses) > MOST_ADDRESSES:
        lines.append(f"  ... and {len(addresses) - MOST_ADDRESSES} more addresses")
    return "\n".join(lines)


def ports_text(ports: Iterable[int]) -> str:
    """Return ports as ranges, and how many there are if that does not show."""
    ranges: list[list[int]] = []
    for port in sorted(set(ports)):
        if ranges and port == ranges[-1][1] + 1:
            ranges[-1][1] = port
        else:
            ranges.append([port, port])
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:MOST_RANGES]]
    if len(ranges) > MOST_RANGES:
        shown.append("...")
    count = sum(b - a + 1 for a, b in ranges)
    total = f" ({count} ports)" if count > len(ranges) or len(ranges) > MOST_RANGES else ""
    return ", ".join(shown) + total


def _of_one(answers: Sequence[Answer]) -> str:
    parts = []
    for what, words in _WORDS.items():
        ports = [each.port for each in answers if each.what == what]
        if ports:
            parts.append(words.format(ports_text(ports)))
    return "; ".join(parts)
