"""Leak checks: each kind of leak must be found in a capture, and a clean one must pass."""

import shutil
import struct
import subprocess
import tomllib
from datetime import UTC, datetime

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packet_kit import (
    BROADCAST,
    GUEST,
    GUEST_IP,
    GUEST_IP6,
    LAB,
    LAB_IP,
    NOON,
    REAL,
    RELAY,
    RESOLVER,
    arp,
    block,
    dhcp,
    dhcp_client_id,
    enhanced,
    ethernet,
    icmp,
    icmp6,
    interface,
    ip,
    ipv4,
    ipv6,
    long_option,
    mac,
    mld_report,
    option,
    pcap,
    pcapng,
    probe_request,
    question,
    rarp,
    router_solicitation,
    section,
    solicitation,
    tcp,
    tcp4,
    udp,
    udp4,
)

from tailstest.core.errors import UsageError
from tailstest.lab.capture_check import LeaksUntilThen, check_capture
from tailstest.lab.leak_finder import MOST_LEAKS, LeakFinder
from tailstest.lab.leak_view import report_json, report_text
from tailstest.lab.packet import ETHERNET, LINUX_COOKED, LINUX_COOKED_2, WIFI_RADIOTAP, Packet
from tailstest.lab.policy import TEMPLATE, Policy

POLICY = f"""
[others]
macs = ["{LAB}"]
[forbidden]
macs = ["{REAL}"]
host_names = ["my-laptop", "pc"]
[[allow]]
title = "relay"
to = ["{RELAY}"]
protocol = "tcp"
ports = [443, "9001-9030"]
[[allow]]
title = "resolver"
to = ["{RESOLVER}"]
protocol = "udp"
ports = [53]
names = ["example.org", "*.example.net"]
"""


def policy(text=POLICY, **more):
    return Policy.model_validate({**tomllib.loads(text), **more})


def check(frames, link=ETHERNET, rules=None, hurry=True):
    finder = LeakFinder(rules or policy(), hurry=hurry)
    for number, frame in enumerate(frames, 1):
        finder.feed(Packet(number, NOON * 10**9 + number, link, frame, len(frame)))
    return finder.report()


CLEAN = [
    rarp(),
    arp(),
    dhcp(dhcp_client_id()),
    dhcp(kind=3),
    router_solicitation(),
    solicitation(),
    solicitation("fe80::1", GUEST_IP6, GUEST),
    mld_report(),
    tcp4(flags=2),
    tcp4(b"\x16\x03\x01" + bytes(range(200))),
    tcp4(b"", port=9007).ljust(60, b"\0"),
    udp4(question("example.org"), 53, RESOLVER),
    udp4(question("a.EXAMPLE.net", "AAAA"), 53, RESOLVER),
]

#: What the others may send without being looked at.
FROM_OTHERS = [
    tcp4(b"answer", source=LAB),
    udp4(question("elsewhere.org"), 5353, "224.0.0.251", source=LAB),
    ethernet(b"anything", 0x88CC, LAB),
]

VLAN = b"\0\7\x08\0" + ipv4(tcp(), 6)
GRE = ipv4(b"\0\0\x08\0" + ipv4(tcp(), 6), 47)
TO_RELAY6 = "2001:db8::7"
EUI64 = "fe80::21b:63ff:feaa:bbcc"


def dhcp_name(name, *, full=False):
    wire = option(81, b"\0\0\0" + name) if full else option(12, name)
    return dhcp(dhcp_client_id(), wire)


def duid(kind, content):
    return option(61, b"\xff\0\0\0\1" + struct.pack("!H", kind) + content)


#: What leaks, to a frame with it, and to what the report must say of it.
LEAKS = {
    "TCP elsewhere": (tcp4(b"x", target="198.51.100.1"), "TCP HTTPS: not allowed"),
    "TCP to another port": (tcp4(b"x", port=80), "TCP HTTP: not allowed"),
    "TCP to the port behind a range": (tcp4(b"x", port=9031), "TCP: not allowed"),
    "UDP to an allowed TCP port": (udp4(b"x", 443), "UDP QUIC: not allowed"),
    "a stray SYN": (tcp4(flags=2, target="198.51.100.1"), "TCP HTTPS: not allowed"),
    "an answer of the machine": (
        ethernet(ipv4(tcp(source=22, target=50000), 6, target=LAB_IP)),
        "TCP SSH: not allowed",
    ),
    "plain DNS": (udp4(question("secret.org"), 53, "8.8.8.8"), "secret.org"),
    "plain DNS over TCP": (
        tcp4(b"\0\x1c" + question("secret.org"), 53, "8.8.8.8"),
        "TCP plain DNS: not allowed",
    ),
    "a name that is not allowed": (
        udp4(question("secret.org"), 53, RESOLVER),
        "asks for a name that the policy does not allow",
    ),
    "a name that looks like an allowed one": (
        udp4(question("badexample.net"), 53, RESOLVER),
        "badexample.net",
    ),
    "a name above an allowed one": (udp4(question("example.net"), 53, RESOLVER), "example.net"),
    "something else to the resolver": (
        udp4(b"not DNS at all", 53, RESOLVER),
        "not understood: a DNS message that cannot be read",
    ),
    "something behind a question": (
        udp4(question("example.org") + b"smuggled", 53, RESOLVER),
        "not understood: a DNS message that cannot be read",
    ),
    "a DNS answer": (
        udp4(question("example.org").replace(b"\1\0", b"\x81\0", 1), 53, RESOLVER),
        "a DNS message that",
    ),
    "mDNS": (
        udp4(question("my-laptop.local"), 5353, "224.0.0.251", 5353),
        "UDP mDNS: it tells the real host name my-laptop",
    ),
    "mDNS for another name": (
        udp4(question("printer.local"), 5353, "224.0.0.251"),
        "printer.local",
    ),
    "LLMNR": (udp4(question("wpad"), 5355, "224.0.0.252"), "UDP LLMNR: not allowed"),
    "SSDP": (udp4(b"M-SEARCH * HTTP/1.1", 1900, "239.255.255.250"), "UDP SSDP: not allowed"),
    "NTP": (udp4(b"\x23" + bytes(47), 123, "198.51.100.9"), "UDP NTP: not allowed"),
    "NetBIOS": (udp4(b"x", 137, "10.0.2.255"), "UDP NetBIOS name: not allowed"),
    "ping": (ethernet(ipv4(icmp(), 1, target="8.8.8.8")), "ICMP echo request: not allowed"),
    "ping to a relay": (ethernet(ipv4(icmp(), 1)), "ICMP echo request: not allowed"),
    "IGMP": (
        ethernet(ipv4(b"\x22" + bytes(15), 2, target="224.0.0.22", options=b"\x94\4\0\0")),
        "not understood: IP protocol 2 (IGMP)",
    ),
    "IPv4 options": (
        ethernet(ipv4(tcp(), 6, options=b"\x94\4\0\0")),
        "not understood: IPv4 options",
    ),
    "a first fragment": (
        ethernet(ipv4(tcp(), 6, fragment=0x2000)),
        "not understood: a fragment of an IPv4 packet",
    ),
    "a later fragment": (ethernet(ipv4(b"\0" * 40, 6, fragment=0x0010)), "a fragment"),
    "a reserved flag": (ethernet(ipv4(tcp(), 6, fragment=0x8000)), "a reserved flag"),
    "bytes behind a packet": (tcp4(b"") + b"leak", "4 bytes behind the end of the packet"),
    "too much padding": (tcp4(b"x" * 20) + bytes(20), "20 bytes behind the end"),
    "UDP that is shorter than it says": (
        ethernet(ipv4(udp(b"example", 40000, 53)[:-3], 17, target=RESOLVER)),
        "UDP that says 15 bytes and has 12",
    ),
    "UDP with bytes behind it": (
        ethernet(ipv4(udp(question("example.org"), 40000, 53) + b"x", 17, target=RESOLVER)),
        "UDP that says",
    ),
    "half a TCP header": (ethernet(ipv4(tcp()[:12], 6)), "too short for its TCP header"),
    "a TCP header that is too long": (
        ethernet(ipv4(tcp()[:12] + b"\xf0" + tcp()[13:], 6)),
        "a TCP header that is too short or too long",
    ),
    "SCTP": (ethernet(ipv4(bytes(12), 132)), "IP protocol 132 (SCTP)"),
    "GRE": (ethernet(GRE), "IP protocol 47 (GRE tunnel)"),
    "IPv4 in IPv4": (ethernet(ipv4(ipv4(tcp(), 6), 4)), "IPv4 inside IPv4 (a tunnel)"),
    "IPv6 in IPv4": (ethernet(ipv4(ipv6(tcp(), 6), 41)), "IPv6 inside IPv4 (a tunnel)"),
    "IPv4 in IPv6": (
        ethernet(ipv6(ipv4(tcp(), 6), 4, target=TO_RELAY6), 0x86DD),
        "IPv4 inside IPv6 (a tunnel)",
    ),
    "IPv6 in IPv6": (
        ethernet(ipv6(ipv6(tcp(), 6), 41, target=TO_RELAY6), 0x86DD),
        "IPv6 inside IPv6 (a tunnel)",
    ),
    "Teredo": (udp4(ipv6(b"", 59), 3544), "UDP Teredo tunnel: not allowed"),
    "TCP over IPv6": (ethernet(ipv6(tcp(), 6, target=TO_RELAY6), 0x86DD), "TCP HTTPS: not allowed"),
    "ping over IPv6": (
        ethernet(ipv6(icmp6(b"\x80" + bytes(11)), 58), 0x86DD),
        "ICMPv6 echo request: not allowed",
    ),
    "IPv6 extension headers without ports": (
        ethernet(ipv6(b"\x06\0\1\4\0\0\0\0" + tcp(), 60, target=TO_RELAY6), 0x86DD),
        "IP protocol 60 (IPv6 destination options)",
    ),
    "an IPv6 fragment": (
        ethernet(ipv6(b"\x11\0\0\1\0\0\0\0" + b"x" * 16, 44, target=TO_RELAY6), 0x86DD),
        "IP protocol 44 (IPv6 fragment)",
    ),
    "a router advertisement": (
        ethernet(ipv6(icmp6(b"\x86" + bytes(15)), 58), 0x86DD),
        "ICMPv6 router advertisement: not allowed",
    ),
    "neighbour discovery that leaves the link": (
        solicitation("2001:db8::9", GUEST_IP6, GUEST, to="2001:db8::9"),
        "ICMPv6 neighbour solicitation: not allowed",
    ),
    "neighbour discovery that was routed": (
        ethernet(ipv6(icmp6(b"\x85" + bytes(7)), 58, hops=64), 0x86DD),
        "ICMPv6 router solicitation: not allowed",
    ),
    "neighbour discovery with an unknown option": (
        ethernet(ipv6(icmp6(b"\x85" + bytes(7) + b"\x63\1secret"), 58), 0x86DD),
        "with option 99",
    ),
    "neighbour discovery with bytes to spare": (
        ethernet(ipv6(icmp6(b"\x85\0\0\0data"), 58), 0x86DD),
        "something in its reserved bytes",
    ),
    "the group of mDNS": (mld_report("ff02::fb"), "MLDv2 report for the group ff02::fb"),
    "DHCPv6": (
        ethernet(ipv6(udp(b"\1\0\0\7", 546, 547), 17, target="ff02::1:2"), 0x86DD),
        "UDP DHCPv6: not allowed",
    ),
    "DHCP to a server far away": (
        dhcp(dhcp_client_id(), target="198.51.100.1", address=GUEST_IP),
        "UDP DHCP: not allowed",
    ),
    "the host name in DHCP": (dhcp_name(b"my-laptop"), "it tells the real host name my-laptop"),
    "any host name in DHCP": (dhcp_name(b"amnesia"), "DHCP that tells a host name"),
    "a short host name in DHCP": (dhcp_name(b"pc"), "it tells the real host name pc"),
    "the full name in DHCP": (dhcp_name(b"pc.lan", full=True), "it tells the real host name pc"),
    "the full name in DHCP, in labels": (
        dhcp(option(81, b"\4\0\0\2pc\3lan\0")),
        "it tells the real host name pc",
    ),
    "the real MAC as sender": (tcp4(source=REAL), "it tells the real MAC address"),
    "the real MAC in ARP": (arp(inside=REAL), "it tells the real MAC address"),
    "the real MAC in DHCP": (dhcp(hardware=REAL, sender=GUEST), "it tells the real MAC address"),
    "the real MAC as client id": (dhcp(dhcp_client_id(REAL)), "it tells the real MAC address"),
    "the real MAC in a DUID": (
        dhcp(duid(3, b"\0\1" + mac(REAL))),
        "it tells the real MAC address",
    ),
    "the real MAC in an IPv6 address": (
        solicitation("fe80::1", EUI64, GUEST),
        "inside an IPv6 address (EUI-64)",
    ),
    "the end of the real MAC in a group": (
        mld_report("ff02::1:ffaa:bbcc"),
        "the end of it in an IPv6 group",
    ),
    "the real MAC as text to a relay": (
        tcp4(b"mac=" + REAL.upper().encode()),
        "it tells the real MAC address 00:1b:63:aa:bb:cc, as text",
    ),
    "the real MAC as IPv6 text to a relay": (tcp4(EUI64.encode()), "as text"),
    "the host name to a relay": (tcp4(b"Host: MY-Laptop"), "the real host name my-laptop"),
    "the host name as UTF-16": (tcp4("My-Laptop".encode("utf-16-le")), "as UTF-16"),
    "another MAC in ARP": (arp(inside=BROADCAST), "not understood: ARP that tells another MAC"),
    "another MAC in DHCP": (dhcp(sender=GUEST, hardware="02:00:00:00:00:07"), "another MAC"),
    "a client id of the system": (dhcp(duid(2, b"\0\0\xab\x11" + b"m" * 8)), "with a client id"),
    "an unknown option of DHCP": (dhcp(option(43, b"secret")), "DHCP with option 43"),
    "bytes behind the options of DHCP": (
        udp4(dhcp()[42:] + b"secret", 67, "255.255.255.255", 68, address="0.0.0.0"),
        "something behind its last option",
    ),
    "RARP with an address": (
        arp(3, kind=0x8035),
        "RARP that tells an IP address",
    ),
    "ARP with data behind it": (arp()[:42] + b"secret", "6 bytes behind the end"),
    "LLDP": (ethernet(b"\2\7\4" + mac(GUEST), 0x88CC), "Ethernet type 0x88cc (LLDP)"),
    "spanning tree": (ethernet(b"\x42\x42\3" + bytes(43), 0x26), "IEEE 802.3"),
    "an unknown type": (ethernet(b"?" * 46, 0x1234), "Ethernet type 0x1234"),
    "a VLAN tag": (ethernet(VLAN, 0x8100), "Ethernet type 0x8100 (VLAN tag)"),
    "half an Ethernet header": (mac(LAB) + mac(GUEST), "too short for its Ethernet header"),
    "nothing at all": (b"", "too short for its Ethernet header"),
}


def test_a_clean_capture_passes():
    report = check(CLEAN + FROM_OTHERS)
    assert [leak.reason for leak in report.leaks] == []
    assert report.clean
    assert (report.packets, report.of_machine) == (len(CLEAN) + 3, len(CLEAN))
    assert report.usual == {"ARP": 1, "DHCP": 2, "neighbour discovery": 4}
    assert report.ignored == {"RARP": 1}
    assert [rule.packets for rule in report.rules] == [3, 2]
    text = report_text(report, "a.pcap")
    assert "a.pcap: clean" in text
    assert "Ignored: RARP (1)" in text
    assert "Allowed: relay (3): TCP to 203.0.113.7, port 443, 9001-9030" in text


@pytest.mark.parametrize("what", LEAKS)
def test_each_kind_of_leak_is_found(what):
    frame, expected = LEAKS[what]
    report = check([*CLEAN, *FROM_OTHERS, frame, *CLEAN])
    assert not report.clean
    assert [(leak.number, leak.packets) for leak in report.leaks] == [(len(CLEAN) + 4, 1)]
    assert expected in report_text(report, "a.pcap")
    slow = check([*CLEAN, *FROM_OTHERS, frame, *CLEAN], hurry=False)
    assert slow == report


@pytest.mark.parametrize("what", LEAKS)
def test_what_another_sends_does_not_count(what):
    frame, _expected = LEAKS[what]
    if len(frame) >= 14:
        report = check([*CLEAN, frame[:6] + mac(LAB) + frame[12:]])
        assert report.clean
        assert report.of_machine == len(CLEAN)


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
def test_tcpdump_sees_in_the_packets_what_they_are_meant_to_be(tmp_path):
    def dump(frames):
        path = pcap(tmp_path / "a.pcap", frames)
        command = ["tcpdump", "-tnvvv", "-r", str(path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    clean = dump(CLEAN)
    for wrong in ("malformed", "bad cksum", "bad icmp6", "truncated", "[|", "invalid"):
        assert wrong not in clean
    for right in (
        "Reverse Request who-is 52:54:00:12:34:56",
        "Request who-has 10.0.2.2 tell 10.0.2.15",
        "BOOTP/DHCP, Request from 52:54:00:12:34:56",
        "router solicitation",
        "neighbor solicitation, length 24, who has fe80::5054:ff:fe12:3456",
        "multicast listener report v2, 1 group record(s)",
        "10.0.2.15.40000 > 203.0.113.7.443: Flags [S]",
        "A? example.org.",
    ):
        assert right in clean
    for what, right in (
        ("mDNS", "my-laptop.local."),
        ("IGMP", "igmp v3 report"),
        ("IPv4 in IPv6", "10.0.2.15.40000 > 203.0.113.7.443"),
        ("IPv6 in IPv4", "fe80::5054:ff:fe12:3456"),
        ("a first fragment", "flags [+]"),
        ("an IPv6 fragment", "frag"),
        ("the host name in DHCP", 'Hostname (12), length 9: "my-laptop"'),
        ("the full name in DHCP", "FQDN (81)"),
        ("LLDP", "LLDP"),
        ("NTP", "NTPv4, Client"),
    ):
        assert right in dump([LEAKS[what][0]]), what


@pytest.mark.parametrize("place", range(len(CLEAN)))
def test_a_packet_that_was_cut_off_when_recorded_is_a_leak(tmp_path, place):
    frame = CLEAN[place]
    path = pcap(tmp_path / "a.pcap", [*CLEAN, frame], keep=len(frame) - 1)
    report = check_capture(path, policy())
    cut = [leak for leak in report.leaks if leak.reason.startswith("not understood: cut off")]
    assert cut
    assert f"only {len(frame) - 1} of {len(frame)} bytes" in report_text(report, "x")


@given(st.binary(max_size=200), st.sampled_from([1, 101, 105, 113, 127, 276, 0, 147]))
def test_random_bytes_never_break_it_and_are_never_clean(data, link):
    report = check([data], link=link)
    assert not report.clean
    assert report_text(report, "x").replace("\n", "").isprintable()
    assert report_json(report, "x")["leaks"]


HEADS = [b"", *(frame[:size] for frame in CLEAN for size in (14, 20, 24, 34, 38, 42, 54, 62))]


@given(st.sampled_from(HEADS), st.binary(max_size=120))
def test_random_bytes_behind_real_headers_are_judged_alike_on_both_ways(head, data):
    frame = head + data
    quick = check([*CLEAN, frame])
    assert quick == check([*CLEAN, frame], hurry=False)


@given(st.sampled_from([*CLEAN, *(frame for frame, _ in LEAKS.values())]), st.data())
@settings(max_examples=300)
def test_changed_packets_never_break_it(frame, data):
    changed = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    quick = check([*CLEAN, bytes(changed)])
    assert quick == check([*CLEAN, bytes(changed)], hurry=False)
    assert quick.packets == len(CLEAN) + 1


@given(st.sampled_from(CLEAN), st.binary(min_size=1, max_size=30).filter(any))
def test_something_behind_an_allowed_packet_is_never_clean(frame, more):
    assert not check([frame + more]).clean


@given(st.integers(1, 60))
def test_an_allowed_packet_that_lost_its_end_is_never_clean(cut):
    for frame in CLEAN:
        lost = frame[: len(frame) - cut]
        # Only the zeros that fill up a frame may be missing.
        if any(frame[len(lost) :]) or len(lost) < 42:
            assert not check([lost]).clean


def test_cooked_and_raw_captures_are_understood():
    packet = ipv4(tcp(b"x"), 6)
    elsewhere = ipv4(tcp(b"x"), 6, target="198.51.100.1")
    answer = ipv4(tcp(b"x", 443, 40000), 6, RELAY, GUEST_IP)

    def cooked(body, who=GUEST):
        return struct.pack("!HHH", 4, 1, 6) + mac(who) + b"\0\0\x08\0" + body

    def cooked2(body, who=GUEST):
        return struct.pack("!HHIHBB", 0x0800, 0, 2, 1, 4, 6) + mac(who) + b"\0\0" + body

    for link, wrap in ((LINUX_COOKED, cooked), (LINUX_COOKED_2, cooked2)):
        assert check([wrap(packet), wrap(answer, LAB)], link).clean
        (leak,) = check([wrap(elsewhere), wrap(answer, LAB)], link).leaks
        assert (leak.sender, leak.destination) == (mac(GUEST), ip("198.51.100.1"))
    text = POLICY.replace("[others]", f'[others]\naddresses = ["{RELAY}"]')
    for link in (12, 101, 228):
        assert check([packet, answer], link, policy(text)).clean
        assert [leak.number for leak in check([packet, elsewhere], link).leaks] == [2]
        assert [leak.number for leak in check([packet, answer], link).leaks] == [2]


def test_a_wifi_probe_is_a_leak_that_names_its_sender_and_network():
    (leak,) = check([probe_request()], WIFI_RADIOTAP).leaks
    assert (leak.sender, leak.names) == (mac(REAL), ["Home"])
    assert leak.protocol == "Wi-Fi probe request"
    (leak,) = check([probe_request(b"\x1b[2JHome", GUEST)], WIFI_RADIOTAP).leaks
    assert leak.reason == "not understood: a Wi-Fi probe request"
    assert leak.names == ["Home"]
    assert check([probe_request(sender=LAB)], WIFI_RADIOTAP).clean


def test_an_unknown_link_is_a_leak():
    (leak,) = check([bytes(64)], 147).leaks
    assert "a capture of link type 147" in leak.reason


def test_strings_out_of_packets_cannot_harm_a_terminal():
    evil = udp4(question(r"\027[31mred\010.example"), 5353, "224.0.0.251")
    evil2 = dhcp(option(12, "a\x1b]0;title\x07b\u202ec\n".encode()))
    text = report_text(check([evil, evil2]), "x")
    assert "red" in text and "a" in text
    assert not any(ord(letter) < 32 and letter != "\n" for letter in text)
    assert "\u202e" not in text and "\x1b" not in text


def test_exceptions_are_exact_and_those_without_use_are_named():
    """Case C48."""
    exception = {"title": "printer", "to": ["192.168.1.5"], "protocol": "tcp", "ports": [443]}
    frame = tcp4(b"x", target="192.168.1.5")
    assert not check([frame]).clean
    report = check([frame], rules=policy(allow=[exception]))
    assert report.clean
    assert "Allowed: printer (1): TCP to 192.168.1.5, port 443" in report_text(report, "x")
    for other in (tcp4(b"x", target="192.168.1.6"), tcp4(b"x", 444, "192.168.1.5")):
        assert not check([other], rules=policy(allow=[exception])).clean
    report = check([arp()], rules=policy(allow=[exception]))
    assert "Warning: no packet needed the rule printer: TCP to 192.168.1.5" in report_text(
        report, "x"
    )


def test_known_harmless_frames_can_be_ignored_and_are_counted():
    """Case C48."""
    frame, _expected = LEAKS["LLDP"]
    entry = {"title": "LLDP", "ether_type": 0x88CC, "to": "01:80:c2:00:00:0e"}
    lldp = mac("01:80:c2:00:00:0e") + frame[6:]
    report = check([lldp, lldp, rarp(), arp()], rules=policy(ignore=[entry]))
    assert report.clean
    assert "Ignored: LLDP (2), RARP (1)" in report_text(report, "x")
    assert not check([frame], rules=policy(ignore=[entry])).clean


def test_dhcp_servers_names_and_client_ids_can_be_allowed():
    usual = {
        "dhcp_servers": [LAB_IP],
        "dhcp_host_names": ["Amnesia"],
        "dhcp_client_id": "any",
    }
    told = dhcp(duid(2, b"anything"), option(12, b"amnesia"), target=LAB_IP, address=GUEST_IP)
    assert check([told], rules=policy(usual=usual)).clean
    for key in usual:
        fewer = {name: value for name, value in usual.items() if name != key}
        assert not check([told], rules=policy(usual=fewer)).clean, key


def test_what_is_usual_can_be_forbidden():
    for frame, key in (
        (arp(), "arp"),
        (rarp(), "rarp"),
        (dhcp(), "dhcp"),
        (solicitation(), "neighbour_discovery"),
    ):
        assert check([frame]).clean
        assert not check([frame], rules=policy(usual={key: False})).clean


def test_dhcp6_can_be_allowed_and_is_read():
    def dhcp6(options):
        message = udp(b"\1\0\0\7" + options, 546, 547)
        return ethernet(ipv6(message, 17, target="ff02::1:2"), 0x86DD)

    rules = policy(usual={"dhcp6": True})
    own = b"\0\1\0\x0a\0\3\0\1" + mac(GUEST) + b"\0\6\0\2\0\x17"
    assert check([dhcp6(own)], rules=rules).clean
    for options, expected in (
        (own.replace(b"\0\3\0\1", b"\0\2\0\1"), "client id that is not made of"),
        (own + b"\0\x27\0\5\0\3abc", "DHCP that tells a host name"),
        (own + b"\0\x27\0\4\0\2pc", "the real host name pc"),
        (own + b"\0\x63\0\1x", "DHCPv6 with option 99"),
        (own + b"\0\6\0\x20x", "an option that is cut off"),
        (own.replace(mac(GUEST), mac(REAL)), "the real MAC address"),
    ):
        assert expected in report_text(check([dhcp6(options)], rules=rules), "x")


def test_only_named_senders_are_allowed():
    stranger = "02:00:00:00:00:99"
    rules = policy(machine={"macs": [GUEST]})
    assert check(CLEAN, rules=rules).clean
    (leak,) = check([*CLEAN, tcp4(source=stranger)], rules=rules).leaks
    assert leak.reason == f"its sender is {stranger}, which the policy does not know"
    relay = {"title": "r", "to": [RELAY], "protocol": "tcp", "ports": [443], "macs": [GUEST]}
    assert check([tcp4()], rules=policy(allow=[relay])).clean
    assert not check([tcp4(), tcp4(source=stranger)], rules=policy(allow=[relay])).clean


def test_nothing_may_be_sent_before_a_time(tmp_path):
    def until(seconds):
        return policy(nothing_before=datetime.fromtimestamp(NOON + seconds, UTC))

    path = pcap(tmp_path / "a.pcap", [tcp4(), tcp4(), arp()], gap=10**9)
    assert check_capture(path, until(0)).clean
    (leak,) = check_capture(path, until(2)).leaks
    assert leak.packets == 2
    assert leak.reason == "it was sent before anything was allowed"
    assert len(check_capture(path, until(3)).leaks) == 2
    timeless = tmp_path / "b.pcapng"
    timeless.write_bytes(section() + interface() + block(3, struct.pack("<I", 60) + arp()))
    (leak,) = check_capture(timeless, until(0)).leaks
    assert "it has no time" in leak.reason
    assert check_capture(timeless, policy()).clean


def test_a_capture_that_recorded_nothing_proves_nothing(tmp_path):
    empty = pcap(tmp_path / "empty.pcap", [])
    others = pcapng(tmp_path / "others.pcapng", FROM_OTHERS)
    with pytest.raises(UsageError, match="no packets at all, but the policy expects at least 1"):
        check_capture(empty, policy())
    with pytest.raises(UsageError, match="none of the 3 packets is of the machine"):
        check_capture(others, policy())
    for path in (empty, others):
        assert check_capture(path, policy(expect_packets=0)).clean
    few = pcap(tmp_path / "few.pcap", CLEAN)
    with pytest.raises(UsageError, match=f"only {len(CLEAN)} of the {len(CLEAN)} packets are"):
        check_capture(few, policy(expect_packets=100))


def test_a_capture_that_lost_packets_proves_nothing_but_leaks(tmp_path):
    lost = block(5, struct.pack("<III", 0, 0, 0) + long_option(5, struct.pack("<Q", 3)))
    path = tmp_path / "a.pcapng"
    path.write_bytes(section() + interface() + enhanced(arp(), 1) + lost)
    with pytest.raises(UsageError, match="lost 3 packets"):
        check_capture(path, policy())
    path.write_bytes(section() + interface() + enhanced(LEAKS["NTP"][0], 1) + lost)
    report = check_capture(path, policy())
    assert "lost 3 packets" in report_text(report, "x")


def test_leaks_in_front_of_damage_are_not_forgotten(tmp_path):
    path = pcap(tmp_path / "a.pcap", [*CLEAN, LEAKS["NTP"][0], arp()])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(LeaksUntilThen, match="damaged at byte") as caught:
        check_capture(path, policy())
    assert [leak.protocol for leak in caught.value.report.leaks] == ["UDP NTP"]


def test_very_many_conversations_are_bounded_and_still_a_leak():
    finder = LeakFinder(policy())
    for number in range(MOST_LEAKS + 50):
        frame = tcp4(target=f"198.{number >> 14 & 63}.{number >> 7 & 127}.{number & 127}")
        finder.feed(Packet(number + 1, None, ETHERNET, frame, len(frame)))
    report = finder.report()
    assert (len(report.leaks), report.unlisted) == (MOST_LEAKS, 50)
    assert not report.clean
    text = report_text(report, "x")
    assert "50 packets leaked in conversations beyond the first 10000" in text
    assert f"{MOST_LEAKS - 50} more are not shown" in text


def test_a_report_names_each_conversation_with_all_that_is_known():
    frame = udp4(question("secret.org"), 53, "8.8.8.8")
    (leak,) = report_json(check([arp(), frame, frame]), "a.pcap")["leaks"]
    assert leak == {
        "reason": "not allowed by the policy",
        "protocol": "UDP plain DNS",
        "packet": 2,
        "time": "2026-01-31 12:00:00.000000 UTC",
        "sender": GUEST,
        "receiver": LAB,
        "source": GUEST_IP,
        "destination": "8.8.8.8",
        "source_port": 40000,
        "destination_port": 53,
        "names": ["secret.org"],
        "more_names": False,
        "packets": 2,
        "bytes": 2 * len(frame),
        "first_bytes": frame[42:74].hex(),
    }


def test_the_template_is_a_policy_and_strict():
    template = Policy.model_validate(tomllib.loads(TEMPLATE.read_text()))
    assert template == Policy()
    assert check([arp(), dhcp(dhcp_client_id())], rules=template).clean
    assert not check([tcp4()], rules=template).clean
    whole = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and ("=" in line or "[[" in line) else line
        for line in TEMPLATE.read_text().splitlines()
    )
    assert len(Policy.model_validate(tomllib.loads(whole)).allow) == 2


def asked(**changes):
    """Return a question for an allowed name, changed in one way."""
    message = dns.message.make_query("example.org", "A", use_edns=0)
    for name, value in changes.items():
        if name == "options":
            message.use_edns(0, options=value)
        elif name == "copy":
            message.question.append(message.question[0].copy())
        elif name == "answer":
            message.answer.append(dns.rrset.from_text("example.org.", 1, "IN", "TXT", "data"))
        else:
            setattr(message, name, value)
    return udp4(message.to_wire(), 53, RESOLVER)


def test_a_question_may_carry_nothing_but_what_a_resolver_needs():
    cookie, padding = dns.edns.CookieOption(b"12345678", b""), dns.edns.GenericOption(12, bytes(9))
    for frame in (asked(), asked(options=[cookie, padding]), asked(ednsflags=0x8000)):
        assert check([frame]).clean
    for frame, expected in (
        (asked(options=[dns.edns.GenericOption(12, b"secret")]), "the option 12"),
        (asked(options=[dns.edns.ECSOption("198.51.100.0")]), "the option 8"),
        (asked(flags=dns.flags.QR), "no plain question"),
        (asked(flags=dns.flags.TC), "no plain question"),
        (asked(flags=0x0003), "no plain question"),
        (asked(flags=dns.opcode.to_flags(dns.opcode.NOTIFY)), "no plain question"),
        (asked(ednsflags=0x10000), "no plain question"),
        (asked(ednsflags=0x0001), "no plain question"),
        (asked(answer=True), "more than one name"),
        (asked(copy=True), "more than one name"),
        (udp4(dns.message.make_query("example.org", "A", "CH").to_wire(), 53, RESOLVER), "class"),
    ):
        (leak,) = check([frame]).leaks
        assert expected in leak.reason


def test_a_rule_without_names_still_allows_what_one_with_names_does_not():
    rules = policy(
        allow=[
            {"title": "a", "to": [RESOLVER], "protocol": "udp", "ports": [53], "names": ["a.org"]},
            {"title": "b", "to": ["10.0.2.0/24"], "protocol": "udp", "ports": ["50-60"]},
        ]
    )
    frames = [udp4(b"no DNS", 53, RESOLVER), *[udp4(question("a.org"), 53, RESOLVER)] * 2]
    report = check(frames, rules=rules)
    assert [rule.packets for rule in report.rules] == [2, 1]
    assert report == check(frames, rules=rules, hurry=False)


def test_a_name_cannot_forge_lines_of_the_report():
    forged = "pc\nUsual: everything\tis fine"
    text = report_text(check([dhcp(option(12, forged.encode()))]), "x")
    assert "name      pc\\nUsual: everything\\tis fine" in text
    assert not any(line.startswith("Usual: everything") for line in text.splitlines())


def test_each_form_of_a_forbidden_name_is_found_in_allowed_packets():
    rules = policy(forbidden={"host_names": ["Secret-PC.example"], "macs": ["00:1b:63:00:00:05"]})
    for body in (
        b"x secret-pc.EXAMPLE y",
        b"\x09secret-PC\x07example\0",
        "SECRET-pc.example".encode("utf-16-le"),
        b"00:1B:63:00:00:05",
        b"00-1b-63-00-00-05",
        b"001b63000005",
        b"001b.6300.0005",
        b"fe80::21b:63ff:fe00:5",
        bytes.fromhex("001b63000005"),
        bytes.fromhex("021b63fffe000005"),
        bytes.fromhex("001b63fffe000005"),
    ):
        assert check([tcp4(b"--" + body + b"--")], rules=policy()).clean
        (leak,) = check([tcp4(b"--" + body + b"--")], rules=rules).leaks
        assert leak.reason.startswith("it tells the real ")
        quick = check([tcp4(), tcp4(b"--" + body + b"--")], rules=rules)
        assert [leak.number for leak in quick.leaks] == [2]
