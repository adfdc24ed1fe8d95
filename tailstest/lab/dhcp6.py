"""What a machine tells about itself when it asks for an IPv6 address (RFC 8415, 4704)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tailstest.lab.dhcp import DhcpRequest, check_harmless, labels, loose_labels, shown
from tailstest.lab.seen import NotUnderstood

#: Messages of a client: solicit, request, confirm, renew, rebind, release, decline, information.
CLIENT_MESSAGES = frozenset({1, 3, 4, 5, 6, 8, 9, 11})
CLIENT_ID, FULL_NAME = 1, 39
#: Addresses, temporary addresses, prefixes: each has options inside, behind so many bytes.
GROUPS = {3: 12, 4: 4, 25: 12}
#: Address and prefix in such a group, to their bytes.
INSIDE: dict[int, int | None] = {5: 24, 26: 25}
#: Server, wanted options, elapsed time, rapid commit, vendor class, reconfigure accept.
HARMLESS: dict[int, int | None] = {2: None, 6: None, 8: 2, 14: 0, 16: None, 20: 0}


def read_dhcp6(message: bytes) -> DhcpRequest:
    """Return what a client's message says; `client_id` is its DUID, there is no `hardware`.

    Raises:
        NotUnderstood: it is no such message, or has something in it that is not known.
    """
    if len(message) < 4 or message[0] not in CLIENT_MESSAGES:
        raise NotUnderstood("DHCPv6 that is no message of a client")
    names, duid = [], b""
    for code, value in _options(message[4:]):
        if code == FULL_NAME:
            names.append(shown(labels(value[1:])))
        elif code == CLIENT_ID:
            duid += value
        elif code in GROUPS:
            if len(value) < GROUPS[code]:
                raise NotUnderstood(f"DHCPv6 with option {code} of {len(value)} bytes")
            for inner, inside in _options(value[GROUPS[code] :]):
                check_harmless("DHCPv6", INSIDE, inner, inside)
        else:
            check_harmless("DHCPv6", HARMLESS, code, value)
    return DhcpRequest(b"", tuple(names), duid)


def told_names6(message: bytes) -> tuple[str, ...]:
    """Return the host names that a client's message tells, safe to print, whatever else is in it.

    None if it is no message of a client.
    """
    if not message or message[0] not in CLIENT_MESSAGES:
        return ()
    names = []
    with contextlib.suppress(NotUnderstood):
        for code, value in _options(message[4:]):
            if code == FULL_NAME:
                names.append(shown(loose_labels(value[1:])))
    return tuple(names)


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        code = int.from_bytes(data[place : place + 2], "big")
        size = int.from_bytes(data[place + 2 : place + 4], "big")
        value = data[place + 4 : place + 4 + size]
        if len(data) < place + 4 or len(value) < size:
            raise NotUnderstood("DHCPv6 with an option that is cut off")
        yield code, value
        place += 4 + size
