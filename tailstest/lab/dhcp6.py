"""What a machine tells about itself when it asks for an IPv6 address (RFC 8415, 4704)."""

from __future__ import annotations

from tailstest.lab.dhcp import DhcpRequest, labels, shown
from tailstest.lab.seen import NotUnderstood

#: Messages of a client: solicit, request, confirm, renew, rebind, release, decline, information.
CLIENT_MESSAGES = frozenset({1, 3, 4, 5, 6, 8, 9, 11})
CLIENT_ID, FULL_NAME = 1, 39
#: Server, addresses, temporary addresses, wanted options, elapsed time, rapid commit, vendor
#: class, reconfigure accept, prefixes.
HARMLESS = frozenset({2, 3, 4, 6, 8, 14, 16, 20, 25})


def read_dhcp6(message: bytes) -> DhcpRequest:
    """Return what a client's message says; `client_id` is its DUID, there is no `hardware`.

    Raises:
        NotUnderstood: it is no such message, or has something in it that is not known.
    """
    if len(message) < 4 or message[0] not in CLIENT_MESSAGES:
        raise NotUnderstood("DHCPv6 that is no message of a client")
    names, duid, place = [], b"", 4
    while place < len(message):
        code = int.from_bytes(message[place : place + 2], "big")
        size = int.from_bytes(message[place + 2 : place + 4], "big")
        value = message[place + 4 : place + 4 + size]
        if len(message) < place + 4 or len(value) < size:
            raise NotUnderstood("DHCPv6 with an option that is cut off")
        if code == FULL_NAME:
            names.append(shown(labels(value[1:])))
        elif code == CLIENT_ID:
            duid += value
        elif code not in HARMLESS:
            raise NotUnderstood(f"DHCPv6 with option {code}")
        place += 4 + size
    return DhcpRequest(b"", tuple(names), duid)
