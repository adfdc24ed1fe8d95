"""The shell on a serial port: real shells on a pty, noise, losses, and nobody there."""

import os
import random
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guest_serial_port import SerialPort

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, SetupError, UsageError
from tailstest.guest.serial_line import KEPT, SerialLine
from tailstest.guest.serial_requests import HELPER_FILE, Requests
from tailstest.guest.serial_shell import SerialShell

FANCY = {
    "TERM": "xterm-256color",
    "PS1": "\x1b[1;32m<\\u@\\h>\x1b[0m \\w\n$ ",
    "PATH": os.environ["PATH"],
    "PROMPT_COMMAND": "echo TT",
}
SHELLS = {
    "sh": ["sh"],
    "bash": ["bash", "--norc", "-i"],
    "busybox": ["busybox", "sh"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "-i"],
}
Make = Callable[..., SerialPort]


def soon() -> Deadline:
    return Deadline.after(90.0)


@pytest.fixture
def port() -> Iterator[Make]:
    made: list[SerialPort] = []

    def make(argv: list[str] | None = None, **options: object) -> SerialPort:
        made.append(SerialPort(argv, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def ready(port: Make, tmp_path: Path) -> Iterator[Callable[..., SerialShell]]:
    shells: list[SerialShell] = []

    def make(argv: list[str] | None = None, **options: object) -> SerialShell:
        line = port(argv or SHELLS["sh"], **options)
        shell = SerialShell(line.connect, folders=["/nowhere", str(tmp_path)])
        shells.append(shell)
        shell.wait_ready(soon())
        return shell

    yield make
    for each in shells:
        each.close()


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize("noise", [0.0, 0.0005])
def test_commands_in_shells_of_every_kind(
    name: str, noise: float, ready: Callable[..., SerialShell]
) -> None:
    if shutil.which(SHELLS[name][0]) is None:
        pytest.skip(f"{name} is not installed")
    shell = ready(SHELLS[name], env=FANCY, columns=20, noise=noise, seed=7)
    assert shell.run('echo hello; echo "it\'s" >&2; exit 3') == (3, b"hello\nit's\n")
    assert shell.run("true") == (0, b"")
    assert shell.run("if true; then\n\tprintf 'ä \\t%s!' '$HOME'\nfi") == (0, "ä \t$HOME!".encode())
    every = 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i + 1)); done'
    assert shell.run(every)[1] == bytes(range(256))


def test_a_long_output_and_a_long_command(
    ready: Callable[..., SerialShell], tmp_path: Path
) -> None:
    shell = ready()
    content = random.Random(3).randbytes(500_001)
    (tmp_path / "big").write_bytes(content)
    assert shell.run(f"cat {tmp_path}/big") == (0, content)
    words = " ".join(str(number) for number in range(3000))
    assert shell.run(f"echo {words}") == (0, f"{words}\n".encode())


def test_files_arrive_undamaged_and_are_removed(
    ready: Callable[..., SerialShell], tmp_path: Path
) -> None:
    shell = ready(columns=30, noise=0.0002)
    content = random.Random(4).randbytes(5000)
    path = Path(shell.upload(content))
    assert path.read_bytes() == content
    assert Path(shell.upload(b"")).read_bytes() == b""
    shell.remove(str(path))
    assert not path.exists()
    (folder,) = tmp_path.glob("tt-*")
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("seed", range(3))
def test_lost_bytes_are_noticed_and_repaired(seed: int, port: Make, tmp_path: Path) -> None:
    line = port(SHELLS["bash"], env=FANCY, loss=0.0005, noise=0.0002, seed=seed)
    shell = SerialShell(line.connect, folders=[str(tmp_path)])
    shell.wait_ready(soon())
    content = random.Random(seed).randbytes(20_000)
    (tmp_path / "file").write_bytes(content)
    assert shell.run(f"cat {tmp_path}/file") == (0, content)
    assert Path(shell.upload(content[:3000])).read_bytes() == content[:3000]
    count = tmp_path / "count"
    for _ in range(5):
        assert shell.run(f"echo once >>{count}; exit 7")[0] == 7
    assert count.read_text() == "once\n" * 5
    assert line.lost > 0


def test_a_guest_that_takes_few_bytes_at_once(port: Make, tmp_path: Path) -> None:
    line = port(SHELLS["sh"], burst=128)
    shell = SerialShell(line.connect, folders=[str(tmp_path)])
    shell.wait_ready(soon())
    assert shell.run("echo hello") == (0, b"hello\n")
    assert line.lost > 0


def test_a_shell_that_comes_late(ready: Callable[..., SerialShell]) -> None:
    late = "stty -icanon; echo booting; sleep 2; stty sane; exec sh"
    assert ready(["sh", "-c", late]).run("echo hello") == (0, b"hello\n")


def test_a_shell_of_a_slow_host_may_take_longer_than_a_fast_one(port: Make) -> None:
    once = 'IFS= read -r line; sleep 7; eval "$line"'  # Ctrl+C ends it, as it does in a shell
    slow = f"trap : INT; while :; do sh -c '{once}'; done"
    line = SerialLine(port(["sh", "-c", slow]).connect, scale=3.0)
    try:
        line.open(soon())
        Requests(line, ["/nowhere"]).wait_marker(Deadline.after(40.0))
    finally:
        line.close()


def test_nobody_there_says_what_was_seen(port: Make, tmp_path: Path) -> None:
    line = port(["sh", "-c", "printf 'Kernel panic \\033[31m- not syncing\\n'; sleep 1000"])
    shell = SerialShell(line.connect, folders=[str(tmp_path)])
    with pytest.raises(
        InfrastructureError, match=r"serial port: (?s:.*)Kernel panic - not syncing"
    ):
        shell.wait_ready(Deadline.after(6.0))


def test_a_login_prompt_is_named(port: Make) -> None:
    line = port(["sh", "-c", "stty -echo; while :; do printf '\\nlive login: '; read x; done"])
    with pytest.raises(InfrastructureError, match="log in first"):
        SerialShell(line.connect).wait_ready(Deadline.after(6.0))


def test_a_port_that_is_not_there_or_goes_away(port: Make, tmp_path: Path) -> None:
    def refuse() -> socket.socket:
        raise ConnectionRefusedError

    with pytest.raises(InfrastructureError, match="cannot be opened"):
        SerialShell(refuse).wait_ready(Deadline.after(0.3))
    line = port(SHELLS["sh"])
    shell = SerialShell(line.connect, folders=[str(tmp_path)])
    with pytest.raises(UsageError, match="wait_ready"):
        shell.run("true")
    shell.wait_ready(soon())
    line.cut()
    with pytest.raises(InfrastructureError, match="closed"):
        shell.run("true")
    with pytest.raises(InfrastructureError):
        shell.wait_ready(Deadline.after(0.5))


def test_a_shell_that_ends_can_be_made_ready_again(port: Make, tmp_path: Path) -> None:
    line = port(["sh", "-c", "while :; do sh; done"])
    shell = SerialShell(line.connect, folders=[str(tmp_path)])
    shell.wait_ready(soon())
    shell.line.send(b"exit\n", soon())
    shell.wait_ready(soon())
    assert shell.run("echo again") == (0, b"again\n")


def test_the_shell_of_the_initrd_is_not_the_one(
    port: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign, helper = tmp_path / "initrd-release", tmp_path / "helper.sh"
    helper.write_text(HELPER_FILE.read_text().replace("/etc/initrd-release", str(sign)))
    monkeypatch.setattr("tailstest.guest.serial_requests.HELPER_FILE", helper)
    sign.touch()
    line = port(SHELLS["sh"])
    shell = SerialShell(line.connect, folders=[str(tmp_path)])
    with pytest.raises(InfrastructureError, match="only the initrd's shell"):
        shell.wait_ready(Deadline.after(15.0))
    sign.unlink()
    shell.wait_ready(soon())
    assert shell.run("echo hello") == (0, b"hello\n")


def test_a_watch_ends_every_wait(port: Make) -> None:
    class Stopped(Exception):
        pass

    def watch() -> None:
        raise Stopped

    shell = SerialShell(port(None).connect, watches=[watch])
    with pytest.raises(Stopped):
        shell.wait_ready(soon())


def test_a_command_that_takes_too_long_is_killed(
    ready: Callable[..., SerialShell], tmp_path: Path
) -> None:
    shell = ready()
    command = f"echo $$ >{tmp_path}/pid; echo begun; (sleep 1000); true"
    with pytest.raises(
        InfrastructureError, match=r"did not end within 6 seconds(?s:.*)first: begun"
    ):
        shell.run(command, within=6.0)
    pid = (tmp_path / "pid").read_text().strip()
    assert poll(lambda: not Path(f"/proc/{pid}").exists() or None, soon())
    assert shell.run("echo hello") == (0, b"hello\n")


def test_a_command_that_writes_too_much(ready: Callable[..., SerialShell]) -> None:
    shell = ready()
    assert shell.run("echo 123456789", limit=10)[1] == b"123456789\n"
    with pytest.raises(CheckFailed, match="more than 9 bytes"):
        shell.run("echo 123456789", limit=9)
    with pytest.raises(CheckFailed, match="more than 1000 bytes"):
        shell.run("yes", limit=1000)


def test_a_child_in_the_background_is_not_waited_for(ready: Callable[..., SerialShell]) -> None:
    status, output = ready().run("sleep 1000 & echo $!", within=50.0)
    os.kill(int(output), signal.SIGKILL)
    assert status == 0


@pytest.mark.parametrize("command", ["", " \n", "a\0b"])
def test_commands_that_can_never_work(command: str, ready: Callable[..., SerialShell]) -> None:
    with pytest.raises(UsageError):
        ready().run(command)


def tools(folder: Path, *names: str) -> dict[str, str]:
    """Return an environment with these programs only."""
    folder.mkdir()
    for name in names:
        found = "/usr/bin/python3" if name == "python3" else shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return {"PATH": str(folder)}


PLAIN = ("sh", "cat", "head", "mkdir", "mv", "rm", "tail", "tr", "wc")


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs a python3 of the system")
def test_python_does_where_base64_is_missing(
    ready: Callable[..., SerialShell], tmp_path: Path
) -> None:
    shell = ready(["/bin/sh"], env=tools(tmp_path / "bin", *PLAIN, "python3"))
    assert shell.run("printf 'a\\000b'; exit 1") == (1, b"a\0b")


def test_what_the_image_lacks_is_named(port: Make, tmp_path: Path) -> None:
    line = port(["/bin/sh"], env=tools(tmp_path / "bin", *PLAIN))
    with pytest.raises(SetupError, match="lacks base64"):
        SerialShell(line.connect, folders=[str(tmp_path)]).wait_ready(soon())
    line = port(SHELLS["sh"])
    with pytest.raises(SetupError, match="no folder that can be written: /nowhere"):
        SerialShell(line.connect, folders=["/nowhere"]).wait_ready(soon())


def test_memory_is_bounded_whatever_comes() -> None:
    host, guest = socket.socketpair()
    line = SerialLine(lambda: host)
    line.open(soon())
    for _ in range(20):
        guest.setblocking(False)
        guest.send(b"x" * 50_000)
        assert line.read()
    assert len(line.pending) <= KEPT
    assert len(line.seen()) < 1000
    line.hide("xxx")
    guest.send(b"ends\x1b[2J\x07 here\r\n")
    assert line.read()
    assert re.fullmatch(r"[*x.]*ends\\x07 here", line.seen())
    line.close()
    guest.close()
