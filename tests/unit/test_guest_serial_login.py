"""Logging in at a prompt like agetty's, on a pty."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guest_serial_port import SerialPort

from tailstest.core.deadline import Deadline
from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.guest import serial_login
from tailstest.guest.serial_login import log_in
from tailstest.guest.serial_shell import SerialShell

# Speaks as agetty and login do; its password is "secret", the user "free" needs none, and "quiet"
# gets a shell without a prompt.
LOGIN = r"""
import getpass, os, sys, time
print("\r\n\x1b[H\x1b[JDebian GNU/Linux 12 live ttyS0\n")
while True:
    try:
        user = input("live login: ")
    except EOFError:
        continue
    if not user:
        print("\nDebian GNU/Linux 12 live ttyS0\n")
        continue
    print("[    9.123456] random: crng init done")
    if user != "free":
        password = getpass.getpass("Password: ")
        time.sleep(0.3)
        if user not in ("live", "quiet") or password != "secret":
            print("\nLogin incorrect")
            continue
    print("Last login: Mon Jan  1 00:00:00 UTC 2024 on ttyS0")
    print("Linux live 6.1.0 #1 SMP\n\nDebian comes with ABSOLUTELY NO WARRANTY")
    os.environ["PS1"] = "" if user == "quiet" else "live@live:~$ "
    os.execvp("sh", ["sh"])
"""

Try = Callable[..., SerialShell]


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Try]:
    ports: list[SerialPort] = []

    def make(user: str, password: str, *, within: float = 90.0, **options: float) -> SerialShell:
        argv = [sys.executable, "-u", "-I", "-c", LOGIN]
        ports.append(SerialPort(argv, **options))  # type: ignore[arg-type]
        shell = SerialShell(ports[-1].connect, folders=[str(tmp_path)])
        log_in(shell, user, password, deadline=Deadline.after(within))
        return shell

    yield make
    for port in ports:
        port.close()


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_user_with_a_password(noise: float, attempt: Try) -> None:
    shell = attempt("live", "secret", noise=noise)
    assert shell.run("echo hello") == (0, b"hello\n")


def test_a_user_without_a_password(attempt: Try) -> None:
    assert attempt("free", "").run("echo hello") == (0, b"hello\n")
    assert attempt("free", "not asked for").run("echo hello") == (0, b"hello\n")


def test_a_shell_without_a_prompt(attempt: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_login, "SILENCE", 2.0)
    assert attempt("quiet", "secret").run("echo hello") == (0, b"hello\n")


@pytest.mark.parametrize(("user", "password"), [("live", "wrong-one"), ("nobody", "secret")])
def test_a_refused_login(user: str, password: str, attempt: Try) -> None:
    with pytest.raises(SetupError, match=f"refused the login of user '{user}'") as caught:
        attempt(user, password)
    assert "Login incorrect" in str(caught.value)
    assert password not in str(caught.value)


def test_no_prompt(tmp_path: Path) -> None:
    port = SerialPort(["sh", "-c", "echo Starting up; exec sleep 1000"])
    shell = SerialShell(port.connect, folders=[str(tmp_path)])
    with pytest.raises(InfrastructureError, match=r"no login prompt came(?s:.*)Starting up"):
        log_in(shell, "live", "secret", deadline=Deadline.after(2.0))
    port.close()


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("a\nb", "x"), ("a", "x\n")])
def test_names_that_no_prompt_takes(user: str, password: str, attempt: Try) -> None:
    with pytest.raises(UsageError):
        attempt(user, password)
