"""The server that gives out addresses, announces the router and answers for names: dnsmasq."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tailstest.lab.network.plan import DOMAIN, NAMES, TIME, WEB, WEB6, Network
from tailstest.lab.network.supervisor import Service

#: Seconds until it has opened its sockets; it takes 30 ms.
START_LIMIT = 30.0
#: Seconds that a machine may keep an address.
LEASE_TIME = 3600
#: Fields of a line about one lease.
_LEASE_FIELDS = 5


def leases_file(network: Network, folder: Path) -> Path:
    """Return where dnsmasq writes down which addresses of a network it has given out."""
    return folder / f"leases-{network.number}"


def given_out(
    network: Network, folder: Path, *, since: float = 0.0, others: Collection[str] = ()
) -> list[str]:
    """Return the IPv4 addresses of a network that are given out now.

    A line for each: when it ends, MAC address, address, name, client id. The others are about IPv6,
    and the first of these is there before anybody has asked (lease_update_file in dnsmasq's
    lease.c).

    Args:
        folder: of the lab.
        since: seconds since 1970; only what was given out or prolonged in a whole second after it.
            An address for less than `LEASE_TIME`, which a client may ask for, looks older.
        others: MAC addresses of those whose addresses do not count.
    """
    file = leases_file(network, folder)
    lines = file.read_text(encoding="ascii", errors="replace").splitlines() if file.exists() else []
    fields = [line.split() for line in lines]
    not_counted = {mac.lower() for mac in others}
    return [
        each[2]
        for each in fields
        if len(each) == _LEASE_FIELDS
        and each[2].count(".") == 3
        and each[1].lower() not in not_counted
        and (not since or _begin(each[0]) >= since)
    ]


def _begin(end: str) -> float:
    """Return when a lease began that ends then; each acknowledgement to its client renews it.

    Of one that never ends, or whose line is just being written, nobody knows: long ago.
    """
    return float(int(end) - LEASE_TIME) if end.isdecimal() and int(end) else 0.0


def addressing(network: Network, folder: Path, answers: Mapping[str, Sequence[str]]) -> Service:
    """Return dnsmasq for one network.

    In a full lab every name leads to the lab's web server, unless `answers` says otherwise; on an
    isolated network no name exists but the router's.

    Args:
        folder: private to the lab; which addresses were given out is written there.
        answers: name to the addresses that are told for it and for everything below it; none: the
            name does not exist.
    """
    argv = [
        "dnsmasq",
        # Keeps it in the foreground, and keeps its user: there is no other in the lab's namespace.
        "--no-daemon",
        "--conf-file=/dev/null",
        "--quiet-dhcp",
        "--quiet-dhcp6",
        "--quiet-ra",
        f"--interface={network.bridge}",
        "--except-interface=lo",
        "--bind-interfaces",
        "--no-resolv",
        "--no-hosts",
        "--no-ping",
        "--local-ttl=1",
        "--dhcp-authoritative",
        f"--dhcp-leasefile={leases_file(network, folder)}",
        f"--dhcp-range={','.join(network.addresses)},255.255.255.0,{LEASE_TIME}",
        f"--dhcp-option=option:router,{network.gateway}",
        f"--dhcp-option=option:dns-server,{network.gateway}",
        f"--dhcp-option=option:ntp-server,{TIME if network.kind == 'full' else network.gateway}",
        f"--domain={DOMAIN}",
        f"--dhcp-range=::,constructor:{network.bridge},ra-stateless",
        "--enable-ra",
        f"--address=/router.{DOMAIN}/{network.gateway}",
    ]
    known = {**(NAMES if network.kind == "full" else {}), **answers}
    for name, addresses in known.items():
        argv += [f"--address=/{name}/{address}" for address in addresses or [""]]
    everything = (WEB, WEB6) if network.kind == "full" else ("",)
    argv += [f"--address=/#/{address}" for address in everything]
    return Service(f"dnsmasq-{network.number}", argv, "started, version", START_LIMIT)
