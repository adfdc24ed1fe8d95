"""Nothing gets out of a lab: not to this host, not to the real Internet; which need not be there.

From two places it is tried: from a server of the lab, and from a machine on a full network. Each
attempt carries a token, so whoever sees it knows that it got out.
"""

import contextlib
import ipaddress
import json
import os
import socket
import sys
import threading

import psutil
import pytest
from lab_guest import Guest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tailstest.core.deadline import Deadline, poll
from tailstest.lab.network.plan import WEB

pytestmark = pytest.mark.vm

#: Addresses that do not belong to the lab: a public one, one that is reserved for documentation as
#: the lab's own are, and an IPv6 one. Whoever has them, none of our packets may come there.
ELSEWHERE = ("1.1.1.1", "192.0.2.1", "2606:4700:4700::1111")

#: Seconds to wait for what must not come. What must come is waited for in the same way, before.
QUIET = 1.5

_ALL_PROTOCOLS = 3  # ETH_P_ALL

_ATTEMPT = """
import signal, socket, sys
target, port, token = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
family = socket.AF_INET6 if ":" in target else socket.AF_INET
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    try:
        with socket.socket(family, kind) as line:
            line.settimeout(3)
            line.connect((target, port))
            line.sendall(token)
        said = "sent"
    except OSError as error:
        said = f"refused: {error.strerror or error}"
    print(kind.name, said, flush=True)
print("ended", flush=True)
signal.pause()
"""


def own_addresses():
    """Return the addresses of this host, its loopback first."""
    found = [
        ipaddress.ip_address(each.address.partition("%")[0])
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6)
    ]
    usual = [address for address in found if not address.is_link_local]
    return [str(each) for each in sorted(usual, key=lambda each: not each.is_loopback)]


@pytest.fixture
def token():
    return os.urandom(16)


@pytest.fixture
def guest(keeper, tmp_path):
    """Return a machine on a full network."""
    network = keeper.network("full")
    path = tmp_path / "one"
    keeper.lab.attach("one", network, socket=path, capture=tmp_path / "one.pcapng", limit=1_000_000)
    one = Guest(path, network)
    yield one
    one.close()


class Sniffer:
    """Looks at all that passes the network cards of this host, and keeps which tokens it has seen.

    Args:
        tokens: that it looks for.
    """

    def __init__(self, *tokens):
        self.seen = set()
        self._tokens = tokens
        self._line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        self._line.settimeout(0.1)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._is_over = False

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._is_over = True
        self._thread.join()
        self._line.close()

    def _look(self):
        while not self._is_over:
            with contextlib.suppress(TimeoutError):
                frame = self._line.recv(65536)
                self.seen.update(token for token in self._tokens if token in frame)


def attempts(guest, target, port, token):
    """Return frames of a machine to an address behind its router: UDP, TCP, a ping."""
    head = Ether(src=guest.mac, dst=guest.router_mac)
    if ":" in target:
        router6 = "2001:db8:76:1::77"
        head, ping = head / IPv6(src=router6, dst=target), ICMPv6EchoRequest(data=token)
    else:
        head /= IP(src=socket.inet_ntoa(guest.address), dst=target)
        ping = ICMP() / Raw(token)
    first, second = UDP(sport=40000, dport=port), TCP(sport=40000, dport=port, flags="S")
    return [bytes(head / part) for part in (first / Raw(token), second / Raw(token), ping)]


def answers(guest, target, port, token):
    """Send such frames; return what comes back from there."""
    for frame in attempts(guest, target, port, token):
        guest.send(frame)
    found = []
    for frame in guest.frames(QUIET):
        guest.answer_arp(frame)
        seen = Ether(frame)
        if any(kind in seen and seen[kind].src == target for kind in (IP, IPv6)):
            found.append(seen.summary())
    return found


def tried_inside(keeper, target, port, token):
    """Let a server of the lab try the same; return what it says of it."""
    argv = [sys.executable, "-c", _ATTEMPT, target, str(port), token.hex()]
    name = f"attempt-{len(keeper.lab.services())}"
    keeper.lab.start(name, argv, "ended", 20)
    return (keeper.lab.folder / f"{name}.log").read_text()


@contextlib.contextmanager
def listening(target):
    """Listen at an address of this host; yields the port, and what returns what came there."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(socket.create_server((target, 0), family=family))
        port = stream.getsockname()[1]
        packets = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        packets.bind((target, port))

        def came():
            found = []
            for line, take in ((stream, stream.accept), (packets, lambda: packets.recv(100))):
                line.settimeout(QUIET)
                with contextlib.suppress(TimeoutError):
                    found.append(take())
            return found

        yield port, came


@pytest.mark.parametrize("target", own_addresses())
def test_nothing_reaches_an_address_of_the_host(keeper, guest, token, target):
    with listening(target) as (port, came):
        said = tried_inside(keeper, target, port, token)
        answers(guest, target, port, token)
        assert came() == []
        assert "sent" not in said.partition("SOCK_STREAM")[2]
        # Whoever is not in a lab does come there.
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with socket.create_connection((target, port)):
            with socket.socket(family, socket.SOCK_DGRAM) as line:
                line.sendto(token, (target, port))
            assert len(came()) == 2


@pytest.mark.parametrize("target", ELSEWHERE)
def test_nothing_answers_from_elsewhere(keeper, guest, token, target):
    assert answers(guest, WEB, 443, token)  # the lab's own Internet does
    assert "SOCK_STREAM sent" in tried_inside(keeper, WEB, 443, token)
    said = tried_inside(keeper, target, 443, token)
    assert said.count("refused: Network is unreachable") == 2
    assert answers(guest, target, 443, token) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at all network cards")
@pytest.mark.parametrize("target", [*ELSEWHERE, *own_addresses()])
def test_nothing_leaves(keeper, guest, token, target):
    last = os.urandom(16)
    with Sniffer(token, last) as sniffer:
        tried_inside(keeper, target, 443, token)
        answers(guest, target, 443, token)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(last, ("127.0.0.1", 9))  # passes a card of the host, and is seen
        assert poll(lambda: last in sniffer.seen or None, Deadline.after(10, scale=3))
    assert sniffer.seen == {last}


def test_no_network_card_of_a_lab_has_its_other_end_outside(keeper, guest):
    """What is not connected cannot leave, whether this user may look at the host's cards or not."""
    assert guest.arp_answered()
    show = "ip -json -details link && echo && ip -json route show table all && echo && echo ended"
    keeper.lab.start("links", ["sh", "-c", f"{show}; exec sleep 600"], "ended", 20)
    links, routes, *_ = (keeper.lab.folder / "links.log").read_text().split("\n\n")
    up = [each for each in json.loads(links) if "UP" in each["flags"]]
    names = {each["ifname"] for each in up}
    assert {"lo", "net1", "port1", "wire1"} <= names
    for each in up:
        kind = each.get("linkinfo", {}).get("info_kind", each["link_type"])
        assert kind in {"loopback", "bridge", "veth"}
        # The other end of a cable: by its name if it is here, by a number if it is elsewhere.
        assert kind != "veth" or each["link"] in names
        assert "link_netnsid" not in each
    targets = {each["dst"] for each in json.loads(routes)}
    assert "10.76.1.0/24" in targets
    assert "default" not in targets
