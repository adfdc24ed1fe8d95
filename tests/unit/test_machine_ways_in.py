"""Which way into an image is taken when nobody said it."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from tailstest.core.deadline import Deadline
from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.guest.errors import GuestUnreachable
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.guest_port import GuestPort
from tailstest.machine.open_ports import open_ports
from tailstest.machine.qemu_monitor import QemuMonitor
from tailstest.machine.ways_in import WaysIn

OURS, QEMUS = "org.tailstest.agent.0", "org.qemu.guest_agent.0"


def ways(opened=(), console="", check=lambda: None):
    return WaysIn(lambda: opened, lambda: console, deadline_scale=1.0, check=check)


@pytest.fixture
def no_patience(monkeypatch):
    monkeypatch.setattr("tailstest.machine.ways_in.PATIENCE", {})
    monkeypatch.setattr("tailstest.machine.ways_in.INTERVAL", 0.01)


@pytest.mark.parametrize(
    "prompt",
    [
        "# ",  # dash, busybox
        "sh-5.2# ",
        "bash-5.2# ",
        "root@debian:/# ",
        "root@(none):/usr/share# ",
        "[root@localhost /]# ",
        "\x1b[?2004h\x1b]0;root@box: /\x07\x1b[01;32mroot@box\x1b[00m:\x1b[01;34m/\x1b[00m# ",
        "\x1b[!p\x1b]104\x07\x1b[?7h# ",  # systemd resets the terminal first
        "# [   12.345678] usb 1-1: new high-speed USB device",
        "# \r\n# ",  # somebody has pressed Enter
        "# [  OK  ] Started dbus.service.",
        "#          Starting dbus.service...",
        "/ # ",
        "~ # ",
        "localhost:~# ",
        "\x1b(B\x1b7\x1b8\x1bc\x1bP1$r0m\x1b\\# ",
        "# \r\n" + "[    1.0] noise\r\n" * 20_000,  # it prompts once, early
    ],
)
def test_a_prompt_of_root_is_a_shell(prompt):
    assert ways(console=f"Linux starts\r\n[  OK  ] Started dbus.\r\n{prompt}").seen() == {
        "debug-shell"
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a comment of a file that was printed\r\n",
        "####\r\n#\r\n# Welcome\r\n#\r\n####\r\n",
        "$ ",
        "user@debian:~$ ",
        "grub> ",
        "(initramfs) ",
        "[    1.000000] x86/fpu: # of registers: 5",
        "Loading, please wait ...\r\n#### 40%\r\n",
    ],
)
def test_anything_else_is_no_shell(text):
    assert ways(console=text).seen() == set()


@pytest.mark.parametrize(
    "text",
    [
        "Debian GNU/Linux 12 demo ttyS0\r\n\r\ndemo login: ",
        "(none) login: ",
        "demo login: [  OK  ] Finished it.",
        "demo login: [   30.123456] random: crng init done\r\n",
        "\x1b[Hlive.local login:",
    ],
)
def test_a_login_prompt_is_one(text):
    assert ways(console=text).seen() == {"serial-login"}


@pytest.mark.parametrize("text", ["Last login: Mon Nov 30\r\n", "the login: name\r\n", "Login? "])
def test_other_words_about_logins_are_none(text):
    assert ways(console=text).seen() == set()


@pytest.mark.parametrize(
    ("opened", "console", "best"),
    [
        ({OURS, QEMUS}, "# ", "agent"),
        ({QEMUS}, "# ", "qemu-agent"),
        ((), "# \r\ndemo login: ", "debug-shell"),
        ((), "demo login: ", "serial-login"),
    ],
)
def test_the_best_that_is_open_is_taken(opened, console, best, no_patience):
    assert ways(opened, console).best(Deadline.after(5)) == best


def test_hostile_text_is_searched_in_no_time_that_anybody_notices():
    began = time.process_time()
    for piece in ("a" * 64, "\x1b]", "\x1b[", "\x1bP", "root@", "/", "[", "\n", "a.\n", "# #"):
        assert ways(console=piece * ((1 << 20) // len(piece))).seen() == set()
    assert time.process_time() - began < 60  # it takes less than one second


def test_what_was_tried_in_vain_is_not_taken_again(no_patience):
    found = ways({QEMUS}, "demo login: ").best(Deadline.after(5), without={"qemu-agent"})
    assert found == "serial-login"


def test_a_better_way_has_some_time_to_show_itself(monkeypatch):
    monkeypatch.setattr("tailstest.machine.ways_in.PATIENCE", {"serial-login": 600.0})
    monkeypatch.setattr("tailstest.machine.ways_in.INTERVAL", 0.01)
    looks = iter([set()] * 3)
    late = WaysIn(
        lambda: next(looks, {OURS}), lambda: "demo login: ", deadline_scale=1.0, check=lambda: None
    )
    assert late.best(Deadline.after(60)) == "agent"


def test_the_last_chance_is_taken_when_the_time_for_a_start_is_over(monkeypatch):
    monkeypatch.setattr("tailstest.machine.ways_in.PATIENCE", {"serial-login": 600.0})
    assert ways(console="demo login: ").best(Deadline.after(0.1)) == "serial-login"


def test_an_image_that_offers_nothing_is_told_with_what_its_console_says():
    with pytest.raises(GuestUnreachable) as caught:
        ways(console="\x1b[2JWelcome to\x07 nowhere\r\n").best(Deadline.after(0.1))
    assert "Welcome to" in caught.value.message
    assert "\x1b" not in caught.value.message
    assert "\x07" not in caught.value.message
    assert "systemd.debug_shell=ttyS0" in caught.value.hint


def test_a_machine_that_stops_ends_the_search():
    def stopped():
        raise InfrastructureError("it is off")

    with pytest.raises(InfrastructureError, match="it is off"):
        ways(check=stopped).best(Deadline.after(60))


# QEMU's word


class Refused(Exception):
    """What libvirt raises."""

    def get_error_message(self):
        return str(self)


def said(*devices):
    answer = {"return": [{"label": label, "frontend-open": is_open} for label, is_open in devices]}
    return monitor_that(lambda *_arguments: json.dumps(answer))


def monitor_that(answers):
    libvirt = SimpleNamespace(libvirtError=Refused)
    return QemuMonitor(libvirt, SimpleNamespace(qemuMonitorCommand=answers), None)


def test_ports_are_found_by_the_names_that_the_template_gives_them():
    monitor = said(
        ("charua-org-tailstest-agent-0", False),
        ("charua-org-qemu-guest_agent-0", True),
        ("charserial0", True),
    )
    assert open_ports(monitor, [OURS, QEMUS]) == {QEMUS}
    assert open_ports(monitor, [OURS]) == set()


def test_a_machine_that_is_off_has_no_open_port():
    def refuse(*_arguments):
        raise Refused("domain is not running")

    assert open_ports(monitor_that(refuse), [OURS]) == set()


# The port of a machine


@pytest.fixture
def port_of(tmp_path, monkeypatch, no_patience):
    """Return what makes a port and tells what was done through it."""
    done = []

    class Way:
        def __init__(self, _connect, **_options):
            pass

        def wait_ready(self, _deadline):
            done.append(type(self).__name__)

        def close(self):
            pass

    class Shell(Way):
        pass

    class Agent(Way):
        pass

    monkeypatch.setattr("tailstest.machine.guest_port.SerialShell", Shell)
    monkeypatch.setattr("tailstest.machine.guest_port.QemuAgent", Agent)
    for name in ("install_agent", "install_through_qemu_agent"):
        monkeypatch.setattr(f"tailstest.machine.guest_port.{name}", lambda *_a, **_o: None)

    def made(opened=(), console=""):
        return GuestPort(
            MachineDefinition(),
            tmp_path,
            deadline_scale=1.0,
            check=lambda: None,
            opened=lambda: opened,
            console=lambda: console,
        )

    made.done = done
    return made


def test_by_default_every_way_is_there_to_be_found(port_of, tmp_path):
    port = port_of()
    assert set(port.sockets) == {OURS, QEMUS}
    assert port.serial_socket == tmp_path / "serial"


def test_an_agent_of_ours_needs_no_other(port_of):
    port = port_of({OURS, QEMUS}, "# ")
    assert port.channel is port.channel
    assert port_of.done == []
    assert port.is_open
    assert not port.is_installed


def test_through_any_other_way_ours_is_installed_once_for_each_start(port_of):
    port = port_of({QEMUS})
    assert port.channel is port.channel
    assert port.is_installed
    assert port_of.done == ["Agent"]
    port.forget()
    assert not port.is_open
    _ = port.channel
    assert port_of.done == ["Agent", "Agent"]


@pytest.mark.parametrize("error", [SetupError("it is blocked"), GuestUnreachable("it hangs")])
def test_a_way_that_is_in_vain_is_followed_by_the_next_one(port_of, monkeypatch, error):
    def refuse(*_arguments, **_options):
        raise error

    monkeypatch.setattr("tailstest.machine.guest_port.install_through_qemu_agent", refuse)
    port = port_of({QEMUS}, "# ")
    _ = port.channel
    assert port_of.done == ["Agent", "Shell"]
    monkeypatch.setattr("tailstest.machine.guest_port.LATER", 0.1)
    with pytest.raises(type(error), match=r"it (is blocked|hangs)"):
        _ = port_of({QEMUS}).channel


def test_a_better_way_that_comes_late_makes_good_for_a_refusal(port_of, monkeypatch):
    opened = []

    def refuse(*_arguments, **_options):
        opened.append(OURS)  # a little later the agent of the image starts
        raise SetupError("the guest refused the login")

    monkeypatch.setattr("tailstest.machine.guest_port.log_in", refuse)
    port = port_of(opened, "demo login: ")
    _ = port.channel
    assert not port.is_installed


def test_who_only_looks_waits_for_nobody(port_of):
    with pytest.raises(GuestUnreachable, match="nobody has got inside"):
        _ = port_of({QEMUS}, "# ").open_channel
    assert port_of.done == []
    own = port_of({OURS})
    assert own.open_channel is own.channel
    used = port_of((), "# ")
    assert used.channel is used.open_channel
    used.forget()  # it restarts
    with pytest.raises(GuestUnreachable):
        _ = used.open_channel
    assert port_of.done == ["Shell"]


def test_a_saved_machine_is_met_in_the_way_that_it_was_left(port_of):
    own, installed, untouched = port_of(), port_of(), port_of(console="# ")
    own.resume(has_agent=True, is_installed=False)
    installed.resume(has_agent=True, is_installed=True)
    untouched.resume(has_agent=False, is_installed=False)
    for port in (own, installed, untouched):
        _ = port.channel
    assert port_of.done == ["Shell"]  # of the untouched one alone
