"""What a leak check proves: times, captures that show nothing, damage, bounds."""

import struct
from datetime import UTC, datetime

import pytest
from leak_samples import CLEAN, FROM_OTHERS, LEAKS, check, policy
from packet_kit import (
    GUEST,
    GUEST_IP,
    LAB,
    NOON,
    arp,
    block,
    enhanced,
    interface,
    long_option,
    pcap,
    pcapng,
    question,
    rarp,
    section,
    tcp4,
    udp4,
)

from tailstest.core.errors import UsageError
from tailstest.lab.capture_check import LeaksUntilThen, check_capture
from tailstest.lab.leak_finder import MOST_LEAKS, LeakFinder
from tailstest.lab.leak_view import report_json, report_text
from tailstest.lab.packet import ETHERNET, Packet


@pytest.mark.parametrize("place", range(len(CLEAN)))
def test_a_packet_that_was_cut_off_when_recorded_is_a_leak(tmp_path, place):
    frame = CLEAN[place]
    path = pcap(tmp_path / "a.pcap", [*CLEAN, frame], keep=len(frame) - 1)
    report = check_capture(path, policy())
    cut = [leak for leak in report.leaks if leak.reason.startswith("not understood: cut off")]
    assert cut
    assert f"only {len(frame) - 1} of {len(frame)} bytes" in report_text(report, "x")


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
    said = rf"only {len(CLEAN) - 1} of the {len(CLEAN)} packets are .*not counting 1 ignored: RARP"
    with pytest.raises(UsageError, match=said):
        check_capture(few, policy(expect_packets=100))


def test_what_is_ignored_proves_nothing(tmp_path):
    path = pcap(tmp_path / "a.pcap", [rarp()])
    with pytest.raises(UsageError, match="none of the 1 packets is of the machine"):
        check_capture(path, policy())
    path = pcap(tmp_path / "a.pcap", [rarp(), arp()])
    assert check_capture(path, policy()).clean
    with pytest.raises(UsageError, match="only 1 of the 2 packets are of the machine"):
        check_capture(path, policy(expect_packets=2))


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


def test_one_name_that_leaks_among_a_hundred_thousand_packets_is_shown(tmp_path):
    allowed, leak = tcp4(), udp4(question("secret.org"), 53, "8.8.8.8")
    frames = [allowed] * 70_000 + [leak] + [allowed] * 30_000
    path = pcap(tmp_path / "a.pcap", frames)
    report = check_capture(path, policy())
    assert [each.packets for each in report.leaks] == [1]
    text = report_text(report, "a.pcap")
    assert "100001 packets, 100001 of the machine; 1 leaked, in 1 conversation" in text
    assert "packet 70001\n" in text
    assert "secret.org" in text


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
