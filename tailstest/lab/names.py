"""Names in packets; those in DNS, mDNS and LLMNR messages are read by dnspython."""

from __future__ import annotations

import re

import dns.flags
import dns.message
import dns.rdataclass

from tailstest.lab.dhcp import read_dhcp
from tailstest.lab.seen import NotUnderstood, Seen
from tailstest.lab.wording import name_text

#: Ports whose messages have names in the format of DNS.
DNS_PORTS = frozenset({53, 5353, 5355})
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


def names_in(message: bytes) -> tuple[str, ...]:
    """Return the names that a message asks for and tells, for a report; none if it is no message.

    They are safe to print.
    """
    try:
        parsed = dns.message.from_wire(
            message, continue_on_error=True, ignore_trailing=True, one_rr_per_rrset=True
        )
        records = [record.name for section in parsed.sections for record in section]
        found = [name_text(name.to_text(omit_final_dot=True)) for name in records]
    except Exception:  # noqa: BLE001 - only for show, and the message is hostile
        return ()
    return tuple(dict.fromkeys(found))[:MOST_NAMES]


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
    if seen.kind == "udp" and ports & DNS_PORTS:
        return names_in(seen.payload)
    if seen.kind == "tcp" and 53 in ports:
        return names_in(seen.payload[2:])
    if seen.kind == "udp" and ports == {67, 68}:
        try:
            return read_dhcp(seen.payload).names
        except NotUnderstood:
            return ()
    return ()
