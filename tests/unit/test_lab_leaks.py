"""Leak checks: each kind of leak must be found in a capture, and a clean one must pass."""

import shutil
import struct
import subprocess

import pytest
from leak_samples import CLEAN, FROM_OTHERS, LEAKS, POLICY, check, policy
from packet_kit import (
    GUEST,
    GUEST_IP,
    LAB,
    REAL,
    RELAY,
    dhcp,
    ethernet,
    ip,
    ipv4,
    mac,
    option,
    pcap,
    probe_request,
    question,
    tcp,
    udp4,
)

from tailstest.lab.leak_finder import LeakFinder
from tailstest.lab.leak_view import report_text
from tailstest.lab.packet import ETHERNET, LINUX_COOKED, LINUX_COOKED_2, WIFI_RADIOTAP, Packet


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


@pytest.mark.parametrize("what", LEAKS)
def test_addresses_are_never_left_out(what):
    """Case C48."""
    frame, _expected = LEAKS[what]
    first = {b"\x08\0": 34, b"\x86\xdd": 54}.get(frame[12:14])
    if first:
        for kept in (len(frame), first):
            finder = LeakFinder(policy())
            finder.feed(Packet(1, 0, ETHERNET, frame[:kept], len(frame)))
            (leak,) = finder.report().leaks
            assert leak.sender == frame[6:12]
            assert leak.source == (frame[26:30] if first == 34 else frame[22:38])
            assert leak.destination == (frame[30:34] if first == 34 else frame[38:54])


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
    spoofed = ethernet(ipv4(tcp(), 6, RELAY, "198.51.100.1"))
    assert not check([spoofed], rules=policy(text)).clean
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


def test_a_name_cannot_forge_lines_of_the_report():
    forged = "pc\nUsual: everything\tis fine"
    text = report_text(check([dhcp(option(12, forged.encode()))]), "x")
    assert "name      pc\\nUsual: everything\\tis fine" in text
    assert not any(line.startswith("Usual: everything") for line in text.splitlines())
