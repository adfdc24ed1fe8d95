"""Bridges, cables and rules of the lab, made with `ip`; inside the lab's namespace only."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tailstest.lab.network.plan import (
    INTERNET,
    INTERNET6,
    MAIL,
    PROXY,
    TIME,
    WEB,
    WEB6,
    Network,
    Seat,
)

#: Requests and commands of linux/sockios.h and linux/ethtool.h.
_SIOCETHTOOL = 0x8946
_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO, _SET_GRO = 0x17, 0x1F, 0x24, 0x2C

#: Places of our rules: what a network must not reach stands before the look-up of local addresses,
#: which the kernel has at 0.
_FIRST_RULE, _BLOCK_RULE, _LOCAL_RULE = 10, 20, 100


#: What a neighbour calls its network card.
CARD = "eth"


class LinksFailed(Exception):
    """`ip` refused something; the text says what."""


def ip(*commands: str, family: str = "", inside: int = 0) -> None:
    """Run commands of `ip`, each as one line, in one go.

    Args:
        family: "-4" or "-6"; "" leaves it to `ip`.
        inside: number of a process; its network namespace is meant, not the present one.

    Raises:
        LinksFailed: quotes what `ip` says.
    """
    argv = ["ip", *([family] if family else []), "-batch", "-"]
    if inside:
        argv = ["nsenter", "--net", f"--target={inside}", *argv]
    text = "\n".join(commands) + "\n"
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LinksFailed(f"{' '.join(argv)}: {done.stderr.strip()}")


def ready_namespace() -> None:
    """Bring up what every lab has: its own loopback, with the addresses of its Internet."""
    ip(
        "link set lo up",
        *(f"addr add {address}/32 dev lo" for address in (WEB, TIME, MAIL, PROXY)),
        f"addr add {WEB6}/128 dev lo nodad",
        f"rule add pref {_LOCAL_RULE} lookup local",
        "rule del pref 0",
    )
    ip(f"rule add pref {_LOCAL_RULE} lookup local", "rule del pref 0", family="-6")
    # Servers that do not want to be root inside may open the low ports, too.
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def add_bridge(network: Network) -> None:
    """Make the bridge of a network, with the router's addresses.

    An isolated network reaches the server for addresses and names on its router, nothing else.
    """
    name = network.bridge
    ip(
        f"link add {name} address {network.mac} type bridge "
        "mcast_snooping 0 stp_state 0 forward_delay 0",
        f"link set {name} up",
        f"addr add {network.gateway}/24 dev {name}",
        f"addr add {network.gateway6}/64 dev {name} nodad",
    )
    without_offload(name)
    if network.kind == "isolated":
        pref = f"pref {_FIRST_RULE} iif {name}"
        ip(
            f"rule add {pref} to {network.gateway} ipproto tcp dport 53 lookup local",
            f"rule add {pref} ipproto tcp blackhole",
            f"rule add {pref} ipproto udp dport 123 blackhole",
            *(f"rule add {pref} to {each} blackhole" for each in INTERNET),
        )
        ip(
            f"rule add {pref} to {network.gateway6} ipproto tcp dport 53 lookup local",
            f"rule add {pref} ipproto tcp blackhole",
            f"rule add {pref} ipproto udp dport 123 blackhole",
            f"rule add {pref} to {INTERNET6} blackhole",
            family="-6",
        )


def add_cable(number: int, network: Network) -> str:
    """Make a cable with one end in the network's bridge; return the name of the other end.

    The ends have no addresses and say nothing by themselves.
    """
    inner, outer = f"port{number}", f"wire{number}"
    ip(f"link add {inner} type veth peer name {outer}")
    for name in (inner, outer):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        without_offload(name)
    ip(
        f"link set {inner} master {network.bridge} up",
        f"link set {outer} promisc on up",
    )
    return outer


def remove_cable(outer: str) -> None:
    """Take a cable away, both ends."""
    ip(f"link del {outer}")


def plug_in(seat: Seat, process: int) -> None:
    """Give the neighbour on a seat its network card, plugged into the network.

    Args:
        process: of the neighbour; it has a network namespace of its own.
    """
    place = f"{seat.network.number}n{seat.number}"
    inner, outer = f"near{place}", f"far{place}"
    ip(f"link add {inner} type veth peer name {outer} address {seat.mac}")
    Path(f"/proc/sys/net/ipv6/conf/{inner}/disable_ipv6").write_text("1")
    for name in (inner, outer):
        without_offload(name)
    ip(
        f"link set {inner} master {seat.network.bridge} up",
        f"link set {outer} netns {process} name {CARD}",
    )
    ip(
        "link set lo up",
        f"link set {CARD} up",
        f"addr add {seat.address}/24 dev {CARD}",
        f"addr add {seat.address6}/64 dev {CARD} nodad",
        inside=process,
    )


def block(network: Network, protocol: str, port: int) -> None:
    """Let a network reach this port nowhere: packets to it vanish.

    Args:
        protocol: "tcp" or "udp".
    """
    rule = f"rule add pref {_BLOCK_RULE} iif {network.bridge} ipproto {protocol} dport {port}"
    for family in ("-4", "-6"):
        ip(f"{rule} blackhole", family=family)


def add_addresses(addresses: Sequence[str]) -> None:
    """Give the lab's Internet further addresses."""
    ip(*(f"addr add {address}/32 dev lo" for address in addresses))


def without_offload(name: str) -> None:
    """Let the kernel finish each packet itself, its checksum included, before it leaves here.

    A network card would do that later; on this way there is none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        for command in (_SET_GRO, _SET_GSO, _SET_TSO, _SET_TX_CHECKSUM):
            value = array.array("B", struct.pack("II", command, 0))
            request = struct.pack("16sP", name.encode(), value.buffer_info()[0])
            fcntl.ioctl(anything, _SIOCETHTOOL, request)
