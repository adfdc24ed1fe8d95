"""Names in DNS, mDNS and LLMNR messages, read by dnspython."""

from __future__ import annotations

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.opcode

from tailstest.core.text import printable
from tailstest.lab.seen import NotUnderstood

#: Names shown of one message, and characters of one name: no message needs more to be recognised.
MOST_NAMES = 20
LONGEST_NAME = 255
#: EDNS options that a question may carry and that tell nothing: COOKIE (RFC 7873), PADDING (7830).
HARMLESS_OPTIONS = frozenset({10, 12})


def names_in(message: bytes) -> tuple[str, ...]:
    """Return the names that a message asks for and tells, for a report; none if it is no message.

    They are safe to print.
    """
    try:
        parsed = dns.message.from_wire(
            message, continue_on_error=True, ignore_trailing=True, one_rr_per_rrset=True
        )
        records = [record.name for section in parsed.sections for record in section]
        found = [_shown(name.to_text(omit_final_dot=True)) for name in records]
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
    if parsed.flags & dns.flags.QR or parsed.opcode() != dns.opcode.QUERY:
        raise NotUnderstood("a DNS message that is no question")
    if len(parsed.question) != 1 or parsed.answer or parsed.authority or parsed.additional:
        raise NotUnderstood("a DNS question with more than one name in it")
    for option in parsed.options:
        if option.otype not in HARMLESS_OPTIONS:
            raise NotUnderstood(f"a DNS question with the option {int(option.otype)}")
    if parsed.had_tsig:
        raise NotUnderstood("a DNS question with a signature")
    return _shown(parsed.question[0].name.to_text(omit_final_dot=True)).lower()


def _shown(name: str) -> str:
    return printable(name)[:LONGEST_NAME]
