"""Checks inside a machine, against a channel that answers from a script."""

import os
import shutil
import subprocess
import time
from dataclasses import replace

import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, SetupError, UsageError
from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.paths import bundled
from tailstest.guest.errors import GuestPathMissing
from tailstest.guest.results import Completed
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.guest_port import GuestPort
from tailstest.machine.inside import Inside
from tailstest.machine.inside_state import InsideState
from tailstest.machine.profile import find_image, load_profiles
from tailstest.machine.system_state import SystemState
from tailstest.suite.inside_evidence import InsideEvidence


class Channel:
    """Answers commands by the first text that is in them; files from a dictionary."""

    def __init__(self, answers=(), files=None):
        self.answers = list(answers)
        self.files = files or {}
        self.asked = []

    def wait_ready(self, deadline=None):
        pass

    def run(self, command, **options):
        self.asked.append(command)
        self.options = options
        for text, status, out in self.answers:
            if text in command:
                return Completed(("/bin/sh", "-c", command), status, out.encode(), b"", 0.1)
        raise AssertionError(f"not expected: {command}")

    def set_clock(self, seconds):
        self.clock = seconds

    def read(self, path, limit=0, **_options):
        return self.files[path]

    def stat(self, path):
        if path not in self.files:
            raise GuestPathMissing(path)
        return path


def inside(*answers, files=None, **options):
    channel = Channel(answers, files)
    basic = {"deadline_scale": 1.0, "default_deadline": 0.3, "events": Events()}
    return Inside(lambda: channel, **basic, **options)


def system(*answers):
    return SystemState(inside(*answers))


def test_what_was_said_inside_is_known_again_after_a_rest():
    written = bytes(range(256))
    done = Completed(("/bin/sh", "-c", "x"), -9, written, b"\xff", 0.5, True, False, True)
    one = inside(("hostname", 0, "demo\n"))
    one.run("hostname")
    one.remember_output("name")
    one._last = done
    kept = InsideState.model_validate_json(one.state.model_dump_json())
    assert kept.remembered == {"name": "demo"}
    assert kept.last.completed() == done
    other = inside(("hostname", 0, "demo\n"))
    other.resume(kept)
    assert other.last == done
    other.run("hostname")
    other.check_against("name", same=True)


def test_what_an_image_needs_after_a_checkpoint_is_done_once_and_must_succeed():
    state = InsideState(remembered={}, last=None)
    other = inside(("renew-all", 0, ""))
    other.resume(state, "renew-all")
    assert other.last_channel.asked == ["renew-all"]
    with pytest.raises(UsageError, match="no command was run"):
        other.check_succeeded()  # the scenario itself ran none
    with pytest.raises(InfrastructureError, match="after a checkpoint failed") as caught:
        inside(("renew-all", 7, "no such clock")).resume(state, "renew-all")
    assert "checkpoints.after" in caught.value.hint


YEAR = 365 * 86_400


def test_a_clock_that_is_wrong_on_purpose_is_so_after_a_rest():
    behind = inside(("date +%s", 0, f"{int(time.time()) - YEAR}\n"), keeps_clock=True)
    kept = InsideState.model_validate_json(behind.state.model_dump_json())
    assert kept.clock_ahead == pytest.approx(-YEAR, abs=10)
    other = inside(keeps_clock=True)
    other.resume(kept)
    assert other.last_channel.clock == pytest.approx(time.time() - YEAR, abs=10)


def test_any_other_clock_is_right_after_a_rest():
    usual = inside()
    assert usual.state.clock_ahead == 0
    assert usual.last_channel.asked == []
    usual.resume(usual.state)
    assert usual.last_channel.clock == pytest.approx(time.time(), abs=10)


@pytest.mark.parametrize("told", ["", "nan\n", "1e9\n", "9" * 400 + "\n", "1\n2\n"])
def test_a_clock_that_cannot_be_read_is_no_number(told):
    with pytest.raises(InfrastructureError, match="clock inside cannot be read"):
        _ = inside(("date", 0, told), keeps_clock=True).state


def test_a_clock_is_right_or_wrong_give_or_take_a_minute():
    behind = inside(("date +%s", 0, f"{int(time.time()) - YEAR + 20}\n"))
    behind.check_clock(-YEAR)
    with pytest.raises(CheckFailed, match=r"364 days, 23:59:\d\d behind what it should be"):
        behind.check_clock()
    with pytest.raises(CheckFailed, match=r"729 days, .* behind what"):
        behind.check_clock(YEAR)


def test_a_command_s_end_and_words_are_checked():
    one = inside(("true", 0, ""), ("false", 1, "no\n"), ("kill", -9, ""), ("uname", 0, "Linux 6\n"))
    with pytest.raises(UsageError, match="no command was run"):
        one.check_succeeded()
    one.run("true")
    one.check_succeeded()
    with pytest.raises(CheckFailed, match="fail by itself"):
        one.check_failed()
    one.run("false")
    one.check_failed()
    with pytest.raises(CheckFailed, match="status 1"):
        one.check_succeeded()
    one.run("kill")
    with pytest.raises(CheckFailed, match="SIGKILL"):
        one.check_failed()
    one.run("uname")
    one.check_output("Linux")
    one.check_output("Linux 6", whole=True)
    one.check_output("Windows", absent=True)
    for wrong in ({"whole": True}, {"absent": True}):
        with pytest.raises(CheckFailed, match="Linux 6"):
            one.check_output("Linux", **wrong)


@pytest.mark.parametrize("status", [126, 127])
def test_a_command_that_was_not_found_proves_nothing(status):
    one = inside(("sfdisk", status, ""))
    one.run("sfdisk")
    for check in (one.check_failed, lambda: one.check_output("Data", absent=True)):
        with pytest.raises(CheckFailed, match="so nothing was tried") as caught:
            check()
        assert "|| exit 1" in caught.value.hint


@pytest.mark.parametrize(
    "ending", [{"timed_out": True}, {"truncated": True}, {"status": -9}], ids=lambda each: str(each)
)
def test_what_a_command_that_was_killed_did_not_write_is_not_known(ending):
    one = inside()
    one._last = replace(Completed(("x",), 0, b"first lines", b"", 0.1), **ending)
    with pytest.raises(CheckFailed, match="nobody knows what it would have written"):
        one.check_output("Data", absent=True)
    with pytest.raises(CheckFailed, match='not to write "lines"'):
        one.check_output("lines", absent=True)
    one.check_output("lines")


def test_what_stands_on_standard_error_was_written():
    one = inside()
    one._last = Completed(("x",), 1, b"", b"Data is in use", 0.1)
    with pytest.raises(CheckFailed, match="not to write"):
        one.check_output("Data", absent=True)
    one.check_output("Nothing", absent=True)
    with pytest.raises(CheckFailed, match="expected the command to write"):
        one.check_output("Data")


def test_what_was_written_is_compared_with_what_was_remembered():
    one = inside(("one", 0, "52:54:00\n"), ("two", 0, "52:54:01\n"), ("empty", 0, " \n"))
    one.run("one")
    one.remember_output("address")
    one.check_against("address", same=True)
    with pytest.raises(CheckFailed, match="something else"):
        one.check_against("address", same=False)
    one.run("two")
    one.check_against("address", same=False)
    with pytest.raises(CheckFailed, match=r"52:54:00.*52:54:01"):
        one.check_against("address", same=True)
    with pytest.raises(UsageError, match="remembered: address"):
        one.check_against("adress", same=True)
    one.run("empty")
    with pytest.raises(CheckFailed, match="nothing to remember"):
        one.remember_output("nothing")


def test_files_are_waited_for_and_read(tmp_path):
    one = inside(files={"/etc/hostname": b"demo\n"})
    one.wait_file("/etc/hostname")
    one.check_no_file("/etc/x")
    one.check_file_contains("/etc/hostname", "demo")
    with pytest.raises(CheckFailed, match="it reads:\ndemo"):
        one.check_file_contains("/etc/hostname", "tails")
    with pytest.raises(CheckFailed, match="did not appear"):
        one.wait_file("/etc/x")
    with pytest.raises(CheckFailed, match="it is there"):
        one.check_no_file("/etc/hostname")
    with pytest.raises(UsageError, match="relative to the suite"):
        one.put_file(tmp_path / "missing", "/tmp/x")


def test_a_command_may_take_as_long_as_its_step_says():
    one = inside(("sleep", 0, ""))
    one.run("sleep 1")
    assert one.last_channel.options["within"] == 0.3
    one.run("sleep 100", within=120)
    assert one.last_channel.options["within"] == 120


def test_a_program_that_is_started_outlives_its_command(tmp_path):
    class Host(Channel):
        def run(self, command, **_options):
            done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
            return Completed((command,), done.returncode, done.stdout, done.stderr, 0.1)

    host = Host()
    one = Inside(lambda: host, deadline_scale=1.0, default_deadline=5, events=Events())
    note, go = tmp_path / "it's here", tmp_path / "go"
    os.mkfifo(go)  # it waits there until somebody writes
    one.start(f"cat '{go}'; echo done > \"{note}\"")
    assert not note.exists()
    with go.open("w"):
        pass
    assert poll(lambda: note.exists() or None, Deadline.after(60))


def test_a_port_is_waited_for_by_what_the_kernel_tells():
    rows = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr\n"
        "   0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00\n"
        "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00\n"
        "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n"
        "junk 0A\n"
    )
    one = system(("/proc/net/tcp", 0, rows))
    one.wait_port(22)
    one.wait_port(631)
    with pytest.raises(CheckFailed, match="port 8080 to be open; open are: 22, 631"):
        one.wait_port(8080)
    for port in (0, 65536):
        with pytest.raises(UsageError, match="from 1 to 65535"):
            one.wait_port(port)
    with pytest.raises(CheckFailed, match="open are: none"):
        system(("/proc/net/tcp", 0, "")).wait_port(22)


def test_a_file_of_the_inside_is_kept_for_the_report(tmp_path):
    class Fetching(Channel):
        def get(self, source, target, limit):
            if source not in self.files:
                raise GuestPathMissing(f"there is no {source}")
            target.write_bytes(self.files[source])

    told, events = [], Events()
    events.subscribe(told.append)
    channel = Fetching(files={"/var/log/\x1b[31mapt.log": b"installed\0"})
    one = Inside(lambda: channel, deadline_scale=1.0, default_deadline=1, events=events)
    keeper = InsideEvidence(events, EvidenceFolder(tmp_path))
    keeper.keep_file(one, "/var/log/\x1b[31mapt.log")
    (kept,) = told
    assert (kept.kind, "\x1b" in kept.title) == ("file", False)
    assert (tmp_path / kept.path).read_bytes() == b"installed\0"
    with pytest.raises(CheckFailed, match="there is no /etc/x"):
        keeper.keep_file(one, "/etc/x")


def test_a_failed_unit_is_told_with_its_journal():
    system(("--failed", 0, "")).check_no_failed_unit()
    broken = system(("--failed", 0, "x.service loaded failed\n"), ("journalctl", 0, "no such disk"))
    with pytest.raises(CheckFailed, match=r"(?s)1 failed:.*x\.service.*no such disk"):
        broken.check_no_failed_unit()
    with pytest.raises(CheckFailed, match="could not be asked"):
        system(("--failed", 1, "")).check_no_failed_unit()


def test_a_service_that_hangs_is_named():
    one = inside(("is-system-running", 1, "7 demo-hangs.service start running"))
    one.boot_limit = 0.2
    with pytest.raises(CheckFailed, match=r"(?s)still starting.*demo-hangs\.service"):
        SystemState(one).wait_started()


def test_messages_of_the_journal_count_unless_they_are_allowed():
    told = "[1.0] kernel: floppy error\n[2.0] app: lost the key\n"
    with pytest.raises(CheckFailed, match=r"there are 1:\n.*lost the key"):
        system(("journalctl", 0, told)).check_journal("err", ["floppy"])
    system(("journalctl", 0, told)).check_journal("err", ["floppy", "lost the key"])
    with pytest.raises(UsageError, match="emerg"):
        system().check_journal("error", [])


@pytest.mark.parametrize("text", ["", " \t"])
def test_an_empty_text_does_not_allow_every_message(text):
    with pytest.raises(UsageError, match="every message"):
        system(("journalctl", 0, "[2.0] app: lost the key\n")).check_journal("err", ["x", text])


def test_an_empty_text_is_not_looked_for():
    one = inside(("uname", 0, "Linux\n"), ("true", 0, ""), files={"/etc/hostname": b"demo"})
    one.run("uname")
    for absent in (False, True):
        with pytest.raises(UsageError, match="nothing would be looked for"):
            one.check_output("", absent=absent)
    with pytest.raises(UsageError, match="nothing would be looked for"):
        one.check_file_contains("/etc/hostname", "")
    with pytest.raises(CheckFailed, match="nothing but"):
        one.check_output("", whole=True)
    one.run("true")
    one.check_output("", whole=True)


def test_memory_in_use_is_total_less_available():
    told = ("meminfo", 0, "MemTotal: 1048576 kB\nMemFree: 1 kB\nMemAvailable: 524288 kB\n")
    system(told).check_memory(512)
    with pytest.raises(CheckFailed, match="it is 512 MiB"):
        system(told).check_memory(511)
    with pytest.raises(CheckFailed, match="meminfo"):
        system(("meminfo", 0, "lies")).check_memory(511)


@pytest.mark.parametrize("name", ["a b", "$(reboot)", "", "a;b", "x" * 300])
def test_names_never_become_shell_words(name):
    with pytest.raises(UsageError, match="cannot be the name"):
        system().wait_unit(name)
    with pytest.raises(UsageError, match="cannot be the name"):
        system().check_no_process(name)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("mousepad", "mousepad"),
        ("storage-window", "storage-window"),
        ("systemd-journal", "systemd-journal"),
        # A thread of the kernel has all of its name, anything else what fits.
        ("systemd-journald", "'systemd-journald|systemd-journal'"),
        ("a.b\\c", r"'a\.b\\c'"),
        ("1234567890123ää", "'1234567890123....|1234567890123..'"),
        ("12345678901234ä", "'12345678901234..|12345678901234.'"),
    ],
)
def test_a_process_is_looked_for_by_what_the_kernel_keeps_of_its_name(name, pattern):
    one = inside(("pgrep", 0, "7 it\n"))
    SystemState(one).wait_process(name)
    gone = inside(("pgrep", 1, ""))
    SystemState(gone).check_no_process(name)
    asked = one.last_channel.asked + gone.last_channel.asked
    assert asked == [f"LC_ALL=C pgrep -a -x -- {pattern}"] * 2


@pytest.mark.skipif(shutil.which("pgrep") is None, reason="this host has no pgrep")
def test_a_long_name_that_runs_is_found(tmp_path):
    name = "tailstest-a.long-näme"
    program = tmp_path / name
    shutil.copy("/bin/sleep", program)
    running = subprocess.Popen([program, "60"])

    class Host(Channel):
        def run(self, command, **_options):
            return Completed((), *_ran(command), 0.1)

    basic = {"deadline_scale": 1.0, "default_deadline": 0.3, "events": Events()}
    one = SystemState(Inside(lambda: Host(), **basic))
    try:
        one.wait_process(name)
        with pytest.raises(CheckFailed, match=r"in vain for the process .*to end.*"):
            one.check_no_process(name)
    finally:
        running.kill()
        running.wait()
    one.check_no_process(name)
    with pytest.raises(CheckFailed, match="none of this name runs"):
        one.wait_process(name)


def _ran(command):
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("status", [2, 126, 127])
def test_an_image_that_cannot_tell_of_processes_has_not_none(status):
    for check in (
        system(("pgrep", status, "")).check_no_process,
        system(("pgrep", status, "")).wait_process,
    ):
        with pytest.raises(SetupError, match=f"cannot tell.*\\n.*status {status}") as caught:
            check("mousepad")
        assert "procps" in caught.value.hint


@pytest.mark.parametrize("status", [3, -9, 0])
def test_only_who_has_looked_and_found_none_says_so(status):
    with pytest.raises(CheckFailed, match="the process mousepad to end"):
        system(("pgrep", status, "")).check_no_process("mousepad")


def test_a_search_for_processes_that_was_killed_says_nothing():
    one = inside()
    one.last_channel.run = lambda command, **_options: Completed(
        (command,), 1, b"", b"", 0.1, timed_out=True
    )
    with pytest.raises(CheckFailed, match="killed at its time limit"):
        SystemState(one).check_no_process("mousepad")


def test_an_image_without_a_way_in_is_told_so(tmp_path):
    def port(channel):
        definition = MachineDefinition(channel=channel)
        return GuestPort(definition, tmp_path, deadline_scale=1.0, check=lambda: None)

    assert port("none").sockets == {}
    with pytest.raises(UsageError, match="profile"):
        _ = port("none").channel
    assert port("agent").sockets == {"org.tailstest.agent.0": tmp_path / "agent"}


def test_through_a_serial_shell_the_agent_is_installed_once_for_each_start(tmp_path, monkeypatch):
    done, refuse = [], []

    class Shell:
        def __init__(self, _connect, **_options):
            pass

        def wait_ready(self, _deadline):
            done.append("waited")
            if refuse:
                raise InfrastructureError("no shell answers")

        def close(self):
            done.append("closed")

    monkeypatch.setattr("tailstest.machine.guest_port.SerialShell", Shell)
    monkeypatch.setattr(
        "tailstest.machine.guest_port.install_agent",
        lambda _shell, file, *, port: done.append((file.name, port)),
    )
    definition = MachineDefinition(channel="debug-shell")
    port = GuestPort(definition, tmp_path, deadline_scale=1.0, check=lambda: None)
    assert port.serial_socket == tmp_path / "serial"
    once = ["waited", ("tailstest_agent.py", "org.tailstest.agent.0"), "closed"]
    assert port.channel is port.channel
    assert done == once
    port.forget()
    refuse.append(True)
    with pytest.raises(InfrastructureError):
        _ = port.channel
    refuse.clear()
    done.clear()
    _ = port.channel
    assert done == once  # a failed attempt does not count
    port.close()


def test_what_the_image_lacks_is_found_out_once_for_each_start(tmp_path, monkeypatch):
    tries = []

    class Shell:
        def __init__(self, _connect, **_options):
            pass

        def wait_ready(self, _deadline):
            tries.append("waited")

        def close(self):
            pass

    def refuse(_shell, _file, *, port):
        raise SetupError(f"no python3 for {port}", hint="add it")

    monkeypatch.setattr("tailstest.machine.guest_port.SerialShell", Shell)
    monkeypatch.setattr("tailstest.machine.guest_port.install_agent", refuse)
    definition = MachineDefinition(channel="debug-shell")
    port = GuestPort(definition, tmp_path, deadline_scale=1.0, check=lambda: None)
    for _ in range(2):
        with pytest.raises(SetupError, match="no python3") as error:
            _ = port.channel
        assert error.value.hint == "add it"
    assert tries == ["waited"]
    port.forget()
    with pytest.raises(SetupError):
        _ = port.channel
    assert tries == ["waited", "waited"]


def test_through_qemu_s_agent_it_is_installed_once_for_each_start(tmp_path, monkeypatch):
    done = []

    class Agent:
        def __init__(self, _connect, **_options):
            pass

        def wait_ready(self, _deadline):
            done.append("waited")

        def close(self):
            done.append("closed")

    monkeypatch.setattr("tailstest.machine.guest_port.QemuAgent", Agent)
    monkeypatch.setattr(
        "tailstest.machine.guest_port.install_through_qemu_agent",
        lambda _agent, file, *, port: done.append((file.name, port)),
    )
    definition = MachineDefinition(channel="qemu-agent")
    port = GuestPort(definition, tmp_path, deadline_scale=1.0, check=lambda: None)
    assert port.serial_socket is None
    assert port.sockets == {
        "org.tailstest.agent.0": tmp_path / "agent",
        "org.qemu.guest_agent.0": tmp_path / "qemu-agent",
    }
    once = ["waited", ("tailstest_agent.py", "org.tailstest.agent.0"), "closed"]
    assert port.channel is port.channel
    assert done == once
    port.forget()
    _ = port.channel
    assert done == once * 2
    port.close()


def test_behind_a_login_prompt_it_is_installed_by_the_user_of_the_profile(tmp_path, monkeypatch):
    done, refuse = [], [True]

    class Shell:
        def __init__(self, _connect, **_options):
            pass

        def wait_ready(self, _deadline):
            done.append("waited")

        def close(self):
            pass

    def install(_shell, _file, *, port):
        if refuse:
            raise InfrastructureError("no room")
        done.append(port)

    monkeypatch.setattr("tailstest.machine.guest_port.SerialShell", Shell)
    monkeypatch.setattr("tailstest.machine.guest_port.install_agent", install)
    monkeypatch.setattr(
        "tailstest.machine.guest_port.log_in",
        lambda _shell, user, password, *, deadline: done.append((user, password)),
    )
    definition = MachineDefinition(channel="serial-login", login_password="live")
    assert "live" not in repr(definition)
    port = GuestPort(definition, tmp_path, deadline_scale=1.0, check=lambda: None)
    assert port.serial_socket == tmp_path / "serial"
    with pytest.raises(InfrastructureError):
        _ = port.channel
    refuse.clear()
    _ = port.channel
    # The first attempt had logged in already.
    assert done == [("root", "live"), "waited", "org.tailstest.agent.0"]
    done.clear()
    port.forget()
    _ = port.channel
    assert done == [("root", "live"), "org.tailstest.agent.0"]
    port.close()


def test_a_variant_is_named_behind_the_image_s_name(tmp_path, monkeypatch):
    built = []

    class Builder:
        def build(self, variant):
            built.append(variant)
            return tmp_path

    monkeypatch.setattr("tailstest.machine.profile.live_builder", lambda _folder: Builder())
    profiles = load_profiles([bundled("images")])
    path, profile = find_image("demo:broken-button", profiles, tmp_path)
    assert (path, profile.name, built) == (tmp_path, "demo", ["broken-button"])
    find_image("demo", profiles, tmp_path)
    assert built[1:] == [""]
    with pytest.raises(UsageError, match="no variants"):
        find_image("ipxe:small", profiles, tmp_path)
