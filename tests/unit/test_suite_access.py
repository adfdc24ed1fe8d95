"""The server of `tailstest vm`, with its real socket: protocol, garbage, clients, left-overs."""

import io
import json
import os
import signal
import socket
import stat
import threading
import time
from contextlib import nullcontext, suppress
from types import SimpleNamespace

import pytest

from tailstest.cli.vm_client import ask
from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.verdict import Verdict
from tailstest.suite.access import open_access
from tailstest.suite.access_wire import MAX_LINE, PeerGone, Wire, WireError, content
from tailstest.suite.interactive import Prompt
from tailstest.suite.keeping import Keeping
from tailstest.suite.waiting_runs import WaitingRun, choose_run, waiting_runs

pytest_plugins = ["access_tools"]


def nothing(_kind, _data):
    pass


def execute(run, *command, stdin=None, take=nothing, **options):
    asked = {"op": "exec", "command": list(command), "timeout": 60, **options}
    return ask(run, asked, take, stdin=stdin)


def raw(run):
    connection = run.connect()
    connection.settimeout(20)
    return connection, connection.makefile("rb")


def waits(condition):
    assert poll(lambda: condition() or None, Deadline.after(20)), "it did not happen"


# Lines


def pair():
    one, other = socket.socketpair()
    return Wire(one), other


@pytest.mark.parametrize(
    "line", [b"no json\n", b"[1]\n", b'"text"\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\n"]
)
def test_a_line_that_is_no_object_is_an_error(line):
    wire, other = pair()
    threading.Thread(target=other.sendall, args=(line,)).start()
    with pytest.raises(WireError):
        wire.receive(5)


def test_an_endless_line_is_cut_off_at_the_limit():
    wire, other = pair()
    sender = threading.Thread(
        target=lambda: _ignore(lambda: other.sendall(b"x" * (MAX_LINE + (1 << 17))))
    )
    sender.start()
    with pytest.raises(WireError, match="more than"):
        wire.receive(20)
    wire.close()
    sender.join(20)


def test_what_is_sent_arrives_whatever_the_bytes():
    wire, other = pair()
    data = bytes(range(256)) * 1000
    sender = threading.Thread(target=wire.send_bytes, args=("stdout", data))
    sender.start()
    far, got = Wire(other), b""
    while len(got) < len(data):
        got += content(far.receive(20), "stdout")
    assert got == data


def test_an_end_is_told_from_silence():
    wire, other = pair()
    with pytest.raises(TimeoutError):
        wire.receive(0.1)
    assert wire.receive_now() is None
    wire.check_peer()
    other.sendall(b'{"unread": 1}\n')
    other.close()
    with pytest.raises(PeerGone):
        wire.check_peer()
    assert wire.receive(5) == {"unread": 1}
    with pytest.raises(PeerGone):
        wire.receive(5)


@pytest.mark.parametrize("value", [None, 5, "no base64!", "é"])
def test_content_that_is_no_base64_is_an_error(value):
    with pytest.raises(WireError):
        content({"stdin": value}, "stdin")


# The folder of waiting runs


def test_socket_and_note_are_private_and_vanish(runtime, session, tmp_path):
    with open_access(session, tmp_path, "kept", pytest.fail) as opened:
        folder = opened.run.note.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
        assert modes == {0o600}
        assert [run.folder for run in waiting_runs()] == [str(tmp_path)]
    assert list(folder.iterdir()) == []


def test_what_dead_runs_left_behind_is_removed(access):
    folder = access.run.note.parent
    facts = json.loads(access.run.note.read_text())
    # Refused: a socket that nobody listens on.
    refused = socket.socket(socket.AF_UNIX)
    refused.bind(str(folder / f"{os.getpid()}-00000000.sock"))
    refused.close()
    (folder / f"{os.getpid()}-00000000.json").write_text(json.dumps(facts))
    # A child still listens, but the run is gone; and a socket without any note.
    orphan = socket.socket(socket.AF_UNIX)
    orphan.bind(str(folder / "4194999-00000001.sock"))
    orphan.listen()
    (folder / "4194999-00000001.json").write_text(json.dumps(facts | {"pid": 4194999}))
    (folder / "4194999-00000002.sock").touch()
    (folder / f"{os.getpid()}-00000003.json").write_text("garbage")
    assert [run.note for run in waiting_runs()] == [access.run.note]
    orphan.close()
    assert sorted(folder.iterdir()) == sorted([access.run.note, access.run.address])


def test_a_path_that_is_too_long_is_only_told(session, tmp_path, monkeypatch):
    place = tmp_path / ("long" * 20)
    place.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    said = []
    with open_access(session, tmp_path, "kept", said.append) as opened:
        assert opened is None
    assert "too long for a socket" in said[0]


def test_several_runs_must_be_told_apart(access, session, tmp_path):
    other = tmp_path / "runs" / "run-two"
    other.mkdir()
    assert choose_run(None).name == "run-one"
    with open_access(session, other, "paused", pytest.fail):
        with pytest.raises(UsageError) as caught:
            choose_run(None)
        assert "run-one" in str(caught.value)
        assert "run-two" in str(caught.value)
        assert "--run" in str(caught.value)
        assert "\x1b" not in str(caught.value)
        assert choose_run("two").name == "run-two"
        assert choose_run(str(other)).name == "run-two"
        with pytest.raises(UsageError, match='called "three"'):
            choose_run("three")
        with pytest.raises(UsageError, match="2 runs wait"):
            choose_run("run-")


def test_no_run_says_what_to_do(runtime):
    with pytest.raises(UsageError, match="--keep"):
        choose_run(None)


# Requests


def test_a_command_has_its_bytes_and_status(access):
    got = {"stdout": b"", "stderr": b""}

    def take(kind, data):
        got[kind] += data

    data = bytes(range(256)) * 4096
    stdin = io.BytesIO(data)
    done = execute(access.run, "cat; printf '\\377' >&2; exit 7", stdin=stdin, take=take)
    assert done["status"] == 7
    assert got == {"stdout": data, "stderr": b"\xff"}


def test_words_are_a_program_and_options_are_passed_on(access, session):
    assert execute(access.run, "sh", "-c", "exit $#", "sh", "a b", "c")["status"] == 2
    execute(access.run, "true", user="live", session=True)
    command, options = session.channel.started[-1]
    assert command == "true"
    assert (options["user"], options["session"], options["within"]) == ("live", True, 60)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"op": 5},
        {"op": "reboot"},
        {"op": "exec"},
        {"op": "exec", "command": "ls", "timeout": 5},
        {"op": "exec", "command": [], "timeout": 5},
        {"op": "exec", "command": ["ls", 5], "timeout": 5},
        {"op": "exec", "command": ["ls"]},
        {"op": "exec", "command": ["ls"], "timeout": -1},
        {"op": "exec", "command": ["ls"], "timeout": 1e300},
        {"op": "exec", "command": ["ls"], "timeout": True},
        {"op": "exec", "command": ["ls"], "timeout": 5, "user": 5},
        {"op": "put", "source": "relative", "target": "/x"},
        {"op": "put", "source": "/nowhere/at/all", "target": "/x"},
        {"op": "get", "source": "/x", "target": "relative"},
        {"op": "get", "source": "relative", "target": "/tmp/never-made"},
        {"op": "console", "lines": "all"},
        {"op": "console", "lines": 10**9},
    ],
)
def test_a_wrong_request_is_refused_and_the_next_one_served(access, asked):
    with pytest.raises(UsageError):
        ask(access.run, asked, nothing)
    assert execute(access.run, "true")["status"] == 0


@pytest.mark.parametrize("sent", [b"garbage\n", b"[]\n", b"x" * (MAX_LINE + 10), b"", b'{"op":'])
def test_garbage_does_no_harm(access, sent):
    connection, _file = raw(access.run)
    with suppress(OSError):
        connection.sendall(sent)
    connection.close()
    assert execute(access.run, "true")["status"] == 0


def test_a_command_is_not_fed_with_anything_but_input(access):
    connection, file = raw(access.run)
    assert "tailstest" in json.loads(file.readline())
    asked = {"op": "exec", "command": ["sleep", "100"], "timeout": 60}
    connection.sendall(json.dumps(asked).encode() + b'\n{"op": "shot"}\n')
    assert json.loads(file.readline())["error"]["status"] == 3


def test_a_silent_client_is_dropped(access, monkeypatch):
    monkeypatch.setattr("tailstest.suite.access._ASKED_WITHIN", 0.2)
    _connection, file = raw(access.run)
    file.readline()
    assert file.readline() == b""


def test_two_clients_are_served_one_after_the_other(access, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tailstest.cli.vm_client._PATIENCE", 0.3)
    order = tmp_path / "order"  # the commands tell it: threads may be woken in any
    first = threading.Thread(
        target=lambda: execute(access.run, f"sleep 1.5; echo first >>{order}"), daemon=True
    )
    first.start()
    waits(lambda: access._turn.locked())
    execute(access.run, f"echo second >>{order}")
    first.join()
    assert order.read_text() == "first\nsecond\n"
    assert "another terminal is at work" in capsys.readouterr().err


def test_a_client_that_leaves_ends_its_command(access, session, tmp_path):
    connection, file = raw(access.run)
    file.readline()
    asked = {"op": "exec", "command": [f"touch {tmp_path}/began; sleep 100"], "timeout": 90}
    connection.sendall(json.dumps(asked).encode() + b"\n")
    waits((tmp_path / "began").exists)
    connection.shutdown(socket.SHUT_RDWR)
    file.close()
    connection.close()
    began = time.monotonic()
    assert execute(access.run, "true")["status"] == 0
    assert time.monotonic() - began < 20


def test_a_client_that_leaves_with_its_input_untaken_ends_its_command(access, tmp_path):
    connection, file = raw(access.run)
    file.readline()
    asked = {"op": "exec", "command": [f"touch {tmp_path}/began; sleep 100"], "timeout": 90}
    wire = Wire(connection)
    wire.send(asked)
    sender = threading.Thread(
        target=lambda: _ignore(lambda: wire.send_bytes("stdin", b"x" * 10**7))
    )
    sender.start()
    waits((tmp_path / "began").exists)
    connection.shutdown(socket.SHUT_RDWR)
    sender.join(20)
    assert execute(access.run, "true")["status"] == 0


def _ignore(action):
    with suppress(WireError, OSError, ValueError):
        action()


def test_the_end_of_the_wait_breaks_a_command_off(runtime, session, tmp_path):
    caught = []

    def client(run):
        try:
            execute(run, f"touch {tmp_path}/began; sleep 100")
        except InfrastructureError as error:
            caught.append(str(error))

    with open_access(session, tmp_path, "kept", pytest.fail) as opened:
        thread = threading.Thread(target=client, args=(opened.run,))
        thread.start()
        waits((tmp_path / "began").exists)
        began = time.monotonic()
    thread.join(20)
    assert time.monotonic() - began < 10
    assert "let its machine go" in caught[0]
    with pytest.raises(InfrastructureError, match="let its machine go"):
        execute(opened.run, "true")


def test_a_bug_is_told_and_the_next_request_served(access, session):
    session.desktop = SimpleNamespace(dump=lambda _app: {}["missing"])
    with pytest.raises(InfrastructureError, match="a bug in tailstest: KeyError"):
        ask(access.run, {"op": "tree"}, nothing)
    assert execute(access.run, "true")["status"] == 0


def test_a_machine_that_is_off_shows_its_last_picture(access, session):
    session.switch_off()
    assert "last picture" in ask(access.run, {"op": "shot"}, nothing)["note"]


def test_a_run_of_another_version_is_told(runtime, tmp_path):
    run = WaitingRun.of_this_process(tmp_path, "s", None, "kept")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(run.address))
        listener.listen()
        run.write()
        greet = threading.Thread(target=lambda: listener.accept()[0].send(b'{"tailstest": 99}\n'))
        greet.start()
        with pytest.raises(InfrastructureError, match="another version"):
            execute(run, "true")
        greet.join()


# Who holds the machine


def test_the_prompt_and_other_terminals_take_turns(runtime, session, tmp_path):
    shown, statuses = io.StringIO(), []
    done = threading.Event()
    session.keyboard = SimpleNamespace(press=lambda _keys: (client.start(), waits(client.is_alive)))

    def from_outside():
        statuses.append(execute(choose_run(None), "exit 4")["status"])
        done.set()

    client = threading.Thread(target=from_outside)

    class Typing(io.StringIO):
        def readline(self, *_arguments):
            line = super().readline()
            if not line:
                waits(done.is_set)
            return line

    prompt = Prompt(
        session,
        SimpleNamespace(),
        nullcontext,
        open_access=lambda: open_access(session, tmp_path, "paused", pytest.fail),
        stdin=Typing("press Enter\n"),
        stdout=shown,
    )
    step = SimpleNamespace(keyword="When", name="x", exception=None, error_message="")
    assert not prompt.after_failed_step(None, step)
    client.join(20)
    assert statuses == [4]
    assert "tailstest vm exec" in shown.getvalue()
    assert waiting_runs() == []


def keep(session, tmp_path, stdin, stdout):
    return Keeping(
        session,
        nullcontext,
        lambda: open_access(session, tmp_path, "kept", pytest.fail),
        stdin=stdin,
        stdout=stdout,
    )


@pytest.mark.parametrize("way", ["enter", signal.SIGINT, signal.SIGTERM])
def test_a_kept_machine_is_held_until_somebody_lets_it_go(runtime, session, tmp_path, way):
    shown = io.StringIO()
    statuses = []
    read, write = os.pipe()

    def visitor():
        waits(lambda: waiting_runs())
        statuses.append(execute(choose_run(None), "exit 3")["status"])
        if way == "enter":
            os.write(write, b"\n")
        else:
            os.kill(os.getpid(), way)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=visitor)
    with os.fdopen(read) as stdin:
        thread.start()
        keep(session, tmp_path, stdin, shown).hold(Verdict.FAILED)
    thread.join(20)
    os.close(write)
    assert statuses == [3]
    assert session.ended_films == [Verdict.FAILED]
    assert shown.getvalue().count("\n") == 1
    assert "(failed) is kept until Enter" in shown.getvalue()
    assert "\x1b" not in shown.getvalue()
    assert signal.getsignal(signal.SIGTERM) is before
    assert waiting_runs() == []


def test_the_end_of_the_input_does_not_let_a_machine_go(runtime, session, tmp_path):
    def visitor():
        waits(lambda: waiting_runs())
        time.sleep(1)
        still.extend(waiting_runs())
        os.kill(os.getpid(), signal.SIGTERM)

    still = []
    thread = threading.Thread(target=visitor)
    with open(os.devnull) as stdin:  # noqa: PTH123
        thread.start()
        keep(session, tmp_path, stdin, io.StringIO()).hold(Verdict.PASSED)
    thread.join(20)
    assert len(still) == 1


def test_without_a_machine_nothing_is_kept(session, tmp_path):
    session.has_machine = False
    shown = io.StringIO()
    keep(session, tmp_path, io.StringIO(), shown).hold(Verdict.ERRORED)
    assert "no machine to keep" in shown.getvalue()
