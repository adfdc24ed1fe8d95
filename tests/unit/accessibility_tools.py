"""A channel to "a guest" that is this host: commands are processes, files go into a folder."""

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path

from tailstest.guest.results import Completed


class LocalCommand:
    """Behaves like RunningCommand, with output in pieces of a size."""

    def __init__(self, argv, env, piece=1 << 16):
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env},
        )
        self.argv, self.piece, self.ended = tuple(argv), piece, False

    @property
    def running(self):
        return not self.ended

    def send(self, data):
        with contextlib.suppress(BrokenPipeError):  # a command need not read all of its input
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def close_stdin(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def read_stdout(self, timeout):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        data = os.read(self.process.stdout.fileno(), self.piece) if ready else b""
        self.ended = self.ended or bool(ready and not data)
        return data

    def kill(self):
        self.process.kill()

    def wait(self, within=None):
        _, err = self.process.communicate()
        return Completed(self.argv, self.process.returncode, b"", err, 0.1)


class LocalChannel:
    """Starts the helper, or a program in its place, on this host."""

    def __init__(self, folder, program=None, piece=1 << 16, env=None):
        self.folder, self.program, self.piece = Path(folder), program, piece
        self.started, self.env, self.refusal = [], env or {}, None

    def put(self, data, target, mode=0o644, *, parents=False):
        self.target = self.folder / Path(target).name
        self.target.write_bytes(data)

    def start(self, command, *, user, session, env, within, limit):
        if self.refusal is not None:
            raise self.refusal
        argv = [command[0], *command[1:-1], str(self.target)]
        if self.program is not None:
            argv = [sys.executable, "-u", "-c", self.program]
        self.started.append(LocalCommand(argv, {**self.env, **env}, self.piece))
        return self.started[-1]

    def close(self):
        for command in self.started:
            command.process.kill()
            command.process.wait()
