"""What a machine tells about itself when it asks for an address (RFC 2131, 2132, 4702, 4361)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tailstest.lab.seen import NotUnderstood
from tailstest.lab.wording import name_text

COOKIE = b"\x63\x82\x53\x63"
HEADER = 236
#: Where the hardware address ends in the header; names may stand behind it.
BEHIND_HARDWARE = 34
REQUEST, ETHERNET = 1, 1
PAD, END = 0, 255
HOST_NAME, CLIENT_ID, FULL_NAME = 12, 61, 81
#: What a client says about the lease and about itself that names neither it nor its owner, to the
#: bytes that it has (None: any number): requested address, lease time, message type, server, wanted
#: options, largest message, renewal and rebinding time, vendor class, rapid commit, IPv6-only,
#: auto-configuration, forced renewal.
HARMLESS = {
    50: 4,
    51: 4,
    53: 1,
    54: 4,
    55: None,
    57: 2,
    58: 4,
    59: 4,
    60: None,
    80: 0,
    108: 4,
    116: 1,
    145: None,
}
DUID_LINK_TIME, DUID_LINK = 1, 3


@dataclass(frozen=True)
class DhcpRequest:
    """What is in a request.

    Attributes:
        hardware: MAC address in it.
        names: host names in it, safe to print.
        client_id: as it is; empty if there is none.
    """

    hardware: bytes
    names: tuple[str, ...]
    client_id: bytes


def read_dhcp(message: bytes) -> DhcpRequest:
    """Return what a client's message says.

    Raises:
        NotUnderstood: it is no such message, or has something in it that is not known.
    """
    if len(message) < HEADER + 4 or message[HEADER : HEADER + 4] != COOKIE:
        raise NotUnderstood("DHCP that is too short or has no options")
    if message[0] != REQUEST or message[1] != ETHERNET or message[2] != 6:
        raise NotUnderstood("DHCP that is no request of an Ethernet client")
    if message[3] or any(message[16:28]):
        raise NotUnderstood("DHCP with something in fields that only servers and relays fill")
    if any(message[BEHIND_HARDWARE:HEADER]):
        raise NotUnderstood("DHCP with something behind the hardware address, where names may be")
    names, client_id = [], b""
    for code, value in _options(message[HEADER + 4 :]):
        if code == HOST_NAME:
            names.append(shown(value))
        elif code == FULL_NAME:
            names.append(shown(full_name(value)))
        elif code == CLIENT_ID:
            client_id += value
        else:
            check_harmless("DHCP", HARMLESS, code, value)
    return DhcpRequest(message[28:34], tuple(names), client_id)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    place = 0
    while place < len(data):
        code = data[place]
        if code == PAD:
            place += 1
            continue
        if code == END:
            if any(data[place + 1 :]):
                raise NotUnderstood("DHCP with something behind its last option")
            return found
        size = data[place + 1] if place + 1 < len(data) else 255
        value = data[place + 2 : place + 2 + size]
        if len(value) < size:
            raise NotUnderstood("DHCP with an option that is cut off")
        found.append((code, value))
        place += 2 + size
    raise NotUnderstood("DHCP without an end of its options")


def told_names(message: bytes) -> tuple[str, ...]:
    """Return the host names that a client's message tells, safe to print, whatever else is in it.

    None if it is no message of a client.
    """
    if message[:1] != bytes([REQUEST]):
        return ()
    names = []
    for code, value in _all_options(message[HEADER + 4 :]):
        if code == HOST_NAME:
            names.append(shown(value))
        elif code == FULL_NAME:
            has_labels = bool(value[:1] and value[0] & 4)
            names.append(shown(loose_labels(value[3:]) if has_labels else value[3:]))
    return tuple(names)


def told_texts(message: bytes) -> tuple[str, ...]:
    """Return all that a message may tell in words, for comparing; not safe to print.

    Any option can hold a name, a client id for example; numbers of a known length are left out.
    """
    found = [message[BEHIND_HARDWARE:HEADER]]
    found += [
        value for code, value in _all_options(message[HEADER + 4 :]) if HARMLESS.get(code) is None
    ]
    return tuple(value.decode("utf-8", "replace") for value in found)


def _all_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield options as far as they can be told apart, and in the end what is left, with `END`."""
    place = 0
    while place < len(data) and data[place] != END:
        if data[place] == PAD:
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 1 : place + 2], "big")
        yield data[place], data[place + 2 : end]
        place = end
    yield END, data[place + 1 :]


def full_name(value: bytes) -> bytes:
    """Return the name in option 81: three bytes, then text or labels with their lengths."""
    if len(value) < 3 or not value[0] & 4:
        return value[3:]
    return labels(value[3:])


def check_harmless(what: str, harmless: dict[int, int | None], code: int, value: bytes) -> None:
    """Raise `NotUnderstood` unless an option is in a table, with the length that it has there."""
    if code not in harmless:
        raise NotUnderstood(f"{what} with option {code}")
    if harmless[code] not in (None, len(value)):
        raise NotUnderstood(f"{what} with option {code} of {len(value)} bytes")


def labels(data: bytes) -> bytes:
    """Return labels with their lengths as text with dots.

    Raises:
        NotUnderstood: one is longer than what is there, or something stands behind the last.
    """
    parts, place = [], 0
    while place < len(data) and data[place]:
        part = data[place + 1 : place + 1 + data[place]]
        if len(part) < data[place]:
            raise NotUnderstood("DHCP with a name that is cut off")
        parts.append(part)
        place += 1 + data[place]
    if data[place + 1 :]:
        raise NotUnderstood("DHCP with something behind a name")
    return b".".join(parts)


def loose_labels(data: bytes) -> bytes:
    """Return labels as text with dots, or all of it as it is if they are not right."""
    try:
        return labels(data)
    except NotUnderstood:
        return data


def shown(value: bytes) -> str:
    """Return a name from a packet, safe to print."""
    return name_text(value.rstrip(b"\0"))


def client_id_is(client_id: bytes, mac: bytes) -> bool:
    """Return whether a client id says no more than the MAC address `mac`.

    It may be the address itself (RFC 2132, 9.14), or a DUID that is made of it (RFC 4361).
    """
    if client_id[:1] == b"\xff":
        return duid_is(client_id[5:], mac)
    return client_id == b"\x01" + mac


def duid_is(duid: bytes, mac: bytes) -> bool:
    """Return whether a DUID is made of the Ethernet address `mac` (RFC 8415, 11.2 and 11.4).

    One with a time in it (DUID-LLT) stays the same when the address changes back and forth, but
    says no more than the address as long as that is the present one.
    """
    kind, hardware = duid[:2], duid[2:4]
    place = {DUID_LINK_TIME: 8, DUID_LINK: 4}.get(int.from_bytes(kind, "big"))
    return place is not None and hardware == b"\0\x01" and duid[place:] == mac
