"""Capture files: every format that tools write, and damage that is named with its place."""

import shutil
import struct
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packet_kit import (
    NOON,
    arp,
    block,
    enhanced,
    interface,
    long_option,
    pcap,
    pcapng,
    section,
    tcp4,
)

from tailstest.core.errors import UsageError
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.capture_stream import CaptureDamaged
from tailstest.lab.packet import ETHERNET, OUTBOUND
from tailstest.lab.pcapng_writing import file_header, packet_block

FRAMES = [arp(), tcp4(b"x" * 100), tcp4(b"y")]


def read(path):
    return list(CaptureFile(path))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_classic_files_of_both_byte_orders_and_clocks(tmp_path, order, nano):
    path = pcap(tmp_path / "a.pcap", FRAMES, order=order, nano=nano, gap=1_234_567)
    packets = read(path)
    assert [packet.data for packet in packets] == FRAMES
    assert [packet.number for packet in packets] == [1, 2, 3]
    step = 1_234_567 if nano else 1_234_000
    assert packets[1].time == NOON * 10**9 + step
    assert {packet.link for packet in packets} == {ETHERNET}


@pytest.mark.parametrize("order", ["<", ">"])
def test_interfaces_with_clocks_and_links_of_their_own(tmp_path, order):
    nanoseconds = long_option(9, b"\x09", order) + long_option(0, b"", order)
    halves = long_option(9, b"\x8a", order)  # 2**-10 seconds
    shifted = long_option(14, struct.pack(f"{order}q", 100), order)
    path = tmp_path / "a.pcapng"
    path.write_bytes(
        section(order)
        + interface(1, order)
        + interface(113, order, nanoseconds)
        + interface(276, order, halves + shifted)
        + enhanced(b"a" * 5, NOON * 10**6 + 1, 0, order)
        + enhanced(b"b" * 6, NOON * 10**9 + 2, 1, order)
        + block(4, b"names that nobody needs.", order)
        + enhanced(b"c" * 7, NOON * 1024 + 512, 2, order, length=900)
        + section("<")
        + interface(101)
        + block(3, struct.pack("<I", 3) + b"ddd")
    )
    packets = read(path)
    assert [(packet.link, packet.data, packet.length) for packet in packets] == [
        (1, b"a" * 5, 5),
        (113, b"b" * 6, 6),
        (276, b"c" * 7, 900),
        (101, b"ddd", 3),
    ]
    assert [packet.time for packet in packets] == [
        NOON * 10**9 + 1000,
        NOON * 10**9 + 2,
        (NOON + 100) * 10**9 + 500_000_000,
        None,
    ]


def test_a_frame_check_sequence_is_no_part_of_a_packet(tmp_path):
    path = pcap(tmp_path / "a.pcap", [FRAMES[0] + b"\1\2\3\4"], link=1 | 0x2400_0000)
    assert [(packet.data, packet.length) for packet in read(path)] == [(FRAMES[0], 60)]
    path = pcapng(tmp_path / "a.pcapng", [FRAMES[0] + b"\1\2\3\4"], options=long_option(13, b"\4"))
    assert [(packet.data, packet.length) for packet in read(path)] == [(FRAMES[0], 60)]


def test_packets_that_the_recording_program_lost_are_counted(tmp_path):
    def lost(interface_drops, system_drops):
        options = long_option(5, struct.pack("<Q", interface_drops))
        options += long_option(7, struct.pack("<Q", system_drops))
        return block(5, struct.pack("<III", 0, 0, 0) + options)

    path = tmp_path / "a.pcapng"
    dropped_before = long_option(4, struct.pack("<Q", 2))
    path.write_bytes(
        section()
        + interface()
        + lost(1, 1)
        + enhanced(b"a", 1, options=dropped_before)
        + lost(3, 4)
    )
    capture = CaptureFile(path)
    assert len(list(capture)) == 1
    assert capture.lost == 7 + 2


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
@pytest.mark.parametrize("write", [pcap, pcapng])
def test_tcpdump_reads_and_writes_the_same(tmp_path, write):
    path = write(tmp_path / "a.capture", FRAMES)
    copy = tmp_path / "b.pcap"
    nano = "--time-stamp-precision=nano"
    subprocess.run(
        ["tcpdump", nano, "-Z", "root", "-r", path, "-w", copy], check=True, capture_output=True
    )
    assert read(copy) == read(path)


def test_what_is_no_capture_is_named(tmp_path):
    def made(content):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pcap"
        path.write_bytes(content)
        return path

    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    good = section() + interface()
    for path, reason in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "nul\0", "no such file"),
        (tmp_path / ("n" * 300), "cannot be read"),
        (made(b""), "the file is empty"),
        (made(b"ab"), "damaged at byte 0 .* 2 of 4 bytes"),
        (
            made(b"text, no packets"),
            "neither pcap nor pcapng: it begins with the bytes 74 65 78 74",
        ),
        (made(b"\x1f\x8b\x08\x00more"), "compressed with gzip"),
        (made(header[:10]), "damaged at byte 4 .* 6 of 20"),
        (made(header[:4] + b"\3\0" + header[6:]), "version 3.4 instead of 2.4"),
        (made(header + b"\0" * 7), "damaged at byte 24 .*7 of 16 bytes"),
        (made(header + struct.pack("<IIII", 1, 0, 60, 60) + b"x"), "byte 40 .* 1 of 60 bytes"),
        (made(header + struct.pack("<IIII", 1, 0, 60, 60)), "ends where a packet should be"),
        (made(header + struct.pack("<IIII", 1, 0, 2**31, 2**31)), "no packet begins like this"),
        (made(header + struct.pack("<IIII", 1, 0, 60, 50)), "no packet begins like this"),
        (made(header + struct.pack("<IIII", 1, 10**6, 0, 0)), "no packet begins like this"),
        (made(good[:20]), "damaged at byte 12"),
        (made(good.replace(b"\x4d\x3c\x2b\x1a", b"abcd")), "without its byte order mark"),
        (made(section() + enhanced(b"a", 1)), "byte 28 .*interface 0, which is not described"),
        (made(good + enhanced(b"a", 1, length=1)[:-4] + b"\0\0\0\1"), "ends as one of 16777216"),
        (made(good + struct.pack("<II", 6, 2**31)), "a block of 2147483648 bytes"),
        (made(good + struct.pack("<II", 6, 13)), "a block of 13 bytes"),
        (made(good + block(6, b"short")), "too short"),
        (made(good + block(77, b"")), "unknown type 0x4d"),
    ):
        with pytest.raises(UsageError, match=reason) as caught:
            read(path)
        assert "What to do" in str(caught.value) or not isinstance(caught.value, CaptureDamaged)


WHOLE = {"pcap": pcap, "pcapng": pcapng}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_mutated_captures_are_read_or_refused_with_their_place(tmp_path, kind, data):
    path = WHOLE[kind](tmp_path / kind, FRAMES)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    try:
        packets = read(path)
    except UsageError as error:
        assert str(path) in str(error)
    else:
        assert sum(len(packet.data) for packet in packets) <= len(content)


@given(cut=st.integers(1, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_capture_that_was_cut_off_is_never_taken_for_a_whole_one(tmp_path, cut):
    path = pcap(tmp_path / "a.pcap", FRAMES)
    ends = {24}
    for frame in FRAMES:
        ends.add(max(ends) + 16 + len(frame))
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content))])
    if min(cut, len(content)) in ends:
        assert len(read(path)) == sorted(ends).index(min(cut, len(content)))
    else:
        with pytest.raises(CaptureDamaged, match=r"at byte \d+"):
            read(path)


@pytest.mark.parametrize(
    ("application", "trusted"), [(b"tailstest wire", True), (b"dumpcap", False)]
)
@pytest.mark.parametrize("order", "<>")
def test_only_our_own_wires_are_believed_who_sent_a_packet(tmp_path, application, trusted, order):
    flags = long_option(2, struct.pack(f"{order}I", 0x1_0002), order)
    head = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1) + long_option(4, application, order)
    path = tmp_path / "a.pcapng"
    path.write_bytes(
        block(0x0A0D0D0A, head, order)
        + interface(order=order)
        + enhanced(FRAMES[0], 0, order=order, options=flags)
        + enhanced(FRAMES[1], 0, order=order)
    )
    assert [each.direction for each in CaptureFile(path)] == [2 if trusted else 0, 0]


def test_what_our_wires_write_is_read_by_others_too(tmp_path):
    path = tmp_path / "a.pcapng"
    blocks = [packet_block(frame, 10**18 + 7, OUTBOUND) for frame in FRAMES]
    path.write_bytes(file_header() + b"".join(blocks))
    ours = [(each.time, each.data) for each in CaptureFile(path)]
    assert ours == [(10**18 + 7, frame) for frame in FRAMES]
    said = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert said[:-1] == [f"1000000000.000000007\t{len(frame)}" for frame in FRAMES]
