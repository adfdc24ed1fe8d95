"""What claims to be QEMU's guest agent may lie; the host neither hangs nor grows."""

import base64
import contextlib
import json
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tailstest.core.deadline import Deadline
from tailstest.core.errors import InfrastructureError, MachineStopped, SetupError
from tailstest.guest.agent import AGENT_FILE
from tailstest.guest.errors import GuestProtocolError, GuestUnreachable
from tailstest.guest.qemu_agent import QemuAgent
from tailstest.guest.qemu_answers import NEEDED
from tailstest.guest.qemu_install import QemuShell, install_through_qemu_agent

INFO = {
    "version": "7.2.0",
    "supported_commands": [{"name": name, "enabled": True} for name in NEEDED],
}

#: An answer: bytes as they are, anything else as JSON in "return"; None is silence.
Answers = dict[str, Any]


class Liar:
    """Answers requests with what it is told, in a thread."""

    def __init__(self, answers: Answers) -> None:
        self.answers = {"guest-info": INFO, **answers}
        self.asked: list[dict[str, Any]] = []
        self.host, self.side = socket.socketpair()
        self.connects = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def connect(self) -> socket.socket:
        self.connects += 1
        return self.host.dup()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.side.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.side.close()
        self.host.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self.side.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line.lstrip(b"\xff"))
                self.asked.append(request)
                self._answer(request)

    def _answer(self, request: dict[str, Any]) -> None:
        command = request["execute"]
        answer = self.answers.get(command)
        if command == "guest-sync-delimited" and command not in self.answers:
            self.side.sendall(b"\xff" + line_of(request["arguments"]["id"]))
        elif callable(answer):
            answer(self.side, request)
        elif isinstance(answer, bytes):
            self.side.sendall(answer)
        elif command in self.answers and answer is not None:
            self.side.sendall(line_of(answer))


def line_of(value: object) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


@pytest.fixture
def lie() -> Iterator[Callable[..., tuple[Liar, QemuAgent]]]:
    made: list[tuple[Liar, QemuAgent]] = []

    def make(answers: Answers, **options: Any) -> tuple[Liar, QemuAgent]:
        liar = Liar(answers)
        made.append((liar, QemuAgent(liar.connect, **options)))
        return made[-1]

    yield make
    for liar, agent in made:
        agent.close()
        liar.close()


Lie = Callable[..., tuple[Liar, QemuAgent]]


def flood(data: bytes) -> Callable[[socket.socket, object], None]:
    def send(side: socket.socket, _request: object) -> None:
        with contextlib.suppress(OSError):
            while True:
                side.sendall(data)

    return send


def other_number(side: socket.socket, request: dict[str, Any]) -> None:
    side.sendall(b"\xff" + line_of(request["arguments"]["id"] + 1))


def without_sentinel(side: socket.socket, request: dict[str, Any]) -> None:
    side.sendall(line_of(request["arguments"]["id"]))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"login: \xff\xfe\r\n",
        b"\xff" + line_of(True),
        b"\xff" + line_of([1]),
        b'\xff{"return": 1',
        b"\xff" + b"[" * 100_000 + b"\n",
        other_number,
        without_sentinel,
        flood(b"x" * 65_536),
        flood(b"\xff{}\n" * 1000),
    ],
    ids=[
        "never",
        "garbage",
        "true",
        "list",
        "half",
        "deep",
        "other number",
        "no sentinel",
        "endless line",
        "endless lines",
    ],
)
def test_nobody_who_speaks_the_language_is_there(lie: Lie, answer: object) -> None:
    _liar, agent = lie({"guest-sync-delimited": answer})
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(GuestUnreachable, match=r"nobody answered(?s:.*)qemu-guest-agent"):
            agent.wait_ready(Deadline.after(1.5))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 60.0  # the floods never end


def test_the_port_may_be_missing() -> None:
    def refuse() -> socket.socket:
        raise FileNotFoundError

    with pytest.raises(GuestUnreachable, match="cannot be opened"):
        QemuAgent(refuse).wait_ready(Deadline.after(0.3))


def test_what_stood_in_the_port_is_skipped(lie: Lie) -> None:
    liar, agent = lie({"greet": "hello"})
    liar.side.sendall(line_of(INFO) + b'\xff{"return": 5}\nnoise \xff\n{"retu')
    agent.wait_ready(Deadline.after(5.0))
    assert agent.ask("greet") == "hello"
    liar.answers["greet"] = b"noise\n[1]\n\n" + line_of("hello again")
    assert agent.ask("greet") == "hello again"


def test_an_answer_that_comes_too_late_is_not_the_next_one(lie: Lie) -> None:
    liar, agent = lie({"slow": None, "quick": "quick"})
    agent.wait_ready(Deadline.after(5.0))
    with pytest.raises(GuestUnreachable, match="did not answer slow"):
        agent.ask("slow", within=0.2)
    liar.side.sendall(line_of("slow"))
    assert agent.ask("quick") == "quick"


def test_a_line_that_is_cut_at_once_again_and_again_is_given_up() -> None:
    opened = []

    def connect() -> socket.socket:
        one, other = socket.socketpair()
        other.close()
        opened.append(one)
        return one

    with pytest.raises(GuestUnreachable):
        QemuAgent(connect).wait_ready(Deadline.after(1.0))
    assert 2 <= len(opened) <= 10


def test_a_watch_ends_every_wait(lie: Lie) -> None:
    def stopped() -> None:
        raise MachineStopped("the machine has stopped")

    _liar, agent = lie({"guest-sync-delimited": None}, watches=[stopped])
    with pytest.raises(MachineStopped):
        agent.wait_ready(Deadline.after(30.0))


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ([], "nonsense to guest-info"),
        ({"supported_commands": {}}, "nonsense"),
        ({"supported_commands": [{"name": "a\x1b[2J", "enabled": 1}]}, "nonsense"),
        ({"supported_commands": [{"name": "a", "enabled": True}] * 3000}, "nonsense"),
        (b'{"error": {"class": "GenericError", "desc": "no \\u001b[2J"}}\n', "guest-info: 'no"),
        (b'{"error": 7}\n', "nonsense"),
    ],
)
def test_the_list_of_commands_is_checked(lie: Lie, info: object, said: str) -> None:
    _liar, agent = lie({"guest-info": info})
    with pytest.raises(InfrastructureError, match=said) as caught:
        agent.wait_ready(Deadline.after(5.0))
    assert "\x1b" not in str(caught.value)


def test_an_agent_that_is_too_old_is_named(lie: Lie) -> None:
    commands = [{"name": "guest-file-open", "enabled": True}]
    _liar, agent = lie({"guest-info": {"supported_commands": commands}})
    with pytest.raises(SetupError, match=r"does not know guest-exec, guest-exec-status"):
        agent.wait_ready(Deadline.after(5.0))


@pytest.mark.parametrize(
    ("pid", "status"),
    [
        (7, None),
        ({"pid": True}, None),
        ({"pid": "1; reboot"}, None),
        ({"pid": -1}, None),
        ({"pid": 2**40}, None),
        ({"pid": 9}, []),
        ({"pid": 9}, {"exited": 1}),
        ({"pid": 9}, {"exited": True}),
        ({"pid": 9}, {"exited": True, "exitcode": "0"}),
        ({"pid": 9}, {"exited": True, "exitcode": 4096}),
        ({"pid": 9}, {"exited": True, "signal": 0}),
        ({"pid": 9}, {"exited": True, "exitcode": 0, "out-data": 5}),
        ({"pid": 9}, {"exited": True, "exitcode": 0, "out-data": "***"}),
        ({"pid": 9}, {"exited": True, "exitcode": 0, "out-data": "\u00e4"}),
        ({"pid": 9}, flood(b"y" * 65_536)),
        ({"pid": 9}, flood(b'{"noise": 1}\n' * 1000)),
    ],
)
def test_what_became_of_a_command_is_checked(lie: Lie, pid: object, status: object) -> None:
    _liar, agent = lie({"guest-exec": pid, "guest-exec-status": status})
    agent.wait_ready(Deadline.after(5.0))
    with pytest.raises(GuestProtocolError):
        agent.execute("true", 2.0)


def test_a_command_that_never_ends_is_killed(lie: Lie) -> None:
    liar, agent = lie({"guest-exec": {"pid": 9}, "guest-exec-status": {"exited": False}})
    agent.wait_ready(Deadline.after(5.0))
    with pytest.raises(GuestUnreachable, match="was killed: 'sleep forever'"):
        agent.execute("sleep forever", 0.3)
    assert "kill -9 -9" in str(liar.asked[-1])


@pytest.mark.parametrize(
    ("handle", "count"),
    [
        ("1000", None),
        (True, None),
        (1000, {"count": 0}),
        (1000, {"count": 6}),
        (1000, {"count": "5"}),
        (1000, 5),
    ],
)
def test_writing_a_file_is_checked(lie: Lie, handle: object, count: object) -> None:
    _liar, agent = lie(
        {"guest-file-open": handle, "guest-file-write": count, "guest-file-close": {}}
    )
    agent.wait_ready(Deadline.after(5.0))
    with pytest.raises(GuestProtocolError, match="nonsense to guest-file"):
        agent.write_file("/run/x", b"12345")


def test_what_was_not_taken_of_a_file_is_sent_again(lie: Lie) -> None:
    liar, agent = lie(
        {"guest-file-open": 1000, "guest-file-write": {"count": 2}, "guest-file-close": {}}
    )
    agent.wait_ready(Deadline.after(5.0))
    agent.write_file("/run/x", b"123456")
    sent = [one["arguments"] for one in liar.asked if one["execute"] == "guest-file-write"]
    assert [base64.b64decode(one["buf-b64"]) for one in sent] == [b"123456", b"3456", b"56"]
    assert liar.asked[-1] == {"execute": "guest-file-close", "arguments": {"handle": 1000}}


@pytest.mark.parametrize(
    "path", ["/etc/tt-abcdef\n", "/run/tt-../../x\n", "/run/tt-abcdef\n/run/tt-abcdef\n", ""]
)
def test_a_folder_of_the_guest_is_never_any_path(lie: Lie, path: str) -> None:
    ended = {"exited": True, "exitcode": 0, "out-data": base64.b64encode(path.encode()).decode()}
    liar, agent = lie({"guest-exec": {"pid": 9}, "guest-exec-status": ended})
    agent.wait_ready(Deadline.after(5.0))
    with pytest.raises(SetupError, match="no folder"):
        QemuShell(agent).upload(b"x")
    assert not re.search("rm -rf|file-open", str(liar.asked))


def test_an_agent_that_is_not_root_s_is_not_used(lie: Lie) -> None:
    ended = {"exited": True, "exitcode": 0, "out-data": base64.b64encode(b"998\n").decode()}
    _liar, agent = lie({"guest-exec": {"pid": 9}, "guest-exec-status": ended})
    agent.wait_ready(Deadline.after(5.0))
    with pytest.raises(SetupError, match=r"must be root.*user 998"):
        install_through_qemu_agent(agent, AGENT_FILE)
