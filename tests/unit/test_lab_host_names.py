"""A name of the computer is found wherever it is told, short names too, and no other one is."""

import dns.flags
import dns.message
import dns.rrset
import pytest
from leak_samples import check, policy
from packet_kit import (
    GUEST_IP,
    LAB_IP,
    RELAY,
    arp,
    block,
    dhcp,
    enhanced,
    ethernet,
    interface,
    ipv6,
    long_option,
    option,
    pcap,
    question,
    section,
    tcp4,
    udp,
    udp4,
)
from scapy.layers.netbios import NBNSRegistrationRequest, NBTDatagram
from scapy.packet import Raw

from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.conversations import Conversations
from tailstest.lab.dhcp import told_names
from tailstest.lab.sent_check import told


def dhcp6(options):
    return ethernet(ipv6(udp(b"\1\0\0\7" + options, 546, 547), 17, target="ff02::1:2"), 0x86DD)


def announced(*records):
    """Return what a responder of mDNS announces."""
    message = dns.message.Message(id=0)
    message.flags = dns.flags.QR | dns.flags.AA
    message.answer = [dns.rrset.from_text(name, 120, "IN", *rest) for name, *rest in records]
    return udp4(message.to_wire(), 5353, "224.0.0.251", 5353)


def netbios(message, port):
    return udp4(bytes(message), port, "10.0.2.255", port)


#: Where the name "box" is told.
TOLD = {
    "DHCP, option 12": dhcp(option(12, b"BOX")),
    "DHCP, option 81": dhcp(option(81, b"\0\0\0box.lan")),
    "DHCP, option 81 in labels": dhcp(option(81, b"\4\0\0\3Box\3lan\0")),
    "DHCP, a client id of text": dhcp(option(61, b"\0box")),
    "DHCP, a client id without a type": dhcp(option(61, b"box")),
    "DHCP, a vendor's option": dhcp(option(43, b"\1\3box")),
    "DHCP, in front of another option": dhcp(option(12, b"box"), option(50, b"\x0a\0\2\x0f")),
    "DHCP, behind one that nobody knows": dhcp(option(97, bytes(17)), option(12, b"box")),
    "DHCP, in the place of a server's name": udp4(
        dhcp()[42:86] + b"box".ljust(64, b"\0") + dhcp()[150:], 67, source_port=68
    ),
    "DHCP, behind the last option": udp4(dhcp()[42:] + b"box", 67, source_port=68),
    "DHCP, in an option that is cut off": udp4(dhcp()[42:-1] + b"\x0c\x09box", 67, source_port=68),
    "DHCP to the router, to renew": dhcp(option(12, b"box"), target=LAB_IP, address=GUEST_IP),
    "DHCPv6": dhcp6(b"\0\x27\0\5\0\3box"),
    "DHCPv6, the whole name": dhcp6(b"\0\x27\0\x0a\0\3box\3lan\0"),
    "DHCPv6, behind an option that nobody knows": dhcp6(b"\0\x63\0\1x\0\x27\0\5\0\3box"),
    "DHCPv6, in what is cut off": dhcp6(b"\0\x27\0\x20\0\3box"),
    "a question of DNS": udp4(question("box.lan"), 53, "10.0.2.3"),
    "a question of DNS over TCP": tcp4(b"\0\x19" + question("box.lan"), 53, "10.0.2.3"),
    "an answer of mDNS to one who asked from another port": udp4(
        question("box.local"), 40000, "10.0.2.9", 5353
    ),
    "mDNS": announced(("box.local.", "A", "10.0.2.15")),
    "mDNS, what a name leads to": announced(("15.2.0.10.in-addr.arpa.", "PTR", "box.local.")),
    "mDNS, in the name of a service": announced(
        (r"box\032[52:54:00:12:34:56]._workstation._tcp.local.", "SRV", "0 0 9 other.local.")
    ),
    "mDNS, behind many others": announced(
        *((f"printer-{number}.local.", "A", "10.0.2.15") for number in range(40)),
        ("box.local.", "A", "10.0.2.15"),
    ),
    "mDNS that cannot be read": udp4(bytes(12) + b"\3box\5local\0 what?", 5353, "224.0.0.251"),
    "LLMNR": udp4(question("box"), 5355, "224.0.0.252"),
    "LLMNR over TCP": tcp4(b"\0\x15" + question("box"), 5355, "10.0.2.9"),
    "NetBIOS": netbios(NBNSRegistrationRequest(QUESTION_NAME=b"BOX"), 137),
    "a datagram of NetBIOS": netbios(NBTDatagram(SourceName=b"BOX") / Raw(b"\xffSMB"), 138),
    "an announcement in one": netbios(
        NBTDatagram(SourceName=b"OTHER") / Raw(b"\xffSMB%\0BOX\0\0"), 138
    ),
}

#: Messages of the same protocols in which it is not told.
NOT_TOLD = {
    "DHCP": dhcp(option(12, b"boxer"), option(60, b"sand-box"), option(61, b"\0mailbox")),
    "DHCP with numbers": dhcp(option(50, b"box."), option(54, b".box")),
    "DHCPv6": dhcp6(b"\0\x27\0\7\0\5boxes"),
    "DNS": udp4(question("boxes.my-box.lan"), 53, "10.0.2.3"),
    "mDNS": announced(("inbox.local.", "A", "10.0.2.15")),
    "NetBIOS": netbios(NBNSRegistrationRequest(QUESTION_NAME=b"BOXER"), 137),
    "a page": tcp4(b"Host: box", 80),
}


@pytest.mark.parametrize("where", TOLD)
def test_a_short_name_is_found_where_names_are_told(tmp_path, where):
    rules = policy(forbidden={"host_names": ["Box"]}, allow=[])
    capture = CaptureFile(pcap(tmp_path / "a.pcap", [arp(), TOLD[where], arp()]))
    (leak,) = told([capture], rules).leaks
    assert (leak.number, leak.reason) == (2, "it tells the real host name box")
    (leak,) = check([arp(), TOLD[where]], rules=rules).leaks
    assert leak.reason == "it tells the real host name box"


@pytest.mark.parametrize("where", NOT_TOLD)
def test_a_name_that_only_looks_like_it_is_none(tmp_path, where):
    capture = CaptureFile(pcap(tmp_path / "a.pcap", [NOT_TOLD[where]]))
    assert told([capture], policy(forbidden={"host_names": ["box"]})).clean


@pytest.mark.parametrize("port", [53, 67, 137, 138, 5353, 5355])
def test_no_rule_lets_a_short_name_through(port):
    rule = {"title": "all", "to": ["0.0.0.0/0"], "protocol": "udp", "ports": ["1-65535"]}
    names = {"forbidden": {"host_names": ["box"]}, "usual": {"dhcp": False}, "allow": [rule]}
    (where,) = (
        frame
        for frame in (
            TOLD["a question of DNS"],
            TOLD["DHCP, option 12"],
            TOLD["NetBIOS"],
            TOLD["a datagram of NetBIOS"],
            TOLD["mDNS"],
            TOLD["LLMNR"],
        )
        if int.from_bytes(frame[36:38], "big") == port
    )
    plain = udp4(b"nothing", port, "224.0.0.251", port)
    assert check([plain], rules=policy(**names)).clean
    report = check([plain, where, where], rules=policy(**names))
    assert [leak.packets for leak in report.leaks] == [2]
    assert report == check([plain, where, where], rules=policy(**names), hurry=False)


def test_a_long_name_is_found_as_netbios_writes_it_also_where_nobody_reads_it():
    name = "a-very-long-host-name"
    rules = policy(forbidden={"host_names": [name]})
    cut_off = bytes(NBNSRegistrationRequest(QUESTION_NAME=b"A-VERY-LONG-HOST-NAME"[:15]))
    for frame in (udp4(cut_off, 137), tcp4(cut_off, 139), tcp4(cut_off)):
        (leak,) = check([frame], rules=rules).leaks
        assert leak.reason == f"it tells the real host name {name}, in a NetBIOS message"
    other = bytes(NBNSRegistrationRequest(QUESTION_NAME=b"A-VERY-SHORT-NA"))
    assert check([tcp4(other)], rules=rules).clean


def test_names_are_shown_although_something_else_is_not_understood():
    for frame, names in (
        (TOLD["DHCP, behind one that nobody knows"], ["box"]),
        (TOLD["DHCP, in an option that is cut off"], ["box"]),
        (TOLD["DHCPv6"], ["box"]),
        (TOLD["DHCPv6, behind an option that nobody knows"], ["box"]),
        (TOLD["NetBIOS"], ["BOX"]),
        (dhcp(option(81, b"\4\0\0\x09box")), ["\\tbox"]),
    ):
        (leak,) = check([frame], rules=policy(forbidden={})).leaks
        assert leak.names == names
    assert told_names(b"") == told_names(b"\2" + bytes(300)) == ()


def test_what_a_guest_writes_into_names_breaks_nothing():
    for size in range(0, 300, 7):
        for port, source in ((67, 68), (547, 546), (137, 137), (138, 138), (5353, 5353)):
            frame = udp4(bytes(range(256)) * 2, port, RELAY, source)[: 42 + size]
            for cut in (frame, frame[:-1] + b"\xff"):
                assert not check([cut], rules=policy(forbidden={"host_names": ["x"]})).clean


def test_lost_packets_are_counted(tmp_path):
    lost = block(5, bytes(12) + long_option(5, (3).to_bytes(8, "little")))
    path = tmp_path / "a.pcapng"
    path.write_bytes(section() + interface() + enhanced(arp(), 1) + lost)
    captures = [CaptureFile(path), CaptureFile(pcap(tmp_path / "b.pcap", [arp()]))]
    report = told(captures, policy())
    assert (report.clean, report.lost, report.of_machine) == (True, 3, 2)


def test_a_table_of_conversations_has_the_names_of_netbios(tmp_path):
    talk = Conversations()
    talk.add(CaptureFile(pcap(tmp_path / "a.pcap", [TOLD["NetBIOS"]])))
    assert [list(each.names) for each in talk.found] == [["BOX"]]
