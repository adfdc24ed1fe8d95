"""Some hundred capture files: each kind of leak and each allowed packet in each format, and damage.

What conversations they hold is confirmed by tshark, which shares no code with us.
"""

import dataclasses
import functools
import ipaddress
import shutil
import struct
import subprocess

import pytest
from leak_samples import CLEAN, LEAKS, policy
from packet_kit import NOON, arp, enhanced, interface, long_option, pcap, section

from tailstest.core.errors import UsageError
from tailstest.lab.capture_check import check_captures
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.conversations import Conversations
from tailstest.lab.packet import ETHERNET, Packet


def pcapng_of_nanoseconds(path, frames, order="<"):
    clock = long_option(9, b"\x09", order) + long_option(0, b"", order)
    blocks = [enhanced(frame, NOON * 10**9 + n, 0, order) for n, frame in enumerate(frames)]
    path.write_bytes(section(order) + interface(1, order, clock) + b"".join(blocks))
    return path


FORMATS = {
    "pcap": pcap,
    "pcap of nanoseconds from a big-endian computer": functools.partial(pcap, order=">", nano=True),
    "pcapng": pcapng_of_nanoseconds,
    "pcapng from a big-endian computer": functools.partial(pcapng_of_nanoseconds, order=">"),
}
in_each_format = pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)


@in_each_format
@pytest.mark.parametrize("what", LEAKS)
def test_a_leak_is_found_in_a_file_of_each_format(tmp_path, write, what):
    frame, _expected = LEAKS[what]
    report = check_captures([write(tmp_path / "one", [*CLEAN, frame, *CLEAN])], policy())
    assert [(leak.number, leak.packets) for leak in report.leaks] == [(len(CLEAN) + 1, 1)]
    first = NOON * 10**9
    assert first <= report.leaks[0].time < first + 10**9


@in_each_format
@pytest.mark.parametrize("number", range(len(CLEAN)))
def test_what_is_allowed_is_accused_in_no_format(tmp_path, write, number):
    # What is ignored proves nothing alone.
    frames = [CLEAN[number]] * 3 + [arp()]
    report = check_captures([write(tmp_path / "one", frames)], policy())
    assert report.clean
    assert report.of_machine == 4


def damaged(content):
    """Yield what may have become of a file, with a name for each."""
    yield "empty", b""
    yield "half of its head", content[:12]
    yield "other bytes at its beginning", b"\0\0\0\0" + content[4:]
    yield "text", b"this is no capture, but a letter to somebody\n" * 10
    yield "half of its last packet", content[:-20]
    yield "all but the last byte", content[:-1]
    yield "something behind it", content + b"\x01\x02\x03"


@in_each_format
def test_no_damaged_file_is_clean_or_breaks_anything(tmp_path, write):
    whole = write(tmp_path / "whole", CLEAN)
    assert check_captures([whole], policy()).clean
    for number, (what, content) in enumerate(damaged(whole.read_bytes())):
        path = tmp_path / str(number)
        path.write_bytes(content)
        with pytest.raises(UsageError) as caught:
            check_captures([path], policy())
        assert str(path) in caught.value.message, what


@in_each_format
def test_a_packet_that_says_it_is_huge_is_not_believed(tmp_path, write):
    path = write(tmp_path / "one", CLEAN)
    content = bytearray(path.read_bytes())
    order = (
        ">" if content[:4] == b"\xa1\xb2\x3c\x4d" or content[8:12] == b"\x1a\x2b\x3c\x4d" else "<"
    )
    kept = struct.pack(f"{order}I", len(CLEAN[1]))
    place = content.rfind(kept + kept)
    content[place : place + 4] = struct.pack(f"{order}I", 0x7FFFFFFF)
    path.write_bytes(content)
    with pytest.raises(UsageError):
        check_captures([path], policy())


def test_there_are_enough_of_them():
    made = len(FORMATS) * (len(LEAKS) + len(CLEAN) + len(list(damaged(b"x" * 99))) + 1)
    assert made >= 200


def told_by_tshark(path):
    """Return for each packet who talked to whom, as (source, destination, protocol, port)."""
    fields = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst"]
    fields += ["tcp.dstport", "udp.dstport", "tcp.srcport", "udp.srcport"]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=|"]
    # Ports decide what is whose: tshark must not guess by the content, nor put fragments together.
    command += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    for name in fields:
        command += ["-e", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [dict(zip(fields, line.split("|"), strict=True)) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@in_each_format
def test_tshark_agrees_on_who_talked_to_whom(tmp_path, write):
    frames = [*CLEAN, *(frame for frame, _ in LEAKS.values())]
    path = write(tmp_path / "all", frames)
    told = told_by_tshark(path)
    packets = list(CaptureFile(path))
    assert len(told) == len(packets) == len(frames)
    compared = 0
    for packet, row in zip(packets, told, strict=True):
        ends = row["ip.src"] + row["ipv6.src"], row["ip.dst"] + row["ipv6.dst"]
        port = row["tcp.dstport"] + row["udp.dstport"]
        families = bool(row["ip.src"]) + bool(row["ipv6.src"])
        if families != 1 or "," in "".join(ends) + port or not port:
            continue  # no addresses, several in one another, or no ports
        talk = Conversations()
        talk.add([packet])
        (found,) = talk.found
        if found.trouble:
            continue  # we do not trust what tshark is content with
        other = row["tcp.srcport"] + row["udp.srcport"]
        ours = ipaddress.ip_address(found.source), ipaddress.ip_address(found.destination)
        theirs = tuple(map(ipaddress.ip_address, ends))
        assert (*ours, found.port) in ((*theirs, int(port)), (*theirs[::-1], int(other)))
        assert found.protocol.startswith("TCP" if row["tcp.dstport"] else "UDP") or found.port in (
            67,
            68,
            546,
            547,
        )
        compared += 1
    assert compared >= 40


@in_each_format
def test_who_talked_to_whom_does_not_depend_on_the_file(tmp_path, write):
    frames = [*CLEAN, *(frame for frame, _ in LEAKS.values())]
    from_file, from_memory = Conversations(), Conversations()
    from_file.add(CaptureFile(write(tmp_path / "all", frames)))
    from_memory.add(Packet(n, 0, ETHERNET, frame, len(frame)) for n, frame in enumerate(frames, 1))

    def parts(talk):
        return [dataclasses.replace(each, first=0) for each in talk.found]

    assert from_file.packets == from_memory.packets == len(frames)
    assert parts(from_file) == parts(from_memory)
