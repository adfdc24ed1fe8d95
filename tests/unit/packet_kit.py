"""Real packets and capture files for the tests; what they are is confirmed by tcpdump there."""

import socket
import struct

import dns.message

GUEST = "52:54:00:12:34:56"
REAL = "00:1b:63:aa:bb:cc"
LAB = "52:54:00:00:00:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"
GUEST_IP, LAB_IP, RELAY, RESOLVER = "10.0.2.15", "10.0.2.2", "203.0.113.7", "10.0.2.3"
GUEST_IP6 = "fe80::5054:ff:fe12:3456"
#: 2026-01-31 12:00:00 UTC
NOON = 1_769_860_800


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(payload, kind=0x0800, source=GUEST, target=LAB):
    return mac(target) + mac(source) + struct.pack("!H", kind) + payload


def ipv4(payload, protocol, source=GUEST_IP, target=RELAY, fragment=0x4000, options=b""):
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        0,
        20 + len(options) + len(payload),
        1,
        fragment,
        64,
        protocol,
        0,
        ip(source),
        ip(target),
    )
    head += options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(payload, following, source=GUEST_IP6, target="ff02::1", hops=255):
    return (
        struct.pack("!IHBB", 6 << 28, len(payload), following, hops)
        + ip(source)
        + ip(target)
        + payload
    )


def udp(payload, source, target):
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def tcp(payload=b"", source=40000, target=443, flags=0x18):
    return struct.pack("!HHIIBBHHH", source, target, 1, 1, 0x50, flags, 64240, 0, 0) + payload


def icmp(kind=8, payload=b"ping"):
    body = struct.pack("!BBHHH", kind, 0, 0, 1, 1) + payload
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def icmp6(body, source=GUEST_IP6, target="ff02::1"):
    """Fill in the checksum of an ICMPv6 message."""
    pseudo = ip(source) + ip(target) + struct.pack("!II", len(body), 58)
    return body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]


def udp4(payload, port, target=RELAY, source_port=40000, source=GUEST, address=GUEST_IP, to=LAB):
    inner = ipv4(udp(payload, source_port, port), 17, address, target)
    return ethernet(inner, source=source, target=to)


def tcp4(payload=b"", port=443, target=RELAY, flags=0x18, source=GUEST):
    return ethernet(ipv4(tcp(payload, target=port, flags=flags), 6, target=target), source=source)


def arp(operation=1, sender=GUEST, address=GUEST_IP, wanted=LAB_IP, kind=0x0806, inside=None):
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac(inside or sender) + ip(address)
    body += bytes(6) + ip(wanted)
    return ethernet(body, kind, sender, BROADCAST).ljust(60, b"\0")


def rarp(sender=GUEST):
    """What QEMU sends for a guest that was restored."""
    body = (
        struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3) + mac(sender) + bytes(4) + mac(sender) + bytes(4)
    )
    return ethernet(body, 0x8035, sender, BROADCAST).ljust(60, b"\0")


def option(code, value):
    return bytes([code, len(value)]) + value


def dhcp(
    *options, hardware=GUEST, kind=1, sender=None, target="255.255.255.255", address="0.0.0.0"
):
    body = struct.pack("!BBBBIHH", 1, 1, 6, 0, 7, 0, 0) + bytes(16) + mac(hardware)
    body = body.ljust(236, b"\0") + b"\x63\x82\x53\x63" + option(53, bytes([kind]))
    body += b"".join(options) + b"\xff"
    return udp4(
        body, 67, target, 68, sender or hardware, address, BROADCAST if "255" in target else LAB
    )


def dhcp_client_id(who=GUEST):
    return option(61, b"\x01" + mac(who))


def question(name, kind="A"):
    return dns.message.make_query(name, kind).to_wire()


def solicitation(target=GUEST_IP6, source="::", hardware=None, to=None):
    group = to or str(
        socket.inet_ntop(socket.AF_INET6, ip("ff02::1:ff00:0")[:13] + ip(target)[13:])
    )
    body = struct.pack("!BBHI", 135, 0, 0, 0) + ip(target)
    if hardware:
        body += b"\x01\x01" + mac(hardware)
    sent = ipv6(icmp6(body, source, group), 58, source, group)
    return ethernet(sent, 0x86DD, target="33:33:ff:12:34:56")


def router_solicitation():
    body = struct.pack("!BBHI", 133, 0, 0, 0) + b"\x01\x01" + mac(GUEST)
    return ethernet(
        ipv6(icmp6(body, target="ff02::2"), 58, target="ff02::2"),
        0x86DD,
        target="33:33:00:00:00:02",
    )


def mld_report(group="ff02::1:ff12:3456", *, sources=(), extra=b"", behind=b"", hops=1, count=1):
    body = struct.pack("!BBHHH", 143, 0, 0, 0, count)
    body += struct.pack("!BBH", 4, len(extra) // 4, len(sources)) + ip(group)
    body += b"".join(ip(source) for source in sources) + extra + behind
    alert = bytes.fromhex("3a00050200000100")
    sent = ipv6(alert + icmp6(body, target="ff02::16"), 0, target="ff02::16", hops=hops)
    return ethernet(sent, 0x86DD, target="33:33:00:00:00:16")


def probe_request(network=b"Home", sender=REAL):
    head = b"\x40\0\0\0" + mac(BROADCAST) + mac(sender) + mac(BROADCAST) + b"\x10\0"
    radiotap = struct.pack("<BBHI", 0, 0, 8, 0)
    return radiotap + head + b"\0" + bytes([len(network)]) + network + b"\x01\x04\x02\x04\x0b\x16"


def pcap(path, frames, *, link=1, order="<", nano=False, keep=None, start=NOON, gap=1_000_000):
    """Write a classic capture; packets are `gap` nanoseconds apart, `keep` bytes of each."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    with path.open("wb") as file:
        file.write(struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, keep or 262144, link))
        for number, frame in enumerate(frames):
            seconds, rest = divmod(start * 10**9 + number * gap, 10**9)
            kept = frame[:keep]
            fraction = rest if nano else rest // 1000
            file.write(struct.pack(f"{order}IIII", seconds, fraction, len(kept), len(frame)) + kept)
    return path


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def long_option(code, value, order="<"):
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(link=1, order="<", options=b""):
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)


def enhanced(frame, ticks, number=0, order="<", length=None, options=b""):
    body = struct.pack(
        f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length or len(frame)
    )
    return block(6, body + frame + bytes(-len(frame) % 4) + options, order)


def pcapng(path, frames, **more):
    """Write a capture of one Ethernet interface with microseconds."""
    blocks = [enhanced(frame, NOON * 10**6 + place) for place, frame in enumerate(frames)]
    path.write_bytes(section() + interface(**more) + b"".join(blocks))
    return path
