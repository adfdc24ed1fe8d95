"""The agent is installed through a real qemu-ga, which runs here as a plain process."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guest_serial_port import SerialPort

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.guest.agent import AGENT_FILE, agent_digest
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.errors import GuestUnreachable, GuestUsageError
from tailstest.guest.qemu_agent import QemuAgent
from tailstest.guest.qemu_install import QemuShell, install_through_qemu_agent
from tailstest.guest.serial_install import AgentPlace

PORT = "org.tailstest.agent.0"
PROGRAM = shutil.which("qemu-ga", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="qemu-ga is not installed (Debian: qemu-guest-agent)"
)


def soon() -> Deadline:
    return Deadline.after(60.0)


class Guest:
    """A qemu-ga at one socket, and a port for our agent."""

    def __init__(self, folder: Path, *, blocked: str = "") -> None:
        self.folder = folder
        self.socket = folder / "qga"
        self.virtio = SerialPort(None)
        (folder / "state").mkdir()
        (folder / "temporary").mkdir()
        (folder / "ports").mkdir()
        (folder / "ports" / PORT).symlink_to(self.virtio.device)
        self.place = AgentPlace(
            folder=str(folder / "run" / "agent"),
            devices=str(folder / "ports"),
            unit="tailstest-of-a-test",
            service=False,
            own_system=False,
        )
        self.blocked = blocked
        self.process = self.begin()
        self.qemu = QemuAgent(self.connect)
        self.shell = QemuShell(self.qemu, [str(folder / "temporary")])
        self.client = AgentClient(self.virtio.connect)

    def begin(self) -> "subprocess.Popen[bytes]":
        assert PROGRAM is not None
        self.socket.unlink(missing_ok=True)
        argv = [PROGRAM, "-m", "unix-listen", "-p", str(self.socket)]
        argv += ["-t", str(self.folder / "state"), "-f", str(self.folder / "pid")]
        if self.blocked:
            argv += ["-b", self.blocked]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(self.socket))
        except OSError:
            line.close()
            raise
        return line

    def install(self, place: AgentPlace | None = None) -> None:
        self.qemu.wait_ready(soon())
        install_through_qemu_agent(
            self.qemu,
            AGENT_FILE,
            port=PORT,
            place=place or self.place,
            folders=[str(self.folder / "temporary")],
        )

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.client.close()
        self.qemu.close()
        self.end()
        loop = Path(self.place.folder, "pid")
        if loop.exists():
            os.killpg(int(loop.read_text()), signal.SIGKILL)
        self.virtio.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Guest]]:
    made = []

    def make_one(**options: str) -> Guest:
        made.append(Guest(tmp_path, **options))
        return made[-1]

    yield make_one
    for guest in made:
        guest.close()


@pytest.fixture
def guest(make: Callable[..., Guest]) -> Guest:
    return make()


def test_the_installed_agent_answers(guest: Guest) -> None:
    guest.install()
    info = guest.client.wait_ready(soon())
    assert info.sha256 == agent_digest()
    assert guest.client.run("echo hello").stdout == b"hello\n"
    assert Path(guest.place.folder).stat().st_mode & 0o777 == 0o700
    assert list((guest.folder / "temporary").iterdir()) == []


def test_it_outlives_qemu_s_agent_and_itself(guest: Guest) -> None:
    guest.install()
    first = guest.client.wait_ready(soon()).pid
    guest.end()
    os.kill(first, signal.SIGKILL)
    assert poll(lambda: another(guest.client, first), soon())


def another(client: AgentClient, pid: int) -> int | None:
    try:
        info = client.wait_ready(Deadline.after(5.0))
    except InfrastructureError:
        return None
    return info.pid if info.pid != pid else None


def test_installed_twice_there_is_still_one(guest: Guest) -> None:
    guest.install()
    first = guest.client.wait_ready(soon()).pid
    guest.install()
    assert poll(lambda: another(guest.client, first), soon())
    assert poll(lambda: not Path(f"/proc/{first}").exists() or None, soon())


def test_status_output_and_both_streams_come(guest: Guest) -> None:
    guest.qemu.wait_ready(soon())
    assert guest.qemu.execute("echo one; echo two >&2; echo three; exit 7") == (
        7,
        b"one\ntwo\nthree\n",
    )
    assert guest.qemu.execute("kill -9 $$") == (137, b"")
    assert guest.qemu.execute("printf '\\377\\000\\n'; cat") == (0, b"\xff\0\n")


def test_what_does_not_end_is_killed_with_its_children(guest: Guest) -> None:
    guest.qemu.wait_ready(soon())
    pids = guest.folder / "pids"
    script = f"sleep 1000 & echo $! $$ >{pids}; sleep 1000"
    with pytest.raises(GuestUnreachable, match=r"did not end within 5 seconds.*sleep 1000"):
        guest.qemu.execute(script, 5.0)
    files = [Path(f"/proc/{pid}/exe") for pid in pids.read_text().split()]
    assert len(files) == 2
    assert poll(lambda: not any(file.exists() for file in files) or None, soon())
    assert guest.qemu.execute("echo on") == (0, b"on\n")


def test_large_files_arrive_whole_and_private(guest: Guest) -> None:
    guest.qemu.wait_ready(soon())
    data = os.urandom(200_000)
    path = Path(guest.shell.upload(data))
    assert path.read_bytes() == data
    assert path.parent.stat().st_mode & 0o777 == 0o700
    guest.shell.remove(str(path))
    assert not path.parent.exists()
    with pytest.raises(GuestUsageError, match="too many"):
        guest.shell.upload(bytes(5 << 20))


def test_what_the_agent_cannot_do_is_told(guest: Guest) -> None:
    guest.qemu.wait_ready(soon())
    with pytest.raises(GuestUnreachable, match=r"guest-file-open: .*No such file"):
        guest.qemu.write_file("/nowhere/at/all", b"x")
    shutil.rmtree(guest.folder / "temporary")
    with pytest.raises(SetupError, match="no folder"):
        guest.shell.upload(b"x")
    with pytest.raises(GuestUnreachable, match="lied"):
        guest.qemu.ask("lied")
    with pytest.raises(GuestUnreachable, match="more than 1048576"):
        guest.qemu.execute("head -c 2000000 /dev/zero")
    assert guest.qemu.execute("echo on") == (0, b"on\n")


def test_half_a_request_of_somebody_else_does_no_harm(guest: Guest) -> None:
    deadline = soon()
    guest.qemu.line.open(deadline)
    guest.qemu.line.send(b'{"execute": "guest-info"}\n' * 20 + b'{"execute": "gu', deadline)
    guest.qemu.wait_ready(deadline)
    assert guest.qemu.execute("echo on") == (0, b"on\n")


@pytest.mark.parametrize("name", ["guest-exec", "guest-file-open"])
def test_a_blocked_command_is_named(make: Callable[..., Guest], name: str) -> None:
    guest = make(blocked=name)
    with pytest.raises(SetupError, match=rf"blocks {name}\n(?s:.*)block-rpcs"):
        guest.install()


def test_it_answers_again_after_it_was_started_again(guest: Guest) -> None:
    guest.qemu.wait_ready(soon())
    guest.end()
    with pytest.raises(GuestUnreachable, match="closed"):
        guest.qemu.execute("true")
    guest.process = guest.begin()
    guest.qemu.wait_ready(soon())
    assert guest.qemu.execute("echo on") == (0, b"on\n")


def test_a_guest_without_the_port(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailstest.guest.serial_install.PORT_WITHIN", 1.0)
    (guest.folder / "ports" / PORT).unlink()
    with pytest.raises(SetupError, match=rf"no virtio-serial port {PORT}"):
        guest.install()
