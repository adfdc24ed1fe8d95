"""A guest that lies, floods, falls silent or cuts the line gives one clear error, in time."""

import contextlib
import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailstest.core.deadline import Deadline
from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.guest import agent_client, line, running
from tailstest.guest.agent import AGENT_FILE
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.answers import Answer, parse_listing
from tailstest.guest.errors import GuestProtocolError, GuestUnreachable
from tailstest.guest.folders import unpack
from tailstest.guest.frames import MAGIC, Frame, FrameReader, Kind, encode

INFO = {"version": 1, "sha256": "0" * 64, "pid": 1, "uid": 0, "boot_id": "b", "clock": 1.0}
RAN = {"status": 0, "timed_out": False, "truncated": False, "background": False, "seconds": 0.1}

#: What a fake agent answers to a request: frames (kind and payload), or raw bytes.
Reply = tuple[int, bytes] | bytes


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


class Liar:
    """An agent that greets politely and then answers every request as it was told."""

    def __init__(
        self,
        replies: Callable[[dict[str, object]], list[Reply]],
        *,
        hello: bytes = as_json(INFO),
        close_after: bool = False,
        shift: int = 0,
    ) -> None:
        self.host, self.guest = socket.socketpair()
        self._replies, self._hello = replies, hello
        self._close_after, self._shift = close_after, shift
        self.client = AgentClient(self.host.dup)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        reader = FrameReader()
        try:
            while data := self.guest.recv(65_536):
                for frame in reader.feed(data):
                    self._answer(frame)
        except OSError:
            pass

    def _answer(self, frame: Frame) -> None:
        if frame.kind == Kind.HELLO:
            self._send(frame, [(Kind.HELLO_ANSWER, self._hello)])
        elif frame.kind == Kind.REQUEST:
            self._send(frame, self._replies(json.loads(frame.payload)))
            if self._close_after:
                self.guest.shutdown(socket.SHUT_RDWR)

    def _send(self, to: Frame, replies: list[Reply]) -> None:
        for reply in replies:
            if isinstance(reply, bytes):
                self.guest.sendall(reply)
            else:
                shift = self._shift if to.request else 0
                self.guest.sendall(encode(Frame(reply[0], to.epoch, to.request + shift, reply[1])))

    def close(self) -> None:
        self.client.close()
        self.guest.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.guest.close()
        self.host.close()


@pytest.fixture
def lying() -> Iterator[Callable[..., AgentClient]]:
    made: list[Liar] = []

    def make(*replies: Reply, **options: object) -> AgentClient:
        made.append(Liar(lambda body: list(replies), **options))  # type: ignore[arg-type]
        return made[-1].client

    yield make
    for liar in made:
        liar.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (line, running, agent_client):
        monkeypatch.setattr(module, "ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(running, "GRACE", 0.3)


STARTED: Reply = (Kind.STARTED, b"{}")


def result(**values: object) -> Reply:
    return (Kind.RESULT, as_json({**RAN, **values}))


def test_c41_a_socket_that_swallows_greetings_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line, "REOPEN_AFTER", 0.3)
    swallowing, nobody = socket.socketpair()
    liar = Liar(lambda _body: [])
    sockets = [swallowing, liar.host]
    opened = []

    def connect() -> socket.socket:
        opened.append(sockets[len(opened)])
        return opened[-1]

    client = AgentClient(connect)
    try:
        assert client.wait_ready(Deadline.after(30)).version == 1
        assert opened == sockets
    finally:
        client.close()
        liar.close()
        nobody.close()


def test_c41_nobody_who_answers_is_one_error_with_the_whole_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line, "REOPEN_AFTER", 0.2)
    pairs = [socket.socketpair() for _ in range(40)]
    left = iter(pairs)
    client = AgentClient(lambda: next(left)[0])
    try:
        with pytest.raises(GuestUnreachable, match="did not answer in 1 seconds") as caught:
            client.wait_ready(Deadline.after(1.0))
        assert "Look at the screen" in str(caught.value)
    finally:
        client.close()
        for pair in pairs:
            for one in pair:
                one.close()


def test_the_liar_can_be_honest(lying: Callable[..., AgentClient]) -> None:
    done = lying(STARTED, (Kind.STDOUT, b"hi"), result()).run("x")
    assert (done.out, done.ok) == ("hi", True)


@pytest.mark.parametrize(
    "hello",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"version": ' + b"9" * 60_000 + b"}",
        as_json({**INFO, "version": 2}),
        as_json({**INFO, "version": True}),
        as_json({**INFO, "pid": "1"}),
        as_json({**INFO, "sha256": "x" * 65}),
        as_json({**INFO, "clock": None}),
        b'{"version": 1, "sha256": "", "pid": 1, "uid": 0, "boot_id": "", "clock": NaN}',
        b'{"version": 1, "sha256": "", "pid": 1, "uid": 0, "boot_id": "", "clock": 1e999}',
    ],
    ids=range(12),
)
def test_a_false_greeting(lying: Callable[..., AgentClient], hello: bytes) -> None:
    with pytest.raises(GuestProtocolError):
        lying(hello=hello).wait_ready(Deadline.after(60.0))


@pytest.mark.parametrize(
    "replies",
    [
        [result(status="0")],
        [result(status=10**9)],
        [result(timed_out=0)],
        [result(seconds="long")],
        [(Kind.RESULT, b"{}")],
        [(Kind.RESULT, b'"text"')],
        [STARTED, (Kind.STDOUT, bytes(40_000)), (Kind.STDERR, bytes(60_000)), result()],
        [STARTED, (Kind.CONTENT, b"x"), result()],
        [STARTED, (Kind.CREDIT, struct.pack(">I", 1)), result()],
        [STARTED, (Kind.CREDIT, b"x"), result()],
        [STARTED, (99, b""), result()],
        [(Kind.ERROR, b"")],
        [(Kind.ERROR, as_json({"code": 1, "message": "", "path": ""}))],
        [(Kind.ERROR, as_json({"code": "missing", "message": ["x"], "path": ""}))],
    ],
    ids=range(14),
)
def test_a_false_answer_to_a_command(
    lying: Callable[..., AgentClient], replies: list[Reply]
) -> None:
    with pytest.raises(GuestProtocolError):
        lying(*replies).run("x", limit=50_000)


def test_an_error_of_the_guest_is_shown_short_and_safe(lying: Callable[..., AgentClient]) -> None:
    error = {"code": "no_such_code", "message": "\x1b[31m" + "m" * 4000, "path": "/\x07" * 2000}
    with pytest.raises(InfrastructureError) as caught:
        lying((Kind.ERROR, as_json(error))).run("x")
    assert len(str(caught.value)) < 2000
    assert "\x1b" not in str(caught.value) and "\x07" not in str(caught.value)


@pytest.mark.parametrize(
    "replies",
    [
        [],
        [STARTED],
        [STARTED, (Kind.STDOUT, b"more to come")],
        [MAGIC + b"\x12" + bytes(8) + b"\0\0\xff\xff" + bytes(30)],
        [b"\xff" * 300_000],
        [encode(Frame(Kind.RESULT, 12345, 1, as_json(RAN)))],
    ],
    ids=range(6),
)
@pytest.mark.usefixtures("impatient")
def test_an_answer_that_never_comes(
    lying: Callable[..., AgentClient], replies: list[Reply]
) -> None:
    client = lying(*replies)
    client.wait_ready(Deadline.after(60.0))
    started = time.monotonic()
    with pytest.raises(GuestUnreachable, match=r"did not|does not read"):
        client.run("x", within=0.3)
    assert time.monotonic() - started < 30


@pytest.mark.usefixtures("impatient")
def test_an_answer_to_another_number(lying: Callable[..., AgentClient]) -> None:
    client = lying(STARTED, result(), shift=1)
    client.wait_ready(Deadline.after(60.0))
    with pytest.raises(GuestUnreachable, match="did not answer"):
        client.run("x")


@pytest.mark.parametrize("replies", [[], [STARTED], [STARTED, encode(Frame(20, 1, 1, b"x"))[:9]]])
def test_a_line_that_is_cut_in_the_middle(
    lying: Callable[..., AgentClient], replies: list[Reply]
) -> None:
    with pytest.raises(GuestUnreachable, match="was closed"):
        lying(*replies, close_after=True).run("x")


def test_a_guest_that_always_says_it_was_restarted(lying: Callable[..., AgentClient]) -> None:
    error = {"code": "epoch", "message": "", "path": ""}
    with pytest.raises(GuestUnreachable, match="restarted"):
        lying((Kind.ERROR, as_json(error))).run("x")


@pytest.mark.usefixtures("impatient")
def test_input_that_nobody_takes(lying: Callable[..., AgentClient]) -> None:
    client = lying(STARTED)
    client.wait_ready(Deadline.after(60.0))
    with pytest.raises(GuestUnreachable, match="take its input"):
        client.run("x", stdin=bytes(1 << 20), within=0.3)
    with pytest.raises(GuestUnreachable, match="take '/x'"):
        client.put(bytes(1 << 20), "/x", within=0.3)


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([STARTED, (Kind.CONTENT, bytes(2000)), (Kind.RESULT, b"{}")], GuestProtocolError),
        ([STARTED, (Kind.CONTENT, b"x"), (Kind.RESULT, b"{}")], GuestProtocolError),
        (
            [STARTED, (Kind.CONTENT, b"x"), (Kind.RESULT, as_json({"size": 1, "digest": "00"}))],
            GuestProtocolError,
        ),
        ([STARTED, (Kind.STDOUT, b"x")], GuestProtocolError),
    ],
    ids=range(4),
)
def test_a_false_file_leaves_nothing(
    lying: Callable[..., AgentClient],
    replies: list[Reply],
    error: type[TailstestError],
    tmp_path: Path,
) -> None:
    client = lying(*replies)
    with pytest.raises(error):
        client.get("/file", tmp_path / "file", limit=1000)
    with pytest.raises(error):
        client.read("/file", limit=1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "listing", [b"x", b"fa/b\0", b"f..\0", b"f\0", b"zname\0", b"\0", b"fa\0fb"]
)
def test_a_false_listing(listing: bytes) -> None:
    with pytest.raises(GuestProtocolError):
        parse_listing(listing)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    made.size = 4 if kind == tarfile.REGTYPE else 0
    return made


def archive(*members: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for one in members:
            tar.addfile(one, io.BytesIO(b"evil") if one.size else None)
    return packed.getvalue()


SYM, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
EVIL = {
    "absolute": [member("/tmp/evil")],
    "upwards": [member("../evil")],
    "upwards inside": [member("a/../../evil")],
    "upwards and back": [member("a/../evil")],
    "link out": [member("link", SYM, "../x")],
    "absolute link": [member("link", SYM, "/etc")],
    "empty link": [member("link", SYM, "")],
    "through a link": [member("link", SYM, "."), member("link/evil")],
    "link through a link": [
        member("d", tarfile.DIRTYPE),
        member("a", SYM, "d"),
        member("b", SYM, "d/../a/../.."),
    ],
    "chain of links": [
        member("d/e", tarfile.DIRTYPE),
        member("s", SYM, "d/e"),
        member("d/e/up", SYM, "../.."),
        member("d/out", SYM, "e/up/../x"),
    ],
    "hard link out": [member("link", HARD, "../../etc/passwd")],
    "hard link to nothing": [member("link", HARD, "none")],
    "device": [member("null", tarfile.CHRTYPE)],
    "fifo": [member("fifo", tarfile.FIFOTYPE)],
    "twice": [member("a"), member("a")],
    "file as a folder": [member("a"), member("a/b")],
    "name too long": [member("n" * 300)],
    "too much": [member(str(number)) for number in range(100)],
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL.keys())
def test_an_archive_that_would_get_out_is_refused(
    members: list[tarfile.TarInfo], tmp_path: Path
) -> None:
    inside = tmp_path / "outer" / "inside"
    inside.mkdir(parents=True)
    with pytest.raises(GuestProtocolError):
        unpack(io.BytesIO(archive(*members)), inside, 300)
    assert [
        path for path in tmp_path.rglob("*") if path != inside and inside not in path.parents
    ] == [inside.parent]


def test_an_archive_with_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailstest.guest.folders.MAX_ENTRIES", 3)
    with pytest.raises(GuestProtocolError, match="over 3 entries"):
        unpack(io.BytesIO(archive(*(member(str(n)) for n in range(4)))), tmp_path, 1000)


def test_links_that_stay_inside_are_made(tmp_path: Path) -> None:
    links = [member("d/l", SYM, "../a"), member("h", HARD, "a"), member("./dangling", SYM, "none")]
    unpack(io.BytesIO(archive(member("a"), *links)), tmp_path, 1000)
    assert (tmp_path / "d" / "l").read_bytes() == b"evil"
    assert (tmp_path / "h").samefile(tmp_path / "a")
    assert (tmp_path / "dangling").is_symlink()


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_archive_is_one_error_or_stays_inside(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    data = bytearray(archive(member("a/b"), member("é" * 120), member("l", SYM, "a")))
    for _ in range(chance.choice([1, 5, 50])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    inside = tmp_path / "inside"
    inside.mkdir()
    with contextlib.suppress(GuestProtocolError):
        unpack(io.BytesIO(data[: chance.randrange(1, len(data))]), inside, 10_000)
    assert list(tmp_path.iterdir()) == [inside]


def test_an_archive_goes_to_its_folder_or_nowhere(
    lying: Callable[..., AgentClient], tmp_path: Path
) -> None:
    client = lying(STARTED, (Kind.STDOUT, archive(member("../evil"))), result())
    with pytest.raises(GuestProtocolError, match="leads outside"):
        client.get_folder("/folder", tmp_path / "got")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.usefixtures("impatient")
def test_noise_of_a_mutated_stream_never_hangs_the_client(seed: int) -> None:
    chance = random.Random(seed)

    def replies(body: dict[str, object]) -> list[Reply]:
        kinds = [chance.choice([*Kind, 0, 255]) for _ in range(30)]
        junk = [b"", b"{}", b"[1]", as_json(RAN), os.urandom(40), struct.pack(">I", 7)]
        made: list[Reply] = [(kind, chance.choice(junk)) for kind in kinds]
        made.insert(chance.randrange(30), bytes(chance.randbytes(5000)))
        return [STARTED, *made]

    liar = Liar(replies)
    try:
        liar.client.wait_ready(Deadline.after(60.0))
        started = time.monotonic()
        for _ in range(3):
            try:
                liar.client.run("x", within=0.2, limit=100)
            except TailstestError:
                continue
        assert time.monotonic() - started < 60
    finally:
        liar.close()


def test_numbers_of_all_kinds_are_checked() -> None:
    answer = Answer(b'{"a": 1.5, "b": true, "c": -1, "d": 1e400, "e": 5}')
    assert (answer.integer("e"), answer.number("a"), answer.flag("b")) == (5, 1.5, True)
    for call in (
        lambda: answer.integer("a"),
        lambda: answer.integer("b"),
        lambda: answer.integer("c"),
        lambda: answer.number("d"),
        lambda: answer.number("b"),
        lambda: answer.flag("e"),
        lambda: answer.text("e"),
        lambda: answer.text("none"),
    ):
        with pytest.raises(GuestProtocolError):
            call()


@pytest.mark.parametrize("seed", range(5))
def test_the_agent_survives_requests_that_make_no_sense(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    junk = [None, True, -1, 1.5, 10**30, "", "x", "\0", [], ["true"], [1], {}, {"A": 1}, {"": ""}]
    names = ["argv", "user", "session", "stdin", "env", "cwd", "within", "limit", "path", "mode"]
    names += ["owner", "parents", "seconds", "digest"]
    host, guest = socket.socketpair()
    command = [sys.executable, "-I", str(AGENT_FILE), f"fd:{guest.fileno()}"]
    process = subprocess.Popen(command, pass_fds=[guest.fileno()], cwd=tmp_path)
    client = AgentClient(host.dup)
    try:
        host.sendall(encode(Frame(Kind.HELLO, 5, 0, b"{}")))
        for number in range(300):
            body: dict[str, object] = {name: chance.choice(junk) for name in names}
            body["op"] = chance.choice(["run", "put", "get", "stat", "list", "ping", 7, "set_clok"])
            payload = chance.choice([as_json(body), chance.randbytes(30), b"[" * 5000])
            kind = chance.choice([*Kind, Kind.REQUEST, Kind.REQUEST, 200])
            if kind != Kind.HELLO:
                host.sendall(encode(Frame(kind, 5, chance.choice([number, 1, 2]), payload)))
            if chance.random() < 0.1:
                host.sendall(chance.randbytes(50))
        client.wait_ready(Deadline.after(60.0))
        assert client.run("echo alive").out == "alive\n"
        assert process.poll() is None
        assert list(tmp_path.iterdir()) == []
    finally:
        client.close()
        process.terminate()
        process.wait(30)
        host.close()
        guest.close()
