"""Frames in a stream: whole, cut anywhere, damaged, and behind garbage; on both ends."""

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstest.guest import frames
from tailstest.guest.agent import AGENT_FILE
from tailstest.guest.frames import FILLER, HEADER, MAGIC, MAX_PAYLOAD, Frame, FrameReader, encode
from tailstest.guest.results import Completed

NUMBERS = st.integers(0, 2**32 - 1)
FRAMES = st.builds(Frame, st.integers(0, 255), NUMBERS, NUMBERS, st.binary(max_size=300))
#: Garbage in which beginnings of frames are frequent.
NOISE = st.lists(
    st.one_of(st.binary(max_size=20), st.sampled_from([MAGIC, MAGIC[:3], b"\0", b"\0TT\1\2"])),
    max_size=20,
).map(b"".join)


def load_agent() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tailstest_agent_under_test", AGENT_FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


AGENT = load_agent()


def host_reader() -> Callable[[bytes], list[Frame]]:
    return FrameReader().feed


def agent_reader() -> Callable[[bytes], list[Frame]]:
    reader = AGENT.FrameReader()
    return lambda data: [Frame(*message) for message in reader.feed(data)]


ENDS = pytest.mark.parametrize("make", [host_reader, agent_reader])


def read_in_pieces(feed: Callable[[bytes], list[Frame]], data: bytes, seed: int) -> list[Frame]:
    chance, found, at = random.Random(seed), [], 0
    while at < len(data):
        size = chance.choice([1, 3, 21, 100, 5000])
        found += feed(data[at : at + size])
        at += size
    return found


def test_both_ends_agree_on_the_numbers() -> None:
    for kind in frames.Kind:
        assert getattr(AGENT, kind.name) == kind
    for name in ("VERSION", "MAGIC", "MAX_PAYLOAD", "FILLER", "WINDOW", "CHUNK"):
        assert getattr(AGENT, name) == getattr(frames, name)
    assert AGENT.HEADER.format == HEADER.format


def test_a_frame_on_the_wire_is_what_the_protocol_says() -> None:
    wire = encode(Frame(2, 0x01020304, 5, b"{}"))
    assert wire == AGENT.encode(2, 0x01020304, 5, b"{}")
    assert wire.hex(" ") == ("00 54 54 01 02 01 02 03 04 00 00 00 05 00 00 00 02 f3 a8 6a 6d 7b 7d")
    with pytest.raises(ValueError, match="65537"):
        encode(Frame(2, 1, 1, bytes(MAX_PAYLOAD + 1)))


@ENDS
@given(sent=st.lists(FRAMES, max_size=6), seed=st.integers())
def test_every_frame_arrives_however_the_stream_is_cut(
    make: Callable[[], Callable[[bytes], list[Frame]]], sent: list[Frame], seed: int
) -> None:
    assert read_in_pieces(make(), b"".join(map(encode, sent)), seed) == sent


@ENDS
@given(noise=NOISE, sent=st.lists(FRAMES, min_size=1, max_size=3), seed=st.integers())
def test_frames_behind_garbage_and_a_filler_arrive(
    make: Callable[[], Callable[[bytes], list[Frame]]],
    noise: bytes,
    sent: list[Frame],
    seed: int,
) -> None:
    feed = make()
    read_in_pieces(feed, noise, seed)
    feed(FILLER)
    assert read_in_pieces(feed, b"".join(map(encode, sent)), seed) == sent


@ENDS
@given(sent=st.lists(FRAMES, min_size=3, max_size=6), data=st.data())
def test_a_changed_byte_costs_one_frame_and_never_makes_a_new_one(
    make: Callable[[], Callable[[bytes], list[Frame]]], sent: list[Frame], data: st.DataObject
) -> None:
    wire = [bytearray(encode(frame)) for frame in sent]
    hurt = data.draw(st.integers(0, len(sent) - 1))
    at = data.draw(st.integers(0, len(wire[hurt]) - 1))
    wire[hurt][at] ^= data.draw(st.integers(1, 255))
    found = make()(b"".join(wire) + FILLER)
    assert found == sent[:hurt] + sent[hurt + 1 :]


@ENDS
@given(sent=st.lists(FRAMES, min_size=1, max_size=4), data=st.data())
def test_a_stream_that_lost_bytes_goes_on_behind_a_filler(
    make: Callable[[], Callable[[bytes], list[Frame]]], sent: list[Frame], data: st.DataObject
) -> None:
    wire = b"".join(map(encode, sent))
    start = data.draw(st.integers(0, len(wire)))
    end = data.draw(st.integers(start, len(wire)))
    last = Frame(1, 2, 3, b"{}")
    found = make()(wire[:start] + wire[end:] + FILLER + encode(last))
    assert found[-1] == last
    assert all(frame in sent for frame in found[:-1])


def test_the_reader_holds_less_than_one_frame_of_what_never_ends() -> None:
    reader, chance = FrameReader(), random.Random(1)
    for _ in range(300):
        reader.feed(chance.choice([MAGIC, encode(Frame(1, 1, 1, bytes(9000)))[:-1], b"\0" * 700]))
        assert reader.buffered < HEADER.size + MAX_PAYLOAD
    assert reader.skipped > 0


def test_a_length_over_the_bound_is_not_waited_for() -> None:
    reader = FrameReader()
    good = Frame(1, 2, 3, b"x")
    assert reader.feed(HEADER.pack(MAGIC, 1, 1, 1, MAX_PAYLOAD + 1, 0) + encode(good)) == [good]


def test_a_frame_inside_a_damaged_one_is_found() -> None:
    inner = Frame(20, 1, 1, b"hello")
    outer = bytearray(encode(Frame(20, 1, 1, encode(inner))))
    assert FrameReader().feed(bytes(outer)) == [Frame(20, 1, 1, encode(inner))]
    outer[17] ^= 1
    assert FrameReader().feed(bytes(outer)) == [inner]


def test_the_agent_file_stands_beside_its_package() -> None:
    assert Path(AGENT_FILE).name == "tailstest_agent.py"


def test_a_command_is_explained_safely_and_shortly() -> None:
    text = Completed(
        ("/bin/sh", "-c", "make \x1b[31mred"), 2, b"\x1b]0;x\x07" + b"\x01" * 9_000_000, b"", 1.25
    ).explain()
    assert "make red" in text
    assert "It ended with status 2 after 1.2 seconds." in text
    assert "nothing to standard error" in text
    assert "\x1b" not in text and "\x01" not in text
    assert len(text) < 10_000
