"""What people call numbers in packets. Only for reports: nothing is allowed because of its name."""

from __future__ import annotations

#: https://www.iana.org/assignments/ieee-802-numbers
ETHER_TYPES = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x0842: "Wake-on-LAN",
    0x22F0: "AVTP",
    0x8035: "RARP",
    0x8100: "VLAN tag",
    0x86DD: "IPv6",
    0x8847: "MPLS",
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE",
    0x888E: "802.1X",
    0x88A8: "VLAN tag",
    0x88CC: "LLDP",
    0x88E5: "MACsec",
    0x88F7: "PTP",
    0x9000: "loopback test",
}

#: https://www.iana.org/assignments/protocol-numbers
IP_PROTOCOLS = {
    0: "IPv6 hop-by-hop options",
    1: "ICMP",
    2: "IGMP",
    4: "IPv4 in a tunnel",
    6: "TCP",
    17: "UDP",
    41: "IPv6 in a tunnel",
    43: "IPv6 routing header",
    44: "IPv6 fragment",
    47: "GRE tunnel",
    50: "IPsec",
    51: "IPsec AH",
    58: "ICMPv6",
    60: "IPv6 destination options",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    115: "L2TP tunnel",
    132: "SCTP",
    135: "IPv6 mobility header",
}

ICMP_TYPES = {
    0: "echo reply",
    3: "unreachable",
    5: "redirect",
    8: "echo request",
    10: "router solicitation",
    11: "time exceeded",
    13: "timestamp request",
    14: "timestamp reply",
    17: "address mask request",
}

ICMP6_TYPES = {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    4: "parameter problem",
    128: "echo request",
    129: "echo reply",
    130: "MLD query",
    131: "MLD report",
    132: "MLD done",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    137: "redirect",
    143: "MLDv2 report",
}

#: https://www.iana.org/assignments/service-names-port-numbers
PORTS = {
    ("tcp", 21): "FTP",
    ("tcp", 22): "SSH",
    ("tcp", 25): "SMTP",
    ("tcp", 53): "plain DNS",
    ("udp", 53): "plain DNS",
    ("udp", 67): "DHCP",
    ("udp", 68): "DHCP",
    ("udp", 69): "TFTP",
    ("tcp", 80): "HTTP",
    ("udp", 123): "NTP",
    ("udp", 137): "NetBIOS name",
    ("udp", 138): "NetBIOS",
    ("udp", 161): "SNMP",
    ("tcp", 443): "HTTPS",
    ("udp", 443): "QUIC",
    ("tcp", 445): "SMB",
    ("udp", 500): "IKE",
    ("udp", 514): "syslog",
    ("udp", 546): "DHCPv6",
    ("udp", 547): "DHCPv6",
    ("tcp", 631): "IPP",
    ("udp", 631): "IPP",
    ("tcp", 853): "DNS over TLS",
    ("udp", 1194): "OpenVPN",
    ("udp", 1701): "L2TP tunnel",
    ("udp", 1900): "SSDP",
    ("udp", 3478): "STUN",
    ("udp", 3544): "Teredo tunnel",
    ("udp", 3702): "WS-Discovery",
    ("udp", 4500): "IPsec",
    ("udp", 4789): "VXLAN tunnel",
    ("udp", 5353): "mDNS",
    ("udp", 5355): "LLMNR",
    ("tcp", 5355): "LLMNR",
    ("udp", 51820): "WireGuard",
}


def port_name(transport: str, source: int, destination: int) -> str:
    """Return the transport with the name of the port that has one: "TCP HTTPS", "UDP mDNS"."""
    name = PORTS.get((transport, destination)) or PORTS.get((transport, source))
    return f"{transport.upper()} {name}" if name else transport.upper()
