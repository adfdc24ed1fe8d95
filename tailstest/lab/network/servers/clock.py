"""A time server that may be wrong: `python -m tailstest.lab.network.servers.clock SECONDS`.

Answers SNTP requests (RFC 4330) with the host's time plus some seconds. chrony, which is in Debian,
cannot serve a wrong time: it has no option for it, and whoever fakes its clock from outside is
found out by the kernel's time stamps.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

#: Seconds from 1900, where NTP begins, to 1970.
_EPOCH = 2_208_988_800
#: Leap indicator 0, version 4, mode 4 (server).
_SERVER = 0x24
_PACKET = struct.Struct("!BBBbIII8s8s8s8s")
PORT = 123


def answered(request: bytes, now: float) -> bytes | None:
    """Return the answer to a request; None to what is no request of a client.

    Args:
        now: the time that is told, seconds since 1970.
    """
    if len(request) < _PACKET.size or request[0] & 7 not in (1, 3):
        return None
    stamp = stamped(now)
    # Stratum 1, reference "LOCL": a clock of its own; the client's own time comes back to it.
    return _PACKET.pack(
        _SERVER, 1, request[2], -20, 0, 0, 0x4C4F434C, stamp, request[40:48], stamp, stamp
    )


def stamped(now: float) -> bytes:
    """Return a time as NTP writes it: 32 bits of seconds since 1900, 32 bits of the fraction."""
    seconds = now + _EPOCH
    return struct.pack("!II", int(seconds) & 0xFFFFFFFF, int(seconds % 1 * 2**32))


def serve(offset: float) -> None:
    """Answer until somebody ends the process."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as port:
        port.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # The answer must come from the address that was asked, of which the lab has many.
        port.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        port.bind(("::", PORT))
        print("ready", flush=True)
        while True:
            request, ancillary, _flags, client = port.recvmsg(512, 256)
            answer = answered(request, time.time() + offset)
            if answer is not None:
                port.sendmsg([answer], ancillary, 0, client)


if __name__ == "__main__":
    serve(float(sys.argv[1]))
