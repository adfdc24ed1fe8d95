"""How the demo image asks for the time, against the lab's own answers and against wrong ones."""

import socket
import threading
import time

import pytest
from demo_programs import demo_program

from tailstest.lab.network.servers.clock import answered


@pytest.fixture
def network_time():
    return demo_program("network_time.py")


@pytest.fixture
def serve():
    """Return a function that answers one question by a function of it, and tells the port."""
    threads = []

    def serving(answer):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))

        def once():
            with server:
                question, client = server.recvfrom(512)
                server.sendto(answer(question), client)

        threads.append(threading.Thread(target=once))
        threads[-1].start()
        return server.getsockname()[1]

    yield serving
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("now", [1_800_000_000, 2_085_978_495, 2_085_978_496, 3_000_000_000])
def test_the_lab_s_time_is_understood_also_after_2036(network_time, serve, now):
    port = serve(lambda question: answered(question, now + 0.5))
    assert network_time.ask("127.0.0.1", port) == now


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer[:40],
        lambda answer: b"\x23" + answer[1:],  # a question
        lambda answer: answer[:1] + b"\0" + answer[2:],  # "kiss of death"
        lambda answer: answer[:1] + b"\x10" + answer[2:],  # has no time itself
        lambda answer: answer[:24] + b"another!" + answer[32:],  # answers somebody else
    ],
)
def test_what_is_no_answer_to_the_question_tells_no_time(network_time, serve, spoil):
    port = serve(lambda question: spoil(answered(question, 1_800_000_000)))
    with pytest.raises(OSError, match="the answer of the time server"):
        network_time.ask("127.0.0.1", port)


def test_the_servers_come_with_the_address(network_time, tmp_path):
    (tmp_path / "2").write_text("ADDRESS=10.0.0.9\nNTP=203.0.113.123 203.0.113.124\nDNS=10.0.0.1\n")
    (tmp_path / "3").write_text("ADDRESS=10.0.1.9\n")
    assert network_time.servers(tmp_path) == ["203.0.113.123", "203.0.113.124"]
    assert network_time.servers(tmp_path / "none") == []


def test_only_a_clock_that_is_far_off_is_set_and_never_before_the_system_was_made(
    network_time, monkeypatch
):
    told = []
    monkeypatch.setattr(network_time.time, "clock_settime", lambda _clock, now: told.append(now))
    now = int(time.time())
    assert not network_time.set_clock(now + 3000, made=0)
    assert not network_time.set_clock(now - 86_400, made=now - 1000)
    assert told == []
    assert network_time.set_clock(now + 86_400, made=0)
    assert network_time.set_clock(now - 86_400, made=0)
    assert told == [now + 86_400, now - 86_400]
