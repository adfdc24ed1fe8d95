"""`tailstest vm` as its user has it, on a run that waits in this process."""

import os
import stat
import subprocess
import sys

import cv2
import pytest

from tailstest.cli.main import main
from tailstest.guest.errors import GuestUnreachable
from tailstest.suite.access import open_access

pytest_plugins = ["access_tools"]


class Done:
    def __init__(self, returncode, out, err):
        self.returncode, self.out, self.err = returncode, out, err


@pytest.fixture
def vm(runtime, monkeypatch, tmp_path, capfdbinary):
    """Return a function that calls the command line in this process, in a folder of its own."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)

    def call(*arguments, stdin=b""):
        (tmp_path / "stdin").write_bytes(stdin)
        monkeypatch.setattr(sys, "argv", ["tailstest", "vm", *map(str, arguments)])
        with (tmp_path / "stdin").open("r") as file:
            monkeypatch.setattr(sys, "stdin", file)
            with pytest.raises(SystemExit) as ending:
                main()
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Done(ending.value.code, out, err.decode("utf-8", "surrogateescape"))

    call.place = place
    return call


def test_exec_passes_bytes_both_ways_and_the_status_on(vm, access):
    data = bytes(range(256)) * 300
    done = vm("exec", "--", "cat; printf '\\200' >&2; exit 9", stdin=data)
    assert done.returncode == 9
    assert done.out == data
    assert done.err == "\udc80"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["true"], 0),
        (["false"], 1),
        (["exit 255"], 255),
        (["kill -TERM $$"], 128 + 15),
        (["sh", "-c", "exit $#", "sh", "--user", "x y"], 2),
    ],
)
def test_exec_ends_as_the_command_did(vm, access, words, status):
    assert vm("exec", "--", *words).returncode == status


def test_exec_ends_with_124_at_the_time_limit(vm, access):
    done = vm("exec", "--timeout", "0.5", "--", "true")
    assert done.returncode == 124
    assert "time limit of 0.5 s" in done.err


def test_exec_passes_user_and_session_on(vm, access, session):
    vm("exec", "--user", "live", "--session", "--", "true")
    _command, options = session.channel.started[-1]
    assert (options["user"], options["session"]) == ("live", True)


def test_trouble_of_the_machine_is_status_3_and_no_output(vm, access, session):
    def silent(_deadline):
        raise GuestUnreachable("nobody \x1b[31manswers\x07")

    session.channel.wait_ready = silent
    done = vm("exec", "--", "true")
    assert (done.returncode, done.out) == (3, b"")
    assert "nobody answers" in done.err
    assert "\x1b" not in done.err
    assert "\x07" not in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exec"], "COMMAND"),
        (["exec", "--timeout", "0", "--", "true"], "timeout"),
        (["exec", "--timeout", "nan", "--", "true"], "timeout"),
        (["cp", "a", "b"], "must be inside"),
        (["cp", "vm:/a", "vm:/b"], "must be inside"),
        (["cp", "missing", "vm:/b"], "no file or folder missing"),
        (["cp", "vm:/missing", "x"], "not in the guest"),
        (["cp", "vm:relative", "x"], "absolute"),
        (["cp", "vm:", "x"], "source"),
        (["cp", "vm:/..", "."], "no name of its own"),
        (["console", "-n", "0"], "range"),
        (["console", "-n", "many"], "integer"),
        (["shot", "nowhere/shot.png"], "nowhere/shot.png"),
        (["list", "--run", "x"], "--run"),
        (["shot", "--run", "x"], 'called "x"'),
        (["reboot"], "reboot"),
    ],
)
def test_wrong_use_is_one_message_and_status_2(vm, access, arguments, said):
    done = vm(*arguments)
    assert done.returncode == 2, done.err
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [["exec", "--", "true"], ["cp", "vm:/a", "b"], ["shot"], ["tree"], ["console"]],
)
def test_without_a_run_everything_says_what_to_do(vm, arguments):
    done = vm(*arguments)
    assert done.returncode == 2
    assert "--keep" in done.err
    assert list(vm.place.iterdir()) == []


def test_list_shows_the_runs_and_nothing_dangerous(vm, access):
    done = vm("list")
    assert done.returncode == 0
    assert b"run-one  kept since" in done.out
    assert b"A red scenario" in done.out
    assert b"/images/demo.iso" in done.out
    assert b"\x1b" not in done.out


def test_list_of_nothing_says_how_to_get_something(vm):
    done = vm("list")
    assert (done.returncode, done.out) == (0, b"")
    assert "--keep" in done.err


def test_files_are_copied_both_ways(vm, access, session):
    (vm.place / "tool").write_text("x")
    (vm.place / "tool").chmod(0o755)
    (session.channel.root / "usr").mkdir()
    assert vm("cp", "tool", "vm:/usr").out == b"copied to vm:/usr/tool\n"
    assert stat.S_IMODE((session.channel.root / "usr" / "tool").stat().st_mode) == 0o755
    assert vm("cp", "vm:/usr/tool", "back").returncode == 0
    assert (vm.place / "back").read_text() == "x"
    (vm.place / "folder").mkdir()
    assert vm("cp", "vm:/usr/tool", "folder").out.endswith(b"/here/folder/tool\n")


def test_folders_are_copied_both_ways(vm, access, session):
    (vm.place / "one" / "two").mkdir(parents=True)
    (vm.place / "one" / "two" / "file").write_text("x")
    assert vm("cp", "one", "vm:/new").returncode == 0
    assert vm("cp", "one", "vm:/new").out == b"copied to vm:/new/one\n"
    assert (session.channel.root / "new" / "one" / "two" / "file").is_file()
    assert vm("cp", "vm:/new", "back").returncode == 0
    assert (vm.place / "back" / "one" / "two" / "file").read_text() == "x"


def test_a_shot_is_a_picture_and_replaces_nothing(vm, access):
    assert vm("shot").out == b"screen: shot.png (40 x 30)\n"
    assert cv2.imread(str(vm.place / "shot.png")).shape == (30, 40, 3)
    done = vm("shot")
    assert done.returncode == 2
    assert "shot.png exists" in done.err
    (vm.place / "link.png").symlink_to("nowhere")
    assert vm("shot", "link.png").returncode == 2
    assert vm("shot", "--force", "shot.png").returncode == 0


def test_tree_and_console_are_made_printable(vm, access, session):
    session.tree = 'frame "\x1b]0;title\x07x"\n'
    assert vm("tree", "--app", "gedit").out == b'frame "x"\n'
    assert session.apps == ["gedit"]
    assert vm("console", "-n", "2").out == b"second\\x07\nthird\n"
    session.console = "a\n\rb\r\n" + "x" * 10_000_000
    assert len(vm("console").out) < 1 << 20
    session.console = ""
    done = vm("console")
    assert (done.returncode, done.out) == (0, b"")
    assert "nothing was printed" in done.err


def test_several_runs_are_told_apart(vm, access, session, tmp_path):
    other = tmp_path / "runs" / "run-two"
    other.mkdir()
    with open_access(session, other, "paused", pytest.fail):
        done = vm("exec", "--", "exit 5")
        assert done.returncode == 2
        assert "run-one" in done.err
        assert "run-two" in done.err
        assert vm("exec", "--run", "two", "--", "exit 5").returncode == 5


def tailstest(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", "from tailstest.cli.main import main; main()", *arguments],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_output_arrives_as_it_is_written_and_input_may_stay_open(access):
    with tailstest("vm", "exec", "--", "echo a; sleep 100", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"a\n"
        process.kill()
    with tailstest("vm", "exec", "--", "echo b", stdin=subprocess.PIPE) as process:
        # Nobody closes its input, and still it ends.
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_a_reader_that_leaves_ends_any_command_quietly_and_is_no_success():
    with tailstest("steps") as process:
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_a_reader_that_leaves_ends_the_command_quietly(access):
    with tailstest("vm", "exec", "--", "yes", stdin=subprocess.DEVNULL) as process:
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""
