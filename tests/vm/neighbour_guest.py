"""A computer on a wire of a lab, as `neighbour_guest.py SOCKET GATEWAY LAST KIND [PORT]`.

Run in a network namespace of its own. "open" listens on one TCP port and leaves the rest to its
kernel; "deaf" does not hear pings; "silent" answers nothing to a neighbour but ARP and neighbour
discovery. Says "ready" and the link's own address, then waits.
"""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tor_guest import plug_in

from tailstest.lab.network.links import ip
from tailstest.lab.network.plan import Network, Seat


def be_silent(number):
    """Let the kernel have no way back to a neighbour."""
    seat = Seat(Network(number, "full"), 1)
    ip(f"route add blackhole {seat.address}/32")
    # A route would be passed over where the card is named, as it is for the link's own addresses.
    for address in (seat.address6, seat.link_local):
        ip(f"rule add pref 1 to {address}/128 blackhole", family="-6")


def be_deaf_to_pings():
    """Let the kernel keep pings to itself."""
    for path in ("ipv4/icmp_echo_ignore_all", "ipv6/icmp/echo_ignore_all"):
        Path(f"/proc/sys/net/{path}").write_text("1")


def own_link_address():
    found = subprocess.run(
        ["ip", "-json", "-6", "addr", "show", "dev", "eth", "scope", "link"],
        capture_output=True,
        check=True,
    )
    return next(each["local"] for one in json.loads(found.stdout) for each in one["addr_info"])


def main(path, gateway, kind, port="22"):
    for name in ("accept_dad", "accept_ra"):
        Path(f"/proc/sys/net/ipv6/conf/default/{name}").write_text("0")
    plug_in(path, gateway)
    if kind == "silent":
        be_silent(int(gateway.split(".")[2]))
    if kind in ("silent", "deaf"):
        be_deaf_to_pings()
    with socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True):
        print("ready", own_link_address(), flush=True)
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
