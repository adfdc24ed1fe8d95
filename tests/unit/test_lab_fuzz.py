"""Leak checks of random and changed packets: nothing breaks them, nothing slips through."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leak_samples import CLEAN, LEAKS, check, policy
from packet_kit import solicitation, tcp4, udp4

from tailstest.lab.leak_view import report_json, report_text


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([1, 101, 105, 113, 127, 276, 0, 147]))
def test_random_bytes_never_break_it_and_are_never_clean(data, link):
    report = check([data], link=link)
    assert not report.clean
    assert report_text(report, "x").replace("\n", "").isprintable()
    assert report_json(report, "x")["leaks"]


#: Allows most of IPv4, so that only what a packet is made of can make it a leak.
OPEN = policy(
    allow=[
        {"title": kind, "to": ["0.0.0.0/0"], "protocol": kind, "ports": ["0-65535"]}
        for kind in ("tcp", "udp")
    ]
)
HEADS = [b"", *(frame[:size] for frame in CLEAN for size in (14, 20, 24, 34, 38, 42, 54, 62))]


@settings(deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=120))
def test_random_bytes_behind_real_headers_are_judged_alike_on_both_ways(head, data):
    frame = head + data
    for rules in (policy(), OPEN):
        quick = check([*CLEAN, frame], rules=rules)
        assert quick == check([*CLEAN, frame], rules=rules, hurry=False)


@given(st.sampled_from([*CLEAN, *(frame for frame, _ in LEAKS.values())]), st.data())
@settings(max_examples=300, deadline=None)
def test_changed_packets_never_break_it(frame, data):
    changed = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    quick = check([*CLEAN, bytes(changed)], rules=OPEN)
    assert quick == check([*CLEAN, bytes(changed)], rules=OPEN, hurry=False)
    assert quick.packets == len(CLEAN) + 1


@settings(deadline=None)
@given(st.sampled_from(CLEAN), st.binary(min_size=1, max_size=30).filter(any))
def test_something_behind_an_allowed_packet_is_never_clean(frame, more):
    assert not check([frame + more]).clean


@settings(deadline=None)
@given(st.integers(1, 60))
def test_an_allowed_packet_that_lost_its_end_is_never_clean(cut):
    for frame in CLEAN:
        lost = frame[: len(frame) - cut]
        # Only the zeros that fill up a frame may be missing.
        if any(frame[len(lost) :]) or len(lost) < 42:
            assert not check([lost]).clean


@pytest.mark.parametrize("size", range(-8, 9))
@pytest.mark.parametrize("frame", [udp4(b"payload!", 9999), tcp4(b"payload!")])
def test_a_length_that_is_wrong_is_found_on_both_ways(frame, size):
    changed = bytearray(frame)
    place = slice(38, 40) if frame[23] == 17 else slice(16, 18)
    changed[place] = struct.pack("!H", int.from_bytes(changed[place], "big") + size)
    for hurry in (True, False):
        report = check([frame, bytes(changed)], rules=OPEN, hurry=hurry)
        assert report.clean == (size == 0)


def test_a_packet_that_breaks_a_parser_is_a_leak(monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("never seen")

    monkeypatch.setattr("tailstest.lab.dissect._ipv6", broken)
    (leak,) = check([solicitation()]).leaks
    assert leak.reason == "not understood: it breaks the parser (RuntimeError)"
