"""The real agent, started as a process on a socket, and the client that talks to it."""

import ast
import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.guest.agent import AGENT_FILE, agent_digest
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.channel import GuestChannel
from tailstest.guest.errors import GuestPathMissing, GuestRefused, GuestUnreachable
from tailstest.guest.frames import FILLER, Frame, FrameReader, Kind, encode
from tailstest.guest.results import Completed

ME = pwd.getpwuid(os.geteuid()).pw_name
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def soon() -> Deadline:
    return Deadline.after(60.0)


def until(look: Callable[[], bool]) -> bool:
    return poll(lambda: look() or None, soon()) is True


def is_alive(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in (b"Z", b"X")


class Guest:
    """An agent's process, and the host's end of its port."""

    def __init__(self, *, start: bool = True, before: bytes = b"") -> None:
        self.host, self.port = socket.socketpair()
        self.host.sendall(before)
        self.process: subprocess.Popen[bytes] | None = None
        self.clients: list[AgentClient] = []
        if start:
            self.start()

    def start(self, *, environment: dict[str, str] | None = None) -> None:
        fd = self.port.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(AGENT_FILE), f"fd:{fd}"], pass_fds=[fd], env=environment
        )

    def kill_agent(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self) -> AgentClient:
        client = AgentClient(lambda: self.host.dup())
        self.clients.append(client)
        return client

    def close(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
        for client in self.clients:
            client.close()
        self.host.close()
        self.port.close()


@pytest.fixture
def guest() -> Iterator[Guest]:
    made = Guest()
    yield made
    made.close()


@pytest.fixture
def client(guest: Guest) -> AgentClient:
    return guest.client()


def test_the_agent_is_one_file_for_python_3_9_that_imports_only_the_standard_library() -> None:
    tree = ast.parse(AGENT_FILE.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported <= sys.stdlib_module_names


def test_it_says_who_it_is(client: AgentClient) -> None:
    channel: GuestChannel = client  # a type checker compares the two
    info = channel.wait_ready(soon())
    assert (info.version, info.sha256, info.uid) == (1, agent_digest(), os.geteuid())
    assert info.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert abs(info.clock - time.time()) < 60
    assert 0 < client.ping() < 30


def test_output_and_errors_come_apart_and_binary(client: AgentClient) -> None:
    done = client.run(r"printf '\000\377out'; printf '\000TT\001err' >&2; exit 7")
    assert (done.stdout, done.stderr) == (b"\x00\xffout", b"\x00TT\x01err")
    assert (done.status, done.ok, done.timed_out, done.background) == (7, False, False, False)
    assert client.run(["true"]).ok


def test_arguments_are_not_read_by_a_shell(client: AgentClient) -> None:
    words = ["printf", "%s|", "-n", "$HOME", "a\nb", "ü", "*"]
    assert client.run(words).out == "-n|$HOME|a\nb|ü|*|"


def test_a_signal_is_a_negative_status(client: AgentClient) -> None:
    done = client.run("kill -TERM $$")
    assert done.status == -signal.SIGTERM
    assert "signal 15 (SIGTERM)" in done.explain()


def test_environment_and_folder(client: AgentClient, tmp_path: Path) -> None:
    done = client.run('printf "%s|" "$A" "$PWD"', env={"A": "x=y z"}, cwd=str(tmp_path))
    assert done.out == f"x=y z|{tmp_path}|"


def test_a_user_has_its_home_and_name(client: AgentClient) -> None:
    entry = pwd.getpwnam(ME)
    done = client.run('printf "%s|" "$USER" "$LOGNAME" "$HOME" "$PWD" "$SHELL"', user=ME)
    home = entry.pw_dir
    assert done.out == f"{ME}|{ME}|{home}|{home}|{entry.pw_shell}|"


@needs_root
def test_another_user_has_none_of_our_rights(client: AgentClient, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = client.run(f"id -u; id -G; cat /proc/self/status; ls {tmp_path}", user="nobody")
    nobody = pwd.getpwnam("nobody")
    assert done.out.split("\n")[:2] == [str(nobody.pw_uid), str(nobody.pw_gid)]
    assert "CapEff:\t0000000000000000" in done.out
    assert done.status != 0


def test_what_is_not_there_is_named(client: AgentClient, tmp_path: Path) -> None:
    with pytest.raises(GuestPathMissing, match="no-such-program") as caught:
        client.run(["/no-such-program"])
    assert caught.value.exit_status == CheckFailed.exit_status
    with pytest.raises(GuestPathMissing, match="'/no-such-folder'"):
        client.run(["true"], cwd="/no-such-folder")
    with pytest.raises(GuestPathMissing, match="nothing-here"):
        client.read(str(tmp_path / "nothing-here"))
    with pytest.raises(GuestRefused, match="no user 'no-such-user'"):
        client.run("true", user="no-such-user")


def test_calls_that_can_never_work_are_the_tests_mistake(client: AgentClient) -> None:
    for call in (
        lambda: client.run(""),
        lambda: client.run([]),
        lambda: client.run(["a\0b"]),
        lambda: client.run("true", session=True),
        lambda: client.run("x" * 70_000),
        lambda: client.run("true", within=-1.0),
        lambda: client.run("true", env={"A=B": ""}),
        lambda: client.read("relative"),
        lambda: client.put(b"", "../x"),
        lambda: client.set_clock(-1.0),
    ):
        with pytest.raises(UsageError):
            call()


def test_a_user_without_a_session_is_said(client: AgentClient) -> None:
    with pytest.raises(GuestRefused, match="user daemon has no graphical session"):
        client.run("true", user="daemon", session=True)


@needs_root
def test_a_session_lends_its_environment(client: AgentClient) -> None:
    borrowed = {"WAYLAND_DISPLAY": "wl-7", "XDG_SEAT": "seat7", "LC_TIME": "C", "SECRET": "no"}
    options = {"user": "games", "group": "games", "extra_groups": []}
    desktop = subprocess.Popen(["sleep", "600"], env=borrowed, **options)  # type: ignore[call-overload]
    try:
        done = client.run("env; id -un", user="games", session=True)
        ours = set(done.out.split("\n"))
        assert {"WAYLAND_DISPLAY=wl-7", "XDG_SEAT=seat7", "LC_TIME=C", "games"} <= ours
        assert "SECRET" not in done.out
        # What starts a session has a screen before it has a bus; the bus is what is wanted.
        bus = {"WAYLAND_DISPLAY": "wl-8", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/bus"}
        with_bus = subprocess.Popen(["sleep", "600"], env=bus, **options)  # type: ignore[call-overload]
        try:
            assert "unix:path=/bus" in client.run("env", user="games", session=True).out
        finally:
            with_bus.kill()
            with_bus.wait()
    finally:
        desktop.kill()
        desktop.wait()


def test_the_time_limit_kills_grandchildren_that_ran_away(
    client: AgentClient, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    child = f"echo $$ >> {pids}; exec sleep 600"
    command = f"""
        setsid sh -c '{child}' &
        (setsid sh -c '{child}' </dev/null >/dev/null 2>&1 &)
        sh -c '{child}' &
        while [ "$(cat {pids} | wc -l)" -lt 3 ]; do sleep 0.05; done
        echo ready; sleep 600
    """
    done = client.run(command, within=8.0)
    assert (done.timed_out, done.status, done.out) == (True, -signal.SIGKILL, "ready\n")
    assert 7.9 < done.seconds < 60
    assert "killed at its time limit" in done.explain()
    found = [int(line) for line in pids.read_text().split()]
    assert len(found) == 3
    assert until(lambda: not any(map(is_alive, found)))


def test_a_flood_is_cut_at_the_limit_and_starves_nobody(client: AgentClient) -> None:
    with client.start("yes", limit=400 << 20) as flood:
        assert flood.read_stdout(30.0)
        assert client.run("echo fair").out == "fair\n"
        assert client.ping() < 30
        flood.kill()
        assert flood.wait().status == -signal.SIGKILL
    done = client.run("yes >&2", limit=1_000_001)
    assert (done.truncated, done.ok, len(done.stderr)) == (True, False, 1_000_001)
    assert "wrote too much" in done.explain()


def test_exactly_the_limit_is_not_too_much(client: AgentClient) -> None:
    done = client.run("head -c 100000 /dev/zero", limit=100_000)
    assert (done.ok, len(done.stdout)) == (True, 100_000)


def test_a_background_child_is_not_waited_for(client: AgentClient, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = client.run(f"sleep 600 & echo $! > {pid}; echo done; exit 3", within=300.0)
    try:
        assert (done.status, done.background, done.timed_out) == (3, True, False)
        assert done.out == "done\n"
        assert done.seconds < 60
        assert is_alive(int(pid.read_text()))
        assert "in the background" in done.explain()
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_background_child_that_writes_for_ever_is_not_waited_for(client: AgentClient) -> None:
    done = client.run("yes & exit 0", within=300.0)
    assert (done.status, done.background) == (0, True)
    assert done.stdout.startswith(b"y\ny\n")


def test_commands_run_at_the_same_time(client: AgentClient, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    results: list[Completed] = []
    thread = threading.Thread(target=lambda: results.append(client.run(f"cat {fifo}")))
    thread.start()
    assert client.run(f"echo hello > {fifo}").ok  # would hang if one came after the other
    thread.join(60)
    assert [done.out for done in results] == ["hello\n"]


def test_much_input_goes_through_and_comes_back(client: AgentClient) -> None:
    data = os.urandom(3 << 20)
    parts: list[bytes] = []
    done = client.run(["cat"], stdin=data, on_output=lambda name, new: parts.append(new))
    assert done.stdout == data
    assert b"".join(parts) == data


def test_a_command_need_not_read_its_input(client: AgentClient) -> None:
    done = client.run("head -c 3", stdin=b"abc" * (1 << 20))
    assert (done.ok, done.out) == (True, "abc")


def test_a_helper_can_be_talked_to(client: AgentClient) -> None:
    with client.start('while read -r word; do echo "<$word>"; done; printf end') as helper:
        helper.send(b"one\ntwo\n")
        assert helper.read_line(60.0) == b"<one>\n"
        assert helper.read_line(60.0) == b"<two>\n"
        assert helper.read_line(0.01) == b""
        assert helper.running
        helper.close_stdin()
        done = helper.wait()
        assert helper.read_line(0.01) == b"end"
    assert (done.ok, done.out) == (True, "<one>\n<two>\nend")


def test_waiting_shorter_than_the_command_kills_it(client: AgentClient) -> None:
    running = client.start(["sleep", "600"])
    done = running.wait(within=0.2)
    assert (done.timed_out, done.status) == (True, -signal.SIGKILL)
    assert running.wait() is done


def test_leaving_a_started_command_kills_it(client: AgentClient) -> None:
    with client.start("echo $$; exec sleep 600") as running:
        pid = int(running.read_line(60.0))
        assert is_alive(pid)
    assert until(lambda: not is_alive(pid))


def test_files_there_and_back(client: AgentClient, tmp_path: Path) -> None:
    data = os.urandom(1_500_000)
    target = tmp_path / "a" / "b" / "file"
    with pytest.raises(GuestPathMissing):
        client.put(data, str(target))
    client.put(data, str(target), 0o750, parents=True)
    assert target.read_bytes() == data
    assert target.stat().st_mode & 0o7777 == 0o750
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    client.get(str(target), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    assert client.read(str(target), limit=len(data)) == data
    client.put(tmp_path / "copy", str(tmp_path / "third"))
    assert (tmp_path / "third").read_bytes() == data
    client.put(b"", str(target))
    assert client.read(str(target)) == b""
    assert client.read("/proc/version") == Path("/proc/version").read_bytes()


@pytest.mark.parametrize("name", ["-rf", "new\nline", "übergrößé 名前", "'\"$(x) ;", " ", "\udcff"])
def test_any_name_can_be_used(client: AgentClient, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    client.put(b"content", str(path))
    assert path.read_bytes() == b"content"
    assert client.read(str(path)) == b"content"
    assert [(entry.name, entry.kind) for entry in client.list_folder(str(tmp_path))] == [
        (name, "file")
    ]
    assert client.stat(str(path)).size == 7


def test_what_cannot_be_transferred_leaves_nothing(client: AgentClient, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(bytes(2000))
    copy = tmp_path / "copy"
    with pytest.raises(GuestRefused, match="folder"):
        client.put(b"x", str(tmp_path / "folder"))
    for name in ("folder", "fifo"):
        with pytest.raises(GuestRefused, match="not a regular file"):
            client.get(str(tmp_path / name), copy)
    with pytest.raises(GuestRefused, match=r"too large.*1999"):
        client.get(str(tmp_path / "large"), copy, limit=1999)
    with pytest.raises(GuestRefused, match="too large"):
        client.read("/dev/../proc/cpuinfo", limit=3)  # says that it is empty, and is not
    with pytest.raises(GuestPathMissing):
        client.put(b"x", str(tmp_path / "fifo" / "below"), parents=True)
    with pytest.raises(UsageError, match="cannot write"):
        client.get(str(tmp_path / "large"), tmp_path / "none" / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "folder", "large"]


def test_stat_tells_files_folders_and_links(client: AgentClient, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir(mode=0o700)
    link, folder = client.stat(str(tmp_path / "link")), client.stat(str(tmp_path / "folder"))
    assert (link.kind, link.target) == ("link", "nowhere")
    assert (folder.kind, folder.mode, folder.uid) == ("folder", 0o700, os.geteuid())
    assert abs(folder.mtime - time.time()) < 600
    (tmp_path / "a").touch()
    os.mkfifo(tmp_path / "z")
    kinds = {entry.name: entry.kind for entry in client.list_folder(str(tmp_path))}
    assert kinds == {"a": "file", "folder": "folder", "link": "link", "z": "other"}
    with pytest.raises(GuestPathMissing):
        client.list_folder(str(tmp_path / "link"))


def test_long_listings_are_whole(client: AgentClient, tmp_path: Path) -> None:
    names = sorted(f"{number:04}" + "x" * 200 for number in range(1000))
    for name in names:
        (tmp_path / name).touch()
    assert [entry.name for entry in client.list_folder(str(tmp_path))] == names
    with pytest.raises(GuestRefused, match="more than 10 entries"):
        client.list_folder(str(tmp_path), limit=10)


def begin_put(guest: Guest, target: Path, epoch: int) -> None:
    """Greet, and send a part of a file."""
    guest.host.sendall(encode(Frame(Kind.HELLO, epoch, 0, b"{}")))
    put = b'{"op": "put", "parents": true, "path": "%s"}' % os.fsencode(target)
    guest.host.sendall(encode(Frame(Kind.REQUEST, epoch, 1, put)))
    guest.host.sendall(encode(Frame(Kind.DATA, epoch, 1, b"half of it")))
    assert until(lambda: any(p.stat().st_size for p in target.parent.glob(".tailstest-*")))


@pytest.mark.parametrize("how", ["greeting", "kill", "digest", "disconnect", "term"])
def test_an_interrupted_put_leaves_nothing(guest: Guest, tmp_path: Path, how: str) -> None:
    target = tmp_path / "new" / "file"
    begin_put(guest, target, 77)
    if how == "greeting":
        guest.client().wait_ready(soon())
    elif how == "kill":
        guest.host.sendall(encode(Frame(Kind.KILL, 77, 1)))
    elif how == "digest":
        guest.host.sendall(encode(Frame(Kind.END, 77, 1, b'{"digest": "00"}')))
    elif how == "disconnect":
        guest.host.shutdown(socket.SHUT_RDWR)
    else:
        assert guest.process is not None
        guest.process.terminate()
    assert until(lambda: not list(tmp_path.iterdir()))


def test_an_interrupted_put_leaves_the_old_file(guest: Guest, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    begin_put(guest, target, 77)
    guest.client().wait_ready(soon())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_folders_there_and_back(client: AgentClient, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "empty").mkdir(parents=True)
    (source / "sub" / "data").write_bytes(os.urandom(300_000))
    (source / "-name\n").write_bytes(b"odd")
    (source / "tool").write_bytes(b"#!/bin/sh\n")
    (source / "tool").chmod(0o755)
    (source / "link").symlink_to("sub/data")
    os.link(source / "tool", source / "twin")
    client.put_folder(source, str(tmp_path / "in" / "guest"))
    client.get_folder(str(tmp_path / "in" / "guest"), tmp_path / "back")
    compared = subprocess.run(["diff", "-r", "--no-dereference", source, tmp_path / "back"])
    assert compared.returncode == 0
    assert (tmp_path / "back" / "tool").stat().st_mode & 0o111
    assert (tmp_path / "back" / "link").readlink() == Path("sub/data")
    with pytest.raises(GuestPathMissing):
        client.get_folder(str(tmp_path / "none"), tmp_path / "x")
    with pytest.raises(UsageError, match="exists already"):
        client.get_folder(str(source), tmp_path / "back")
    with pytest.raises(GuestRefused, match="larger than the limit"):
        client.get_folder(str(source), tmp_path / "x", limit=50_000)
    with pytest.raises(GuestRefused, match="could not copy the folder"):
        client.put_folder(source, str(source / "tool" / "x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "in", "source"]


def test_an_agent_that_starts_late_is_waited_for() -> None:
    guest = Guest(start=False)
    client = guest.client()
    try:
        with pytest.raises(GuestUnreachable, match="did not answer in 1 seconds"):
            client.wait_ready(Deadline.after(0.6))
        starter = threading.Timer(1.5, guest.start)
        starter.start()
        assert client.wait_ready(soon()).version == 1
        assert client.run("echo late").out == "late\n"
        starter.join()
    finally:
        guest.close()


def test_a_full_line_to_a_guest_without_an_agent_is_no_trouble() -> None:
    guest = Guest(start=False)
    guest.host.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            guest.host.send(b"\x00TT\x01 garbage" * 100)
    try:
        client = guest.client()
        with pytest.raises(GuestUnreachable):
            client.wait_ready(Deadline.after(0.5))
        guest.start()
        client.wait_ready(soon())
    finally:
        guest.close()


def half_frame() -> bytes:
    """The beginning of a long frame whose rest never comes: a saved state was restored."""
    return encode(Frame(Kind.DATA, 5, 5, bytes(60_000)))[:1000]


def test_garbage_and_a_half_frame_before_the_greeting() -> None:
    guest = Guest(before=b"login: \x00TT\x01\x00TT\xff" + half_frame())
    try:
        assert guest.client().wait_ready(soon()).version == 1
    finally:
        guest.close()


def test_garbage_and_a_half_frame_from_the_guest(guest: Guest) -> None:
    guest.port.sendall(b"[  0.1] kernel \x00TT\x01" + half_frame())
    assert guest.client().wait_ready(soon()).version == 1


def test_a_restarted_agent_is_greeted_again(guest: Guest, client: AgentClient) -> None:
    first = client.wait_ready(soon())
    guest.kill_agent()
    guest.start()
    assert client.run("echo again").out == "again\n"
    second = client.wait_ready(soon())
    assert second.pid != first.pid
    guest.kill_agent()
    guest.start()
    assert client.wait_ready(soon()).pid not in (first.pid, second.pid)


def test_a_new_epoch_kills_what_the_old_one_ran(guest: Guest, client: AgentClient) -> None:
    running = client.start("echo $$; sleep 600 & echo $!; wait")
    pids = [int(running.read_line(60.0)) for _ in range(2)]
    assert all(map(is_alive, pids))
    guest.host.sendall(encode(Frame(Kind.HELLO, 1, 0, b"{}")))
    assert until(lambda: not any(map(is_alive, pids)))
    assert client.run("echo new").out == "new\n"
    with pytest.raises(GuestUnreachable, match="greeted anew"):
        running.wait()


def test_what_the_old_epoch_wrote_is_not_taken_for_the_new_one(guest: Guest) -> None:
    flood = b'{"op": "run", "argv": ["yes"], "limit": 900000000}'
    guest.host.sendall(encode(Frame(Kind.HELLO, 9, 0, b"{}")))
    guest.host.sendall(encode(Frame(Kind.REQUEST, 9, 1, flood)))
    client = guest.client()
    client.wait_ready(soon())
    assert client.run("echo clean").out == "clean\n"


def test_a_host_that_does_not_read_costs_the_guest_no_memory(guest: Guest) -> None:
    flood = b'{"op": "run", "argv": ["yes"], "limit": 9000000000}'
    guest.host.sendall(encode(Frame(Kind.HELLO, 9, 0, b"{}")))
    guest.host.sendall(encode(Frame(Kind.REQUEST, 9, 1, flood)))
    assert guest.process is not None
    children = Path(f"/proc/{guest.process.pid}/task/{guest.process.pid}/children")
    assert until(lambda: children.read_text() != "")
    status = Path(f"/proc/{guest.process.pid}/status")

    def grown() -> bool | None:
        size = status.read_text().partition("VmRSS:")[2].split()[0]
        return True if int(size) > 100_000 else None

    assert poll(grown, Deadline.after(2.0)) is None


def test_watches_end_a_wait(guest: Guest) -> None:
    stopped = threading.Event()

    def watch() -> None:
        if stopped.is_set():
            raise CheckFailed("the machine has stopped")

    client = AgentClient(guest.host.dup, watches=[watch])
    guest.clients.append(client)
    running = client.start(["sleep", "600"])
    stopped.set()
    with pytest.raises(CheckFailed, match="the machine has stopped"):
        running.wait()


def test_closing_ends_what_waits(client: AgentClient) -> None:
    running = client.start(["sleep", "600"])
    client.close()
    with pytest.raises(InfrastructureError, match="was closed"):
        running.wait()
    with pytest.raises(UsageError, match="closed already"):
        client.ping()


def test_a_port_that_is_never_there_is_said() -> None:
    def connect() -> socket.socket:
        raise FileNotFoundError("no socket yet")

    with pytest.raises(GuestUnreachable, match="cannot be opened"):
        AgentClient(connect).wait_ready(Deadline.after(0.3))


def test_the_agent_adopts_and_buries_orphans(guest: Guest, client: AgentClient) -> None:
    assert guest.process is not None
    children = Path(f"/proc/{guest.process.pid}/task/{guest.process.pid}/children")
    for _ in range(5):
        assert client.run("(setsid sleep 0.1 >/dev/null 2>&1 &)").ok
    assert until(lambda: children.read_text() == "")


def test_it_speaks_on_standard_input_and_output() -> None:
    process = subprocess.Popen(
        [sys.executable, "-I", str(AGENT_FILE), "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None and process.stdout is not None
    reader, frames = FrameReader(), []
    try:
        process.stdin.write(encode(Frame(Kind.HELLO, 3, 0, b'{"filler": true}')))
        process.stdin.write(encode(Frame(Kind.REQUEST, 3, 1, b'{"op": "ping"}')))
        while len(frames) < 2:
            frames += reader.feed(process.stdout.read(65_536))
        assert [frame.kind for frame in frames] == [Kind.HELLO_ANSWER, Kind.RESULT]
        assert reader.skipped == len(FILLER)
    finally:
        process.kill()
        process.communicate()


def test_it_opens_a_device_that_comes_late_and_waits_without_burning_time(tmp_path: Path) -> None:
    path = tmp_path / "port"
    process = subprocess.Popen([sys.executable, "-I", str(AGENT_FILE), str(path)])
    try:
        path.write_bytes(b"")  # a file that epoll cannot watch, always at its end: no host
        opened = Path(f"/proc/{process.pid}/fd")
        assert until(lambda: any(_leads_to(fd, path) for fd in opened.iterdir()))
        before = _cpu_seconds(process.pid)
        assert poll(process.poll, Deadline.after(2.0)) is None
        assert _cpu_seconds(process.pid) - before < 0.5
    finally:
        process.kill()
        process.wait()


def _leads_to(link: Path, path: Path) -> bool:
    try:
        return link.readlink() == path
    except OSError:
        return False


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
