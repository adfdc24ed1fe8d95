"""Media with faults: which there can be, and what a server makes of them, as QEMU reads it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.media.fault_server import FaultServer, FaultyDisk
from tailstest.media.faults import MOST_PLACES, NO_FAULTS, Faults
from tailstest.media.usb_stick import UsbStick

MIB = 1 << 20


def test_a_medium_without_faults_is_an_ordinary_drive(tmp_path):
    assert not NO_FAULTS
    assert not isinstance(UsbStick(tmp_path / "a").disk(), FaultyDisk)
    bad = UsbStick(tmp_path / "a", faults=Faults(kept=MIB), format="raw").disk()
    assert isinstance(bad, FaultyDisk)
    assert (bad.format, bad.bus, bad.faults.kept) == ("raw", "usb", MIB)


def test_sectors_that_are_bad_in_part_are_bad_as_a_whole():
    faults = NO_FAULTS.with_place("unreadable", 1000, 1025).with_place("unwritable", 0, 512)
    assert faults.unreadable == ((512, 1536),)
    assert faults.unwritable == ((0, 512),)
    assert Faults.model_validate_json(faults.model_dump_json()) == faults


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (lambda: NO_FAULTS.with_place("unreadable", MIB, MIB), "is empty"),
        (lambda: NO_FAULTS.with_place("unwritable", 2 * MIB, MIB), "is empty"),
        (lambda: NO_FAULTS.with_kept(512, "lost"), "cannot keep only 512 bytes"),
        (lambda: NO_FAULTS.with_place("unreadable", 3 * MIB, 5 * MIB), "beyond the end"),
        (lambda: NO_FAULTS.with_kept(4 * MIB, "wraps"), "does not lie"),
    ],
)
def test_faults_that_a_medium_cannot_have_are_refused(faults, said):
    with pytest.raises(UsageError, match=said):
        faults().check_within(4 * MIB)


def test_there_is_a_limit_of_bad_places():
    faults = NO_FAULTS
    for number in range(MOST_PLACES):
        faults = faults.with_place("unreadable", number * 1024, number * 1024 + 512)
    with pytest.raises(UsageError, match="64 bad places"):
        faults.with_place("unreadable", MIB, 2 * MIB)


@pytest.fixture
def serve(tmp_path):
    """Return a function that serves 64 MiB with some faults."""
    begun = []

    def server(faults, file=tmp_path / "content"):
        file.touch()
        os.truncate(file, 64 * MIB)
        place = tmp_path / f"socket-{len(begun)}"
        begun.append(FaultServer(file, faults, place, deadline_scale=10))
        return begun[-1]

    yield server
    for each in begun:
        each.close()


def asked(server, *commands):
    """Return what QEMU's own client says to some commands of qemu-io."""
    words = [word for command in commands for word in ("-c", command)]
    address = f"nbd+unix:///any/name?socket={server.socket}"
    done = subprocess.run(
        ["qemu-io", "-f", "raw", *words, address], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_reading_fails_where_it_shall_and_nowhere_else(serve):
    server = serve(NO_FAULTS.with_place("unreadable", MIB, 2 * MIB))
    for command in ("read 1M 512", "read 2096640 512", "read 1048064 1024", "read 0 4M"):
        assert "Input/output error" in asked(server, command), command
    said = asked(server, "write -P 7 1M 512", "read 1048064 512", "read 2M 512")
    assert "error" not in said
    server.check()
    assert server.file.read_bytes()[MIB : MIB + 1] == b"\7"


def test_writing_fails_where_it_shall_and_leaves_what_was_there(serve):
    server = serve(NO_FAULTS.with_place("unwritable", MIB, 2 * MIB))
    for command in ("write -P 7 1M 512", "write -z 0 8M", "write -P 7 1048064 1024"):
        assert "Input/output error" in asked(server, command), command
    assert "error" not in asked(server, "write -P 9 2M 512", "read -P 0 0 2M")
    assert set(server.file.read_bytes()[: 2 * MIB]) == {0}


def test_what_is_written_behind_what_is_kept_is_lost(serve):
    server = serve(NO_FAULTS.with_kept(8 * MIB, "lost"))
    said = asked(server, "write -P 5 7M 2M", "read -P 5 7M 1M", "read -P 0 8M 56M")
    assert "error" not in said
    assert "failed" not in said
    assert server.file.stat().st_size == 64 * MIB


def test_what_is_written_behind_what_is_kept_is_written_over_the_beginning(serve):
    server = serve(NO_FAULTS.with_kept(8 * MIB, "wraps"))
    said = asked(
        server, "write -P 5 15M 2M", "read -P 5 7M 1M", "read -P 5 0 1M", "read -P 0 1M 6M"
    )
    assert "failed" not in said
    assert "failed" not in asked(server, "read -P 5 56M 1M", "read -P 5 63M 1M")


def test_two_servers_never_have_the_same_file(serve, tmp_path):
    serve(NO_FAULTS.with_kept(MIB, "lost"))
    with pytest.raises(InfrastructureError, match="another machine uses"):
        serve(NO_FAULTS.with_kept(MIB, "lost"))
    assert not (tmp_path / "socket-1").exists()


def test_trouble_of_the_host_ends_the_server_and_is_no_fault_of_the_medium(serve):
    server = serve(NO_FAULTS.with_kept(60 * MIB, "lost"))
    os.truncate(server.file, MIB)
    asked(server, "read 2M 512")
    assert poll(lambda: not fault_servers() or None, Deadline.after(30))
    for _ in range(2):  # as often as one asks
        with pytest.raises(InfrastructureError, match=r"ended by itself: .*has become shorter"):
            server.check()


def fault_servers():
    """Return the servers among our children that run; other tests may have left a helper."""
    children = psutil.Process().children()
    return [
        each
        for each in children
        if each.name() == "nbdkit" and each.status() != psutil.STATUS_ZOMBIE
    ]


def test_a_closed_server_is_gone(serve):
    server = serve(NO_FAULTS.with_kept(MIB, "lost"))
    assert fault_servers()
    server.close()
    server.close()
    assert not server.socket.exists()
    assert not fault_servers()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InfrastructureError, match="No such file"):
        FaultServer(tmp_path / "none", Faults(kept=MIB), tmp_path / "s", deadline_scale=10)


def test_without_nbdkit_its_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tailstest.media.host_tool.ADMIN_PATH", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError) as caught:
        FaultServer(tmp_path / "none", Faults(kept=MIB), tmp_path / "s", deadline_scale=10)
    assert "apt install nbdkit nbdkit-plugin-python" in caught.value.hint


def test_a_server_does_not_outlive_a_killed_run(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from tailstest.media.fault_server import FaultServer\n"
        "from tailstest.media.faults import Faults\n"
        "folder = Path(sys.argv[1]); (folder / 'c').write_bytes(bytes(4 << 20))\n"
        "FaultServer(folder / 'c', Faults(kept=1 << 20), folder / 's', deadline_scale=10)\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout.readline() == b"ready\n"
        (server,) = psutil.Process(run.pid).children()
        assert server.name() == "nbdkit"
        run.send_signal(signal.SIGKILL)
        run.wait()

    def gone():
        return True if not server.is_running() or server.status() == "zombie" else None

    assert poll(gone, Deadline.after(20))


# Sticks that get faults


def write(stick, *commands):
    words = [word for command in commands for word in ("-c", f"write -P {command}")]
    subprocess.run(["qemu-io", *words, str(stick.overlay)], check=True, capture_output=True)


def byte(stick, offset):
    with stick.overlay.open("rb") as file:
        file.seek(offset)
        return file.read(1)[0]


def test_a_stick_keeps_its_content_when_it_gets_faults(tmp_path):
    stick = UsbStick.blank(tmp_path / "s.qcow2", 2 << 30)
    write(stick, "7 1M 64k")
    bad = stick.with_faults(NO_FAULTS.with_place("unreadable", 0, 512), tmp_path / "s.raw")
    assert (bad.format, bad.overlay.stat().st_size) == ("raw", 2 << 30)
    assert bad.overlay.stat().st_blocks * 512 < MIB
    assert bad.overlay.stat().st_mode & 0o77 == 0
    assert byte(bad, MIB) == 7
    assert not stick.overlay.exists()
    worse = bad.with_faults(bad.faults.with_place("unwritable", 0, 512), tmp_path / "other.raw")
    assert worse.overlay == bad.overlay
    copy = worse.copy_to(tmp_path / "copy.raw")
    assert (copy.format, bool(copy.faults), byte(copy, MIB)) == ("raw", False, 7)


def test_what_a_counterfeit_stick_cannot_have_kept_is_gone(tmp_path):
    stick = UsbStick.blank(tmp_path / "s.qcow2", 64 * MIB)
    write(stick, "1 0 64k", "2 8M 64k", "3 31M 1M")
    for beyond, first, last in (("lost", 1, 0), ("wraps", 2, 3)):
        one = stick.copy_to(tmp_path / f"{beyond}.qcow2")
        faults = NO_FAULTS.with_kept(8 * MIB, beyond)
        bad = one.with_faults(faults, tmp_path / f"{beyond}.raw")
        assert byte(bad, 0) == first
        assert byte(bad, 8 * MIB - 1) == last
        assert byte(bad, 8 * MIB) == byte(bad, 32 * MIB - 1) == 0
        assert bad.overlay.stat().st_size == 64 * MIB


def test_faults_that_do_not_fit_leave_the_stick_as_it_is(tmp_path):
    stick = UsbStick.blank(tmp_path / "s.qcow2", MIB * 2)
    with pytest.raises(UsageError, match="beyond the end"):
        stick.with_faults(NO_FAULTS.with_place("unreadable", 0, 4 * MIB), tmp_path / "s.raw")
    assert stick.overlay.exists()
    assert not (tmp_path / "s.raw").exists()
    with pytest.raises(InfrastructureError, match="cannot make a USB stick with faults"):
        stick.with_faults(NO_FAULTS.with_kept(MIB, "lost"), Path("/nowhere/s.raw"))
