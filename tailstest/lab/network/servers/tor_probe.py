"""Tries a Tor network until it works: `python -m ...servers.tor_probe PORT HOST`.

"Bootstrapped 100%" means that a client has a circuit of relays that may not know one another yet.
A page of the lab's web server, fetched through the network, is the proof.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys

from tailstest.core.deadline import pause

#: Seconds that one attempt may take, and between two.
PATIENCE, INTERVAL = 5.0, 0.5

_NO_PASSWORD = b"\x05\x01\x00"
_CONNECT_TO_NAME = b"\x05\x01\x00\x03"


def fetched(port: int, host: str) -> bool:
    """Return whether the page of a host can be fetched through SOCKS 5 (RFC 1928)."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as line:
            line.settimeout(PATIENCE)
            line.sendall(_NO_PASSWORD)
            if line.recv(2) != b"\x05\x00":
                return False
            name = host.encode()
            line.sendall(_CONNECT_TO_NAME + bytes([len(name)]) + name + struct.pack("!H", 80))
            if line.recv(10)[1:2] != b"\x00":
                return False
            line.sendall(b"GET / HTTP/1.0\r\nHost: " + name + b"\r\n\r\n")
            return line.recv(100).startswith(b"HTTP/1.0 200")
    except OSError:
        return False


if __name__ == "__main__":
    while not fetched(int(sys.argv[1]), sys.argv[2]):
        pause(INTERVAL)
    print("ready", flush=True)
    signal.pause()
