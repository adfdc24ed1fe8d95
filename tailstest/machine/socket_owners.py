"""Which program in the machine has which socket open, so that a leak can be laid at its door."""

from __future__ import annotations

import re
from collections.abc import Callable

from tailstest.core.errors import TailstestError
from tailstest.core.text import printable
from tailstest.guest.channel import GuestChannel

#: Lists sockets and who has them open: iproute2, which most systems have.
COMMAND = "ss --no-header --numeric --processes --all --tcp --udp"
#: Most bytes of its answer, seconds before scaling it may take, and characters of a program's name.
_LARGEST, _WITHIN, _LONGEST = 1 << 18, 20.0, 40

#: One line of it: kind, state, two queues, own end, other end, the first program.
_LINE = re.compile(r'(tcp|udp) +\S+ +\d+ +\d+ +\S+:(\d+) +\S+ +users:\(\("(.*?)",pid=(\d+),')


def socket_owners(channel: Callable[[], GuestChannel]) -> dict[tuple[str, int], str]:
    """Return protocol ("tcp" or "udp") and own port of each open socket, to whose it is.

    What the guest says of itself; safe to print. Empty if it does not say.

    Args:
        channel: gives the way in; raises when there is none.
    """
    try:
        said = channel().run(COMMAND, within=_WITHIN, limit=_LARGEST).out
    except TailstestError:
        return {}  # it is evidence to a failure, and must not hide that
    return owners_in(said)


def owners_in(said: str) -> dict[tuple[str, int], str]:
    """Return what `socket_owners` does, from the answer of `ss`."""
    found = {}
    for line in said.splitlines():
        match = _LINE.match(line)
        if match:
            name = printable(match[3])[:_LONGEST]
            found[match[1], int(match[2])] = f"{name} (process {match[4]})"
    return found
