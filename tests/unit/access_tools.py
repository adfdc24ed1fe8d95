"""A session whose machine is this host: commands run here, files are those of a folder."""

import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.guest.errors import GuestPathMissing, GuestUsageError
from tailstest.guest.results import Completed
from tailstest.machine.lifecycle import MachineState
from tailstest.screen.frame import Frame
from tailstest.suite.access import open_access


@pytest.fixture
def runtime(monkeypatch):
    """A short place for sockets, of this test alone."""
    folder = Path(tempfile.mkdtemp(prefix="tt-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


class LocalCommand:
    """A command of this host that is followed as one of a guest."""

    def __init__(self, command, within):
        shell = isinstance(command, str)
        self.argv = ("/bin/sh", "-c", command) if shell else tuple(command)
        self.process = subprocess.Popen(
            self.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._within = within
        self._open = {self.process.stdout: "stdout", self.process.stderr: "stderr"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    @property
    def running(self):
        return bool(self._open)

    def send(self, data, *, on_output=None, watches=()):
        while data:
            for watch in watches:
                watch()
            if on_output:
                self.pump(0, on_output)
            _read, ready, _error = select.select([], [self.process.stdin], [], 0.1)
            if ready:
                try:
                    data = data[os.write(self.process.stdin.fileno(), data[:4096]) :]
                except BrokenPipeError:
                    return

    def close_stdin(self):
        self.process.stdin.close()

    def pump(self, timeout, on_output):
        for pipe in select.select(list(self._open), [], [], timeout)[0]:
            if data := os.read(pipe.fileno(), 1 << 16):
                on_output(self._open[pipe], data)
            else:
                del self._open[pipe]

    def wait(self, *, on_output=None):
        status = self.process.wait()
        timed_out = self._within < 1
        return Completed(self.argv, status, b"", b"", 0.1, timed_out=timed_out)


class LocalChannel:
    """The way into a machine that is this host."""

    def __init__(self, root):
        self.root = root
        self.started = []

    def place(self, path):
        if not path.startswith("/"):
            raise GuestUsageError(f"a path in the guest must be absolute: '{path}'")
        return self.root / path.lstrip("/")

    def wait_ready(self, _deadline=None):
        pass

    def start(self, command, **options):
        self.started.append((command, options))
        return LocalCommand(command, options["within"])

    def stat(self, path):
        place = self.place(path)
        if not place.exists() or (path.endswith("/.") and not place.is_dir()):
            raise GuestPathMissing(path)
        return SimpleNamespace(kind="folder" if place.is_dir() else "file")

    def put(self, source, target, mode, *, within):
        shutil.copyfile(source, self.place(target))
        self.place(target).chmod(mode)

    def put_folder(self, source, target, *, within):
        shutil.copytree(source, self.place(target), dirs_exist_ok=True)

    def get(self, source, target, limit, *, within):
        if not self.place(source).is_file():
            raise GuestPathMissing(source)
        shutil.copyfile(self.place(source), target)

    def get_folder(self, source, target, *, limit, within):
        if target.exists():
            raise GuestUsageError(f"{target} exists already")
        shutil.copytree(self.place(source), target)


class LocalSession:
    """As much of a session as other terminals need."""

    scenario = "A \x1b[31mred\x1b[0m scenario"
    image = Path("/images/demo.iso")
    has_machine = True
    called = "first"

    def turn_to(self, name):
        """Stay: there is one machine."""

    def turn_to_a_machine(self):
        """Stay: there is one machine."""

    def __init__(self, root):
        self.channel = LocalChannel(root)
        self.console = "first\nsecond\x1b[2J\x07\nthird\n"
        self.tree = 'frame "Terminal"\n'
        self.apps = []
        self.ended_films = []
        frame = Frame(np.full((30, 40, 3), 90, np.uint8))
        self.machine = SimpleNamespace(
            reach_guest=lambda _deadline: self.channel,
            deadline_scale=1.0,
            state=MachineState.RUNNING,
            screen=SimpleNamespace(frame=lambda: frame, last_frame=frame),
            serial=SimpleNamespace(text=lambda: self.console, path=root / "serial.log"),
            viewer_socket=None,
        )
        self.desktop = SimpleNamespace(dump=self._dump)

    def end_film(self, verdict):
        self.ended_films.append(verdict)

    def switch_off(self):
        self.machine.state = MachineState.SHUT_DOWN
        self.machine.screen.frame = self._no_frame

    def _dump(self, app):
        self.apps.append(app)
        return self.tree

    @staticmethod
    def _no_frame():
        raise InfrastructureError("the machine is off")


@pytest.fixture
def session(tmp_path):
    root = tmp_path / "guest"
    root.mkdir()
    return LocalSession(root)


@pytest.fixture
def access(runtime, session, tmp_path):
    """A run that waits."""
    run = tmp_path / "runs" / "run-one"
    run.mkdir(parents=True)
    said = []
    with open_access(session, run, "kept", said.append) as opened:
        assert opened is not None, said
        yield opened
