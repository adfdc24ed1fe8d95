"""The agent is installed through a serial port and then serves another one."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest_serial_port import SerialPort

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.guest.agent import AGENT_FILE, agent_digest
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.serial_install import AgentPlace, install_agent
from tailstest.guest.serial_shell import SerialShell

PORT = "org.tailstest.agent.0"


def soon() -> Deadline:
    return Deadline.after(90.0)


class Guest:
    """A shell at one port, and another port for the agent."""

    def __init__(self, folder: Path, *, service: bool = False, **options: float) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        path = f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.serial = SerialPort(["sh"], env={"PATH": path}, **options)  # type: ignore[arg-type]
        self.virtio = SerialPort(None)
        (folder / "ports").mkdir()
        (folder / "ports" / PORT).symlink_to(self.virtio.device)
        self.place = AgentPlace(
            folder=str(folder / "run" / "agent"),
            devices=str(folder / "ports"),
            unit="tailstest-of-a-test",
            service=service,
            own_system=False,
        )
        self.shell = SerialShell(self.serial.connect, folders=[str(folder)])
        self.client = AgentClient(self.virtio.connect)

    def install(self, agent: Path = AGENT_FILE) -> None:
        self.shell.wait_ready(soon())
        install_agent(self.shell, agent, port=PORT, place=self.place)

    def program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def close(self) -> None:
        self.client.close()
        self.shell.close()
        loop = Path(self.place.folder, "pid")
        if loop.exists():
            os.killpg(int(loop.read_text()), signal.SIGKILL)
        self.serial.close()
        self.virtio.close()


@pytest.fixture
def guest(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guest]:
    made = Guest(tmp_path, **getattr(request, "param", {}))
    yield made
    made.close()


@pytest.mark.parametrize("guest", [{}, {"noise": 0.0003, "loss": 0.0001}], indirect=True)
def test_the_installed_agent_answers(guest: Guest) -> None:
    guest.install()
    info = guest.client.wait_ready(soon())
    assert info.sha256 == agent_digest()
    assert guest.client.run("echo hello").stdout == b"hello\n"
    assert Path(guest.place.folder).stat().st_mode & 0o777 == 0o700


def test_it_outlives_the_shell_and_itself(guest: Guest) -> None:
    guest.install()
    first = guest.client.wait_ready(soon())
    guest.shell.line.send(b"exit\n", soon())
    assert guest.serial.process is not None
    guest.serial.process.wait(60)
    os.kill(first.pid, signal.SIGKILL)
    second = poll(lambda: another(guest.client, first.pid), soon())
    assert second is not None


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
    assert poll(lambda: another(guest.client, first), soon()) is not None
    assert poll(lambda: not Path(f"/proc/{first}").exists() or None, soon())


@pytest.mark.parametrize("guest", [{"service": True}], indirect=True)
def test_systemd_runs_it_where_it_can(guest: Guest) -> None:
    asked, active = guest.folder / "asked", guest.folder / "active"
    guest.program(
        "systemd-run",
        f'echo "$@" >>{asked}\n'
        'case "$*" in *DefaultDependencies*) exit 1;; esac\n'
        'while [ "$1" != -- ]; do shift; done; shift\n'
        f'setsid sh -c \'echo $$ >"$0"; exec "$@"\' {active} "$@" >/dev/null 2>&1 </dev/null &',
    )
    guest.program("systemctl", f"[ $1 != is-active ] || [ -e {active} ]")
    guest.install()
    try:
        assert guest.client.wait_ready(soon()).pid == int(active.read_text())
    finally:
        os.kill(int(active.read_text()), signal.SIGKILL)
    lines = asked.read_text().splitlines()
    assert len(lines) == 2
    assert "--unit=tailstest-of-a-test" in lines[1]
    assert "--property=Restart=always" in lines[1]
    assert not Path(guest.place.folder, "pid").exists()


@pytest.mark.parametrize("guest", [{"service": True}], indirect=True)
def test_a_loop_runs_it_where_systemd_cannot(guest: Guest) -> None:
    guest.program("systemd-run", "echo 'System has not been booted with systemd' >&2; exit 1")
    guest.program("systemctl", "exit 1")
    guest.install()
    assert guest.client.wait_ready(soon()).sha256 == agent_digest()


def test_a_guest_without_the_port(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailstest.guest.serial_install.PORT_WITHIN", 1.0)
    (guest.folder / "ports" / PORT).unlink()
    guest.program("modprobe", f"echo $1 >>{guest.folder}/modules")
    with pytest.raises(SetupError, match=rf"no virtio-serial port {PORT}(?s:.*)virtio_console"):
        guest.install()
    assert "virtio_console" in (guest.folder / "modules").read_text()


def test_a_guest_without_python(guest: Guest) -> None:
    for name in ("sh", "cat", "head", "mkdir", "mv", "rm", "tail", "tr", "wc", "id"):
        (guest.bin / name).symlink_to(shutil.which(name) or name)
    for name in ("base64", "sha256sum", "setsid", "stty"):
        (guest.bin / name).symlink_to(shutil.which(name) or name)
    guest.shell.wait_ready(soon())
    guest.shell.line.send(f"PATH={guest.bin}\n".encode(), soon())
    with pytest.raises(SetupError, match="no python3"):
        install_agent(guest.shell, AGENT_FILE, port=PORT, place=guest.place)


def test_a_python_that_is_too_small(guest: Guest) -> None:
    agent = guest.folder / "agent.py"
    agent.write_text("import a_module_that_nobody_has\n")
    with pytest.raises(SetupError, match=r"cannot run the agent(?s:.*)a_module_that_nobody_has"):
        guest.install(agent)
