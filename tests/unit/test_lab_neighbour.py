"""What a neighbour reads out of packets, what it may be ordered, and what it tells the run."""

import json
import random
import socket
import struct
import threading
import time

import packet_kit as kit
import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.lab.network.answers_view import MOST_ADDRESSES, answers_text, ports_text
from tailstest.lab.network.knocking import (
    QUESTIONS,
    Answer,
    Sighting,
    arp_question,
    echo_request,
    is_arp_answer,
    made_of,
    opening,
    read,
)
from tailstest.lab.network.neighbour import TCP_PORTS, UDP_PORTS, Neighbour, Probed
from tailstest.lab.network.order import LONGEST_ORDER, Order
from tailstest.lab.network.order import MOST_ADDRESSES as MOST_ASKED
from tailstest.lab.network.plan import Network, Seat
from tailstest.lab.own_addresses import own_addresses
from tailstest.lab.packet import ETHERNET, Packet

SEAT = Seat(Network(1, "full"), 1)
OWN, GUEST = kit.mac(SEAT.mac), kit.mac(kit.GUEST)
OPEN, SYN_ACK, RST_ACK, ACK = "open", 0x12, 0x14, 0x10


def from_guest(protocol, payload, version=4, to=SEAT.mac):
    if version == 4:
        return kit.ethernet(kit.ipv4(payload, protocol, target=SEAT.address), target=to)
    return kit.ethernet(kit.ipv6(payload, protocol, target=SEAT.link_local), 0x86DD, target=to)


def tcp(flags):
    return kit.tcp(source=22, target=40000, flags=flags)


def quoting(kind, protocol, sent, version=4):
    """Return an ICMP error about something that the neighbour sent."""
    if version == 4:
        quoted = kit.ipv4(sent, protocol, SEAT.address, kit.GUEST_IP)[:28]
    else:
        quoted = kit.ipv6(sent, protocol, SEAT.link_local, kit.GUEST_IP6)
    return bytes([kind, 3]) + bytes(6) + quoted


@pytest.mark.parametrize("version", [4, 6])
def test_each_answer_is_told_by_what_it_is(version):
    address = kit.GUEST_IP if version == 4 else kit.GUEST_IP6
    icmp, echo_reply, error = (1, 0, 3) if version == 4 else (58, 129, 1)
    for protocol, payload, what, port in (
        (6, tcp(SYN_ACK), "open", 22),
        (6, tcp(RST_ACK), "refused", 22),
        (6, tcp(ACK), "other", 22),
        (17, kit.udp(b"here", 5353, 40000), "udp", 5353),
        (icmp, bytes([echo_reply]) + bytes(7), "ping", 0),
        (icmp, quoting(error, 17, kit.udp(b"", 40000, 161), version), "udp refused", 161),
        (icmp, quoting(error, 6, kit.tcp(source=40000, target=80), version), "refused", 80),
        (icmp, quoting(error, 47, bytes(8), version), "other", 47),
        (icmp, bytes([200]) + bytes(7), "other", icmp),
        (132, bytes(12), "other", 132),
    ):
        assert read(from_guest(protocol, payload, version), OWN) == Answer(address, what, port)
        # What goes to another one, or to all, is no answer to us.
        for to in (kit.LAB, kit.BROADCAST, "33:33:00:00:00:fb"):
            assert read(from_guest(protocol, payload, version, to), OWN) is None


def test_who_tells_his_mac_address_is_seen_and_has_not_answered():
    assert read(kit.arp(2), OWN) == Sighting(kit.GUEST_IP, GUEST)
    advertisement = struct.pack("!BBHI", 136, 0, 0, 0) + kit.ip("2001:db8:76:1::7")
    assert read(from_guest(58, advertisement, 6), OWN) == Sighting("2001:db8:76:1::7", GUEST)
    asks = struct.pack("!BBHI", 135, 0, 0, 0) + kit.ip(SEAT.address6)
    assert read(from_guest(58, asks, 6), OWN) == Sighting(kit.GUEST_IP6, GUEST)
    assert read(from_guest(58, bytes([143]) + bytes(19), 6), OWN) is None


def test_what_is_no_ip_and_comes_to_us_alone_is_an_answer():
    frame = kit.ethernet(b"hello", 0x88CC, target=SEAT.mac)
    assert read(frame, OWN) == Answer("", "other", 0x88CC)


def test_nothing_that_a_machine_sends_is_too_much_for_it():
    random_one = random.Random(7)
    whole = [from_guest(1, quoting(3, 17, kit.udp(b"", 1, 2))), from_guest(58, bytes(40), 6)]
    whole += [from_guest(6, tcp(SYN_ACK)), kit.arp(2)]
    kinds = set()
    for _ in range(5000):
        frame = bytearray(random_one.choice(whole))
        for _ in range(random_one.randrange(4)):
            frame[random_one.randrange(12, len(frame))] = random_one.randrange(256)
        kinds.add(type(read(bytes(frame[: random_one.randrange(14, len(frame) + 1)]), OWN)))
    assert kinds == {Answer, Sighting, type(None)}


def test_the_last_question_has_an_answer_of_its_own():
    asked = arp_question(OWN, "10.0.2.11", kit.GUEST_IP)
    assert asked.ljust(60, b"\0") == kit.arp(1, SEAT.mac, "10.0.2.11", kit.GUEST_IP)
    assert is_arp_answer(kit.arp(2, wanted="10.0.2.11"), "10.0.2.11")
    assert not is_arp_answer(kit.arp(2, wanted="10.0.2.12"), "10.0.2.11")
    assert not is_arp_answer(kit.arp(1, wanted="10.0.2.11"), "10.0.2.11")


def test_what_it_sends_is_whole():
    assert kit.checksum(echo_request(4, 3)) == 0
    assert echo_request(6, 3)[0] == 128
    for source, target in ((SEAT.address, kit.GUEST_IP), (SEAT.link_local, kit.GUEST_IP6)):
        head = opening(source, target, 40000, 22)
        pseudo = kit.ip(source) + kit.ip(target) + struct.pack("!HH", 6, len(head))
        assert kit.checksum(pseudo + head) == 0
        assert struct.unpack_from("!HH", head) == (40000, 22)
        assert head[12] >> 4 == len(head) // 4
    assert made_of(GUEST, "fe80::") == kit.GUEST_IP6
    assert set(QUESTIONS) == {53, 67, 123, 137, 161, 1900, 5353, 5355}


ORDER = Order(("10.76.1.150", "fe80::7"), ("fe80::",), (22,), (53,), ("52:54:00:76:00:01",), 4.0)


def test_an_order_is_read_as_it_was_sent():
    assert Order.read(ORDER.line()) == ORDER


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("addresses", ["10.76.1.1; reboot"], "does not appear to be an IPv4 or IPv6 address"),
        ("addresses", ["10.76.1.1"] * (MOST_ASKED + 1), "no list of at most"),
        ("addresses", None, "no list of at most"),
        ("prefixes", ["10.0.0.0"], "10.0.0.0"),
        ("tcp", [0], "0 is no port"),
        ("tcp", [65536], "65536 is no port"),
        ("udp", ["53"], "'53' is no port"),
        ("ignored", ["52:54"], "no MAC address"),
        ("quiet", 0, "quiet is 0"),
        ("quiet", 1e9, "quiet is"),
        ("quiet", "4", "quiet is '4'"),
    ],
)
def test_an_order_that_is_none_is_refused(key, value, said):
    values = {**json.loads(ORDER.line()), key: value}
    with pytest.raises(ValueError, match=said):
        Order.read(json.dumps(values).encode())


@pytest.mark.parametrize("line", [b"", b"[]", b"7", b"{}", b"no JSON", bytes(LONGEST_ORDER + 1)])
def test_a_line_that_is_no_order_is_refused(line):
    with pytest.raises(ValueError, match=r"."):
        Order.read(line)


class Fake:
    """Answers one order with some bytes."""

    def __init__(self, path, answer):
        self.order = b""
        self._answer = answer
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        line, _ = self._door.accept()
        with line:
            self.order = line.makefile("rb").readline()
            line.sendall(self._answer)

    def close(self):
        self._thread.join(5)
        self._door.close()


def probed(tmp_path, answer, **more):
    fake = Fake(tmp_path / "n", answer)
    try:
        found = Neighbour(SEAT, tmp_path / "n", deadline_scale=2).probe(["10.76.1.150"], **more)
        return Order.read(fake.order), found
    finally:
        fake.close()


def test_the_run_gives_an_order_and_reads_what_came_of_it(tmp_path):
    said = {"seen": ["10.76.1.150"], "answers": [["10.76.1.150", "open", 22]], "complete": False}
    order, found = probed(tmp_path, json.dumps(said).encode(), more_tcp=[31337], ignored=[kit.LAB])
    answer = Answer("10.76.1.150", "open", 22)
    assert found == Probed(frozenset({"10.76.1.150"}), (answer,), False)
    assert order.quiet == 8
    assert order.udp == UDP_PORTS
    assert set(order.tcp) == {*TCP_PORTS, 31337}
    assert set(order.tcp) >= {*range(1, 1025)}
    assert order.prefixes == ("fe80::", "2001:db8:76:1::")
    assert order.ignored == (kit.LAB,)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "in the middle of its answer"),
        (b'{"seen": [], "answers"', "in the middle of its answer"),
        (b'{"seen": [], "answers": [["a", "nice", 1]]}', "nonsense"),
        (b'{"seen": [], "answers": [["a", "open"]]}', "nonsense"),
        (b"[]", "nonsense"),
        (b'{"error": "OSError: no such device"}', "says: OSError: no such device"),
    ],
)
def test_what_is_no_answer_is_trouble_of_the_lab(tmp_path, said, text):
    with pytest.raises(InfrastructureError, match=text):
        probed(tmp_path, said)


def test_a_neighbour_that_is_gone_is_trouble_of_the_lab(tmp_path):
    with pytest.raises(InfrastructureError, match=r"10\.76\.1\.200 is not there"):
        Neighbour(SEAT, tmp_path / "n").probe(["10.76.1.150"])


def test_a_machine_that_ends_meanwhile_ends_the_wait(tmp_path):
    def watch():
        raise InfrastructureError("the machine is gone")

    door = socket.socket(socket.AF_UNIX)
    with door:
        door.bind(str(tmp_path / "n"))
        door.listen(1)
        began = time.monotonic()
        with pytest.raises(InfrastructureError, match="the machine is gone"):
            Neighbour(SEAT, tmp_path / "n").probe(["10.76.1.150"], watches=[watch])
    assert time.monotonic() - began < 60  # not as long as it waits for answers


def test_answers_are_shown_by_address_bounded_and_what_is_open_first():
    answers = [Answer("10.0.0.7", "refused", port) for port in range(1, 1025) if port != 22]
    answers += [Answer("10.0.0.7", "ping"), Answer("10.0.0.7", "open", 22)]
    answers += [Answer("fe80::7", "udp", 5353), Answer("", "other", 0x88CC)]
    assert answers_text(answers) == (
        "  not IP: other answers (35020)\n"
        "  10.0.0.7: TCP open: 22; TCP refuses: 1-21, 23-1024 (1023 ports); answers ping\n"
        "  fe80::7: UDP answers: 5353"
    )
    many = answers_text([Answer(f"10.0.1.{number}", "ping") for number in range(200)])
    assert len(many.splitlines()) == MOST_ADDRESSES + 1
    assert many.endswith(f"... and {200 - MOST_ADDRESSES} more addresses")
    assert ports_text(range(1, 200, 2)).endswith("23, ... (100 ports)")


def packets(*frames):
    return [Packet(number, 0, ETHERNET, data, len(data)) for number, data in enumerate(frames)]


def test_the_addresses_of_a_machine_are_those_it_used_or_asked_for():
    wanted = "2001:db8:76:1::abcd"
    heard = packets(
        kit.arp(),
        kit.solicitation(wanted),
        kit.router_solicitation(),
        kit.ethernet(kit.ipv6(b"", 59, "fe80::1"), 0x86DD, source=kit.LAB),
        kit.ethernet(kit.ipv6(b"", 59, "fd00::1"), 0x86DD),
        kit.solicitation(wanted)[:60],
    )
    found = own_addresses(heard, [kit.LAB], ["fe80::/10", SEAT.network.prefix6])
    assert found == [wanted, kit.GUEST_IP6]


def test_seats_have_addresses_that_no_machine_is_given():
    assert SEAT.address == "10.76.1.200"
    assert SEAT.address6 == "2001:db8:76:1::c8"
    assert SEAT.link_local == made_of(OWN, "fe80::")
    assert Seat(Network(2, "full"), 50).address == "10.76.2.249"
