"""Captures for leak checks: a policy, what it allows, and what leaks."""

import struct
import tomllib

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
    dhcp,
    dhcp_client_id,
    ethernet,
    icmp,
    icmp6,
    ipv4,
    ipv6,
    mac,
    mld_report,
    option,
    question,
    rarp,
    router_solicitation,
    solicitation,
    tcp,
    tcp4,
    udp,
    udp4,
)

from tailstest.lab.leak_finder import LeakFinder
from tailstest.lab.packet import ETHERNET, Packet
from tailstest.lab.policy import Policy

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


#: Receiver, port and address of a DHCP request.
BOOT = ("255.255.255.255", 68, GUEST, "0.0.0.0", BROADCAST)


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
    "a name with a dot inside a label": (
        udp4(question(r"evil\.example.net"), 53, RESOLVER),
        "not understood: a DNS question for an odd name",
    ),
    "a name of bytes": (
        udp4(question(r"\200\000secret.example.net"), 53, RESOLVER),
        "not understood: a DNS question for an odd name",
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
    "neighbour discovery with one byte to spare": (
        ethernet(ipv6(icmp6(b"\x85\0\0\0\0\0\0a"), 58), 0x86DD),
        "something in its reserved bytes",
    ),
    "another MAC in neighbour discovery": (
        solicitation("fe80::1", GUEST_IP6, "02:00:00:00:00:07"),
        "tells another MAC than its sender's",
    ),
    "an MLD report with sources": (mld_report(sources=["2001:db8::7"]), "with sources"),
    "an MLD report with extra data": (mld_report(extra=b"data"), "with sources or extra data"),
    "an MLD report with bytes behind it": (mld_report(behind=b"data"), "something behind"),
    "an MLD report that was routed": (mld_report(hops=64), "something behind or around it"),
    "an MLD report that is cut off": (mld_report(count=2), "an MLDv2 report that is cut off"),
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
        udp4(dhcp()[42:] + b"secret", 67, *BOOT),
        "something behind its last option",
    ),
    "bytes in a fixed option of DHCP": (
        dhcp(option(50, b"\x0a\0\2\x0fmore")),
        "DHCP with option 50 of 8 bytes",
    ),
    "a server name in DHCP": (
        udp4(dhcp()[42:86] + b"my secret".ljust(64, b"\0") + dhcp()[150:], 67, *BOOT),
        "DHCP with something behind the hardware address",
    ),
    "a gateway in DHCP": (
        udp4(dhcp()[42:66] + b"\1\2\3\4" + dhcp()[70:], 67, *BOOT),
        "fields that only servers and relays fill",
    ),
    "a DHCP answer": (udp4(b"\2" + dhcp()[43:], 67, *BOOT), "DHCP that is no request"),
    "DHCP with an option that is cut off": (
        udp4(dhcp()[42:-1] + b"\x37\xf0x", 67, *BOOT),
        "DHCP with an option that is cut off",
    ),
    "DHCP without an end": (udp4(dhcp()[42:-1], 67, *BOOT), "DHCP without an end"),
    "a DUID of another kind of hardware": (dhcp(duid(3, b"\0\7" + mac(GUEST))), "with a client id"),
    "ARP with bytes in an unused field": (
        arp()[:32] + b"secret" + arp()[38:],
        "ARP with an unknown MAC address of its receiver",
    ),
    "RARP with an address": (
        arp(3, kind=0x8035),
        "RARP that tells an IP address",
    ),
    "ARP with addresses that are too long": (
        arp()[:18] + b"\xff" + arp()[19:],
        "ARP for something else than Ethernet and IPv4",
    ),
    "ARP with data behind it": (arp()[:42] + b"secret", "6 bytes behind the end"),
    "LLDP": (ethernet(b"\2\7\4" + mac(GUEST), 0x88CC), "Ethernet type 0x88cc (LLDP)"),
    "spanning tree": (ethernet(b"\x42\x42\3" + bytes(997), 1000), "IEEE 802.3"),
    "an unknown type": (ethernet(b"?" * 46, 0x1234), "Ethernet type 0x1234"),
    "a VLAN tag": (ethernet(VLAN, 0x8100), "Ethernet type 0x8100 (VLAN tag)"),
    "half an Ethernet header": (mac(LAB) + mac(GUEST), "too short for its Ethernet header"),
    "nothing at all": (b"", "too short for its Ethernet header"),
}
