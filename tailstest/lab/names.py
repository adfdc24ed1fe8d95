"""Names in packets; those in DNS, mDNS and LLMNR messages are read by dnspython."""

from __future__ import annotations

import re

import dns.flags
import dns.message
import dns.rdataclass

from tailstest.lab.dhcp import told_names, told_texts
from tailstest.lab.dhcp6 import told_names6
from tailstest.lab.netbios import names_in_netbios
from tailstest.lab.seen import NotUnderstood, Seen
from tailstest.lab.wording import name_text

#: Ports whose messages have names in the format of DNS.
DNS_PORTS = frozenset({53, 5353, 5355})
#: The same for TCP: mDNS is UDP only.
DNS_TCP_PORTS = frozenset({53, 5355})
DHCP_PORTS, DHCP6_PORTS = frozenset({67, 68}), frozenset({546, 547})
#: Names, and datagrams, which tell their sender's name.
NETBIOS_PORTS = frozenset({137, 138})
#: Ports of all protocols in which names are read.
NAME_PORTS = DNS_PORTS | DHCP_PORTS | DHCP6_PORTS | NETBIOS_PORTS
#: Bytes in front of the names of a message: numbers only.
_DNS_HEADER, _DHCP6_HEADER = 12, 4
#: Names shown of one message: no message needs more to be recognised.
MOST_NAMES = 20
#: Flags of a plain question: recursion desired, authentic data, checking disabled.
QUESTION_FLAGS = dns.flags.RD | dns.flags.AD | dns.flags.CD
#: The only EDNS flag: DNSSEC wanted (RFC 6891). The other bits are version and extended codes.
DNSSEC_WANTED = 0x8000
#: EDNS options that a question may carry and that tell nothing: COOKIE (RFC 7873), PADDING (7830).
COOKIE, PADDING = 10, 12
#: What a part of a name is made of (RFC 1123, 2.1), and the underscore of service names.
PLAIN_LABEL = re.compile(rb"[0-9A-Za-z_-]+")


def names_in(message: bytes, most: int | None = MOST_NAMES) -> tuple[str, ...]:
    """Return the names that a message asks for and tells, for a report; none if it is no message.

    They are safe to print.

    Args:
        most: so many of them; None: all.
    """
    try:
        parsed = dns.message.from_wire(
            message, continue_on_error=True, ignore_trailing=True, one_rr_per_rrset=True
        )
        records = [record.name for section in parsed.sections for record in section]
        found = [name_text(name.to_text(omit_final_dot=True)) for name in records]
    except Exception:  # noqa: BLE001 - only for show, and the message is hostile
        return ()
    return tuple(dict.fromkeys(found))[:most]


def asked_name(message: bytes) -> str:
    """Return the name in a plain question to a resolver, in lower case.

    Raises:
        NotUnderstood: it is not exactly that: one question, no answers, nothing behind it.
    """
    try:
        parsed = dns.message.from_wire(message)
    except Exception as error:  # noqa: BLE001 - a message that breaks the parser is a finding
        what = type(error).__name__
        raise NotUnderstood(f"a DNS message that cannot be read ({what})") from None
    if parsed.flags & ~QUESTION_FLAGS or parsed.ednsflags & ~DNSSEC_WANTED:
        raise NotUnderstood("a DNS message that is no plain question")
    if len(parsed.question) != 1 or parsed.answer or parsed.authority or parsed.additional:
        raise NotUnderstood("a DNS question with more than one name in it")
    if parsed.had_tsig or parsed.question[0].rdclass != dns.rdataclass.IN:
        raise NotUnderstood("a DNS question with a signature or of another class")
    for option in parsed.options:
        padded = option.otype == PADDING and not any(option.to_wire() or b"")
        if option.otype != COOKIE and not padded:
            raise NotUnderstood(f"a DNS question with the option {int(option.otype)}")
    name = parsed.question[0].name
    if not all(PLAIN_LABEL.fullmatch(label) for label in name.labels[:-1]):
        # A dot inside a label would make it look like a name of another domain.
        raise NotUnderstood("a DNS question for an odd name")
    return name_text(name.to_text(omit_final_dot=True)).lower()


def names_of(seen: Seen) -> tuple[str, ...]:
    """Return the names in a packet of a protocol that tells names, safe to print."""
    ports = {seen.source_port, seen.destination_port}
    if (message := _dns_message(seen, ports)) is not None:
        return names_in(message)
    if seen.kind == "udp" and ports == DHCP_PORTS:
        return told_names(seen.payload)
    if seen.kind == "udp" and ports == DHCP6_PORTS:
        return told_names6(seen.payload)
    if seen.kind == "udp" and ports & NETBIOS_PORTS:
        return tuple(name_text(name) for name in names_in_netbios(seen.payload)[:MOST_NAMES])
    return ()


def texts_of(seen: Seen) -> tuple[str, ...]:
    """Return all words in a packet of a protocol that tells names, for comparing.

    They are not safe to print. Nothing is left out because a parser does not know it: in these
    protocols a name stands in clear, between bytes that are no letters.
    """
    ports = {seen.source_port, seen.destination_port}
    if (message := _dns_message(seen, ports)) is not None:
        return *names_in(message, most=None), _text(message[_DNS_HEADER:])
    if seen.kind != "udp":
        return ()
    if ports & DHCP_PORTS:
        return told_texts(seen.payload)
    if ports & DHCP6_PORTS:
        return (_text(seen.payload[_DHCP6_HEADER:]),)
    if ports & NETBIOS_PORTS:
        return *names_in_netbios(seen.payload), _text(seen.payload[_DNS_HEADER:])
    return ()


def _dns_message(seen: Seen, ports: set[int]) -> bytes | None:
    if seen.kind == "udp" and ports & DNS_PORTS:
        return seen.payload
    return seen.payload[2:] if seen.kind == "tcp" and ports & DNS_TCP_PORTS else None


def _text(message: bytes) -> str:
    return message.decode("utf-8", "replace")
