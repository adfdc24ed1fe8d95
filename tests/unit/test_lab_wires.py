"""What wires of a lab are made of: frames in a stream, captures with a bound, quality, clocks."""

import itertools
import struct

import pytest

from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.network.addressing import addressing
from tailstest.lab.network.frames import LARGEST_FRAME, FrameReader, StreamDamaged, framed
from tailstest.lab.network.plan import WEB, Network
from tailstest.lab.network.quality import LONGEST_QUEUE, Direction, Quality
from tailstest.lab.network.recording import Recording
from tailstest.lab.network.servers.clock import answered
from tailstest.lab.packet import INBOUND, OUTBOUND
from tailstest.lab.pcapng_writing import file_header, packet_block


def test_frames_are_found_however_the_stream_is_cut():
    frames = [b"a" * 60, b"", b"c" * LARGEST_FRAME]
    stream = b"".join(map(framed, frames))
    for size in (1, 3, 1000, len(stream)):
        if size < 1000:
            wanted, part = frames[:2], stream[:68]
        else:
            wanted, part = frames, stream
        reader, found = FrameReader(), []
        for place in range(0, len(part), size):
            found += reader.feed(part[place : place + size])
        assert found == wanted


def test_a_frame_without_end_is_refused_before_it_is_kept():
    with pytest.raises(StreamDamaged, match="4294967295 bytes"):
        FrameReader().feed(b"\xff\xff\xff\xff")
    with pytest.raises(StreamDamaged):
        FrameReader().feed(struct.pack("!I", LARGEST_FRAME + 1))


def test_a_recording_is_a_capture_that_goes_on_and_ends_at_its_bound(tmp_path):
    path = tmp_path / "one.pcap"
    block = len(packet_block(b"a" * 60, 0, OUTBOUND))
    limit = len(file_header()) + 3 * block
    first = Recording(path, limit)
    assert first.keep(b"a" * 60, sent=True)
    first.close()
    second = Recording(path, limit)
    assert second.keep(b"b" * 60, sent=False)
    assert second.keep(b"c" * 60, sent=True)
    assert not second.keep(b"d", sent=True)
    assert second.is_full
    assert not second.keep(b"", sent=True)
    second.close()
    packets = list(CaptureFile(path))
    assert [packet.data[:1] for packet in packets] == [b"a", b"b", b"c"]
    assert [packet.direction for packet in packets] == [OUTBOUND, INBOUND, OUTBOUND]
    assert packets[0].time <= packets[1].time <= packets[2].time
    assert path.stat().st_size == limit
    assert path.stat().st_mode & 0o077 == 0


def arrivals(quality, count=1000, salt=0, size=1000):
    way = Direction(quality, salt)
    return [way.arrival(size, number / 1000) for number in range(count)]


def test_a_perfect_wire_does_nothing():
    assert Quality().is_perfect
    assert not Quality(loss=0.1).is_perfect
    assert arrivals(Quality()) == [number / 1000 for number in range(1000)]


def test_loss_is_the_same_for_the_same_seed_and_differs_by_direction():
    lost = [[each is None for each in arrivals(Quality(loss=0.1, seed=seed))] for seed in (1, 1, 2)]
    assert lost[0] == lost[1] != lost[2]
    assert 70 < sum(lost[0]) < 130
    assert lost[0] != [each is None for each in arrivals(Quality(loss=0.1), salt=1)]


def test_jitter_keeps_the_order_and_disorder_does_not():
    calm = arrivals(Quality(delay=0.1, jitter=0.05))
    assert calm == sorted(calm)
    assert min(calm) >= 0.05
    wild = arrivals(Quality(reorder=0.05))
    overtaken = sum(one > two for one, two in itertools.pairwise(wild))
    assert 20 < overtaken < 80


def test_a_narrow_wire_makes_frames_wait_and_loses_what_waits_too_long():
    # 8000 bits a millisecond come, and 800 get through.
    times = arrivals(Quality(rate=800_000), count=4000)
    assert times[10] == pytest.approx(0.11)
    assert times[-1] is None
    through = [each for each in times if each is not None]
    assert max(through) < 4.0 + LONGEST_QUEUE + 0.02
    assert len(through) == pytest.approx(600, abs=10)


def test_the_name_server_knows_one_network_all_names_and_the_other_none(tmp_path):
    full = addressing(Network(1, "full"), tmp_path, {"lie.test": ["203.0.113.66"], "no.test": []})
    assert f"--address=/#/{WEB}" in full.argv
    assert "--address=/lie.test/203.0.113.66" in full.argv
    assert "--address=/no.test/" in full.argv
    isolated = addressing(Network(2, "isolated"), tmp_path, {})
    assert "--address=/#/" in isolated.argv
    assert not any(WEB in each for each in isolated.argv)
    assert "--address=/router.lab.test/10.76.2.1" in isolated.argv


def test_the_clock_answers_clients_only_and_gives_their_time_back():
    request = b"\x1b" + bytes(39) + b"ORIGINAL"
    answer = answered(request, 0.5)
    assert answer[24:32] == b"ORIGINAL"
    assert struct.unpack("!II", answer[40:48]) == (2_208_988_800, 1 << 31)
    assert answered(request[:47], 0.5) is None
    assert answered(b"\x24" + request[1:], 0.5) is None
