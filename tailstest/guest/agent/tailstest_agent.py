#!/usr/bin/python3
"""Runs commands and moves files inside a guest, for the host at the other end of a port.

Usage (as root): tailstest_agent.py PATH | fd:N | --stdio

PATH is a character device such as /dev/virtio-ports/org.tailstest.agent.0; fd:N is an inherited
socket; --stdio speaks on standard input and output, for a serial line. The protocol stands in
PROTOCOL.md. This file needs Python 3.9 and its standard library, and imports nothing else, so
that it can be copied alone into any live system.

One thread and one loop: no request may wait for anything but a local disk.
"""

# Paths come and go as text here, and a scan of /proc must be cheap:
# ruff: noqa: PTH100, PTH102, PTH105, PTH106, PTH108, PTH112, PTH115, PTH116, PTH118, PTH120, PTH123
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import pwd
import secrets
import selectors
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import tty
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from io import RawIOBase
from types import FrameType
from typing import Any

VERSION = 1

MAGIC = b"\x00TT\x01"
HEADER = struct.Struct(">4sBIIII")  # magic, kind, epoch, request, length, crc
MAX_PAYLOAD = 65_536
FILLER = bytes(HEADER.size + MAX_PAYLOAD)

HELLO, REQUEST, DATA, END, KILL = 1, 2, 3, 4, 5
HELLO_ANSWER, STARTED, RESULT, ERROR, STDOUT, STDERR, CONTENT, CREDIT = range(16, 24)

CHUNK = 32_768  # bytes that one pipe or file may send in one turn
PORT_READS = 16  # reads of the port in one turn
OUT_LIMIT = 1 << 20  # queued bytes above which pipes and files are not read any more
WINDOW = 256 * 1024  # bytes that the host may send to one request before it gets credit
MAX_JOBS = 64
DISCONNECTED_WAIT = 0.05  # seconds between two looks at a port without a host
IDLE_AFTER_EXIT = 0.2  # seconds without output after which a left background child is not awaited
DRAIN_AFTER_EXIT = 2.0  # seconds, however much it writes
KILL_PATIENCE = 5.0  # seconds in which a killed command must be gone; else it is reported anyway

USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SESSION_NAMES = {
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"),
    *("LANG", "LANGUAGE", "DESKTOP_SESSION"),
}
SESSION_PREFIXES = ("XDG_", "LC_", "GTK_")
MARK = "TAILSTEST_COMMAND"  # in the environment of every command: finds children that left it

LETTERS = {"file": b"f", "folder": b"d", "link": b"l", "other": b"o"}

Message = tuple[int, int, int, bytes]  # kind, epoch, request, payload
Handler = Callable[[], None]


class Refused(Exception):
    """A request that cannot be done; `code` is a word that the host knows."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.path = code, message, path


def refused_by_system(error: OSError, path: str) -> Refused:
    """Translate what the kernel said."""
    code = "io"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        code = "missing"
    elif error.errno in (errno.EACCES, errno.EPERM):
        code = "denied"
    elif error.errno in (errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO):
        code = "wrong_type"
    return Refused(code, error.strerror or str(error), path)


def encode(kind: int, epoch: int, request: int, payload: bytes) -> bytes:
    """Return one frame."""
    head = HEADER.pack(MAGIC, kind, epoch, request, len(payload), 0)[:-4]
    return head + struct.pack(">I", zlib.crc32(payload, zlib.crc32(head))) + payload


class FrameReader:
    """Finds frames in a stream of bytes, also after garbage; holds one frame at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Add bytes; yield the frames that became complete."""
        buffer = self._buffer
        buffer += data
        while True:
            start = buffer.find(MAGIC)
            if start < 0:
                del buffer[: max(0, len(buffer) - len(MAGIC) + 1)]
                return
            del buffer[:start]
            if len(buffer) < HEADER.size:
                return
            _, kind, epoch, request, length, crc = HEADER.unpack_from(buffer)
            end = HEADER.size + length
            if length <= MAX_PAYLOAD and len(buffer) < end:
                return
            if length > MAX_PAYLOAD or self._crc(end) != crc:
                del buffer[:1]
                continue
            payload = bytes(buffer[HEADER.size : end])
            del buffer[:end]
            yield kind, epoch, request, payload

    def _crc(self, end: int) -> int:
        with memoryview(self._buffer) as view, view[HEADER.size : end] as payload:
            return zlib.crc32(payload, zlib.crc32(self._buffer[: HEADER.size - 4]))


class Fields:
    """A request's JSON object, read with checks."""

    def __init__(self, payload: bytes) -> None:
        try:
            values = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise Refused("bad_request", f"not JSON: {error}") from None
        if not isinstance(values, dict):
            raise Refused("bad_request", "not a JSON object")
        self._values = values

    def text(self, name: str) -> str:
        """Return a string that must be there."""
        value = self.optional_text(name)
        if value is None:
            raise Refused("bad_request", f"{name} is missing")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a string without NUL, or None."""
        value = self._values.get(name)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise Refused("bad_request", f"{name} must be text without NUL")
        return value

    def path(self) -> str:
        """Return the absolute path that the request is about."""
        path = self.text("path")
        if not path.startswith("/"):
            raise Refused("bad_request", "the path must be absolute", path)
        return path

    def number(self, name: str, default: float | None = None) -> float:
        """Return a finite number that is not negative."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused("bad_request", f"{name} must be a number")
        if not 0 <= value < 2**53:
            raise Refused("bad_request", f"{name} is out of range")
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value; False when it is not there."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise Refused("bad_request", f"{name} must be true or false")
        return value

    def words(self, name: str) -> list[str]:
        """Return a list of strings that is not empty."""
        value = self._values.get(name)
        if not isinstance(value, list) or not value:
            raise Refused("bad_request", f"{name} must be a list that is not empty")
        if not all(isinstance(word, str) and "\0" not in word for word in value):
            raise Refused("bad_request", f"{name} must hold text without NUL")
        return value

    def table(self, name: str) -> dict[str, str]:
        """Return names and their texts; empty when it is not there."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            raise Refused("bad_request", f"{name} must be an object")
        for key, text in value.items():
            if not isinstance(text, str) or "\0" in key + text or "=" in key or not key:
                raise Refused("bad_request", f"{name} holds a bad name or text")
        return value


# ---------------------------------------------------------------- processes and users


def read_bytes(path: str) -> bytes:
    """Return a small file of /proc; empty if it is gone or closed to us."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes() -> dict[int, list[bytes]]:
    """Return the fields of /proc/PID/stat behind the name: state, ppid, pgrp, session, ..."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = read_bytes(f"/proc/{name}/stat").rpartition(b")")[2].split()
            if len(fields) > 19:
                found[int(name)] = fields
    return found


def family(leader: int, mark: bytes) -> set[int]:
    """Return the living processes of a command: session, group, mark, and all their children."""
    table = processes()
    own = os.getpid()
    members = {leader}
    for pid, fields in table.items():
        in_session = leader in (int(fields[2]), int(fields[3]))
        if in_session or mark in read_bytes(f"/proc/{pid}/environ").split(b"\0"):
            members.add(pid)
    grew = True
    while grew:
        children = {pid for pid, fields in table.items() if int(fields[1]) in members} - members
        members |= children
        grew = bool(children)
    return {pid for pid in members - {own, 1} if pid in table and table[pid][0] not in b"ZX"}


def kill_family(leader: int, mark: bytes) -> None:
    """Kill a command with everything it started, also what forks while we are killing."""
    with contextlib.suppress(OSError):
        os.killpg(leader, signal.SIGKILL)
    killed: set[int] = set()
    for _ in range(20):
        members = family(leader, mark) - killed
        if not members:  # a process with a pending SIGKILL cannot fork any more
            return
        for pid in members:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        killed |= members


def find_user(name: str) -> pwd.struct_passwd:
    """Return the entry of a user; refuse when there is none."""
    try:
        return pwd.getpwnam(name)
    except (KeyError, UnicodeError):
        raise Refused("no_user", f"there is no user {name!r}") from None


def session_environment(user: pwd.struct_passwd) -> dict[str, str]:
    """Return what the oldest process of the user's graphical session has in its environment.

    One that knows the session's bus is better than an older one without: what starts a session
    (dbus-run-session, a login shell) has a screen before it has a bus.
    """
    table, without_bus = processes(), None
    for pid in sorted(table, key=lambda pid: int(table[pid][19])):
        try:
            if os.stat(f"/proc/{pid}").st_uid != user.pw_uid:
                continue
        except OSError:
            continue
        pairs = (part.partition(b"=") for part in read_bytes(f"/proc/{pid}/environ").split(b"\0"))
        found = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs if name}
        if MARK in found:  # started by us: says nothing about a session that is there now
            continue
        if found.get("DISPLAY") or found.get("WAYLAND_DISPLAY"):
            session = {
                name: value
                for name, value in found.items()
                if name in SESSION_NAMES or name.startswith(SESSION_PREFIXES)
            }
            if "DBUS_SESSION_BUS_ADDRESS" in session:
                return session
            without_bus = without_bus or session
    if without_bus is not None:
        return without_bus
    raise Refused("no_session", f"user {user.pw_name} has no graphical session")


def environment_of(user: pwd.struct_passwd, *, switched: bool) -> dict[str, str]:
    """Return the environment a command starts with: ours, or a fresh one for another user."""
    base = {"LANG": os.environ.get("LANG", "C.UTF-8")} if switched else dict(os.environ)
    own = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell or "/bin/sh",
        "PATH": USER_PATH if user.pw_uid else ROOT_PATH,
    }
    return {**base, **own} if switched else {**own, **base}


# ---------------------------------------------------------------- jobs


class Job:
    """A request that takes longer than one turn."""

    def __init__(self, agent: Agent, request: int) -> None:
        self.agent = agent
        self.request = request

    def data(self, payload: bytes) -> None:
        """Take bytes from the host."""
        raise Refused("bad_request", "this request takes no data")

    def end(self, payload: bytes) -> None:
        """Take the end of the bytes from the host."""

    def kill(self) -> None:
        """Give up because the host asked for it; the host still gets an answer."""
        raise Refused("cancelled", "given up by the host")

    def abandon(self) -> None:
        """Give up without an answer, and leave nothing behind."""

    def tick(self, now: float) -> float:
        """Do what is due; return the seconds until the next tick is needed."""
        return 3600.0

    def answer(self, kind: int, **values: object) -> None:
        """Send a JSON object to the host."""
        self.agent.send(kind, self.request, values)

    def finish(self, **values: object) -> None:
        """Send the result; the job is over."""
        self.agent.forget(self)
        self.answer(RESULT, **values)


class Command(Job):
    """A program with its pipes."""

    def __init__(self, agent: Agent, request: int, fields: Fields) -> None:
        super().__init__(agent, request)
        self.limit = int(fields.number("limit", 16 << 20))
        self.started = time.monotonic()
        self.deadline = self.started + fields.number("within", 60.0)
        self.mark = f"{agent.epoch:08x}.{request}"
        self.sent = {STDOUT: 0, STDERR: 0}
        self.after_exit = 0
        self.timed_out = self.truncated = False
        self.killed_at: float | None = None
        self.exited_at: float | None = None
        self.quiet_since = 0.0
        self.status: int | None = None
        self.input = bytearray()
        self.input_ended = False
        self.process = self._spawn(fields)
        self.pid = self.process.pid
        self.pipes: dict[int, int] = {}
        for pipe, kind in ((self.process.stdout, STDOUT), (self.process.stderr, STDERR)):
            assert pipe is not None
            self.pipes[pipe.fileno()] = kind
            os.set_blocking(pipe.fileno(), False)
        self.input_fd = -1
        if self.process.stdin is not None:
            self.input_fd = self.process.stdin.fileno()
            os.set_blocking(self.input_fd, False)
        self.answer(STARTED, pid=self.pid)
        self.listen()

    def _spawn(self, fields: Fields) -> subprocess.Popen[bytes]:
        argv, name = fields.words("argv"), fields.optional_text("user")
        user = self._user(name)
        options: dict[str, Any] = {}
        if name is not None and os.geteuid() == 0:
            groups = os.getgrouplist(user.pw_name, user.pw_gid)
            options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}
        environment = environment_of(user, switched=name is not None)
        if fields.flag("session"):
            if name is None:
                raise Refused("bad_request", "a session needs a user")
            environment.update(session_environment(user))
        environment.update(fields.table("env"))
        environment[MARK] = self.mark
        folder = fields.optional_text("cwd")
        if folder is None:
            home = user.pw_dir if name is not None else "/"
            folder = home if os.path.isdir(home) else "/"
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if fields.flag("stdin") else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=folder,
                env=environment,
                start_new_session=True,
                **options,
            )
        except OSError as error:
            named = error.filename if isinstance(error.filename, str) else argv[0]
            raise refused_by_system(error, named) from None

    @staticmethod
    def _user(name: str | None) -> pwd.struct_passwd:
        if name is not None:
            user = find_user(name)
            if os.geteuid() not in (0, user.pw_uid):
                raise Refused("denied", f"the agent may not become {name!r}: it is not root")
            return user
        try:
            return pwd.getpwuid(os.geteuid())
        except KeyError:
            number = os.geteuid()
            return pwd.struct_passwd((str(number), "", number, os.getegid(), "", "/", "/bin/sh"))

    def listen(self) -> None:
        """Wait for output unless the port is congested, and for room for input if there is any."""
        for fd, kind in self.pipes.items():
            wanted = 0 if self.agent.congested else selectors.EVENT_READ
            self.agent.watch(fd, wanted, partial(self._output, fd, kind))
        if self.input_fd >= 0:
            wanted = selectors.EVENT_WRITE if self.input or self.input_ended else 0
            self.agent.watch(self.input_fd, wanted, self._input)

    def _output(self, fd: int, kind: int) -> None:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.quiet_since = time.monotonic()
        room = self.limit - self.sent[kind]
        if data[:room]:
            self.agent.send_bytes(kind, self.request, data[:room])
            self.sent[kind] += len(data[:room])
            if self.exited_at is not None:
                self.after_exit += len(data)
        if len(data) > room:
            self.truncated = True
            self.kill()
        if not data or len(data) > room:
            self.agent.watch(fd, 0)
            del self.pipes[fd]
            stream = self.process.stdout if kind == STDOUT else self.process.stderr
            assert stream is not None
            stream.close()

    def data(self, payload: bytes) -> None:
        """Keep bytes for standard input."""
        if self.input_fd < 0:
            self._credit(len(payload))
            return
        if len(self.input) + len(payload) > WINDOW or self.input_ended:
            self.kill()
            raise Refused("bad_request", "more input than was allowed")
        self.input += payload
        self.listen()

    def end(self, payload: bytes) -> None:
        """Close standard input when everything was taken."""
        self.input_ended = True
        self.listen()

    def _credit(self, count: int) -> None:
        if count:
            self.agent.send_bytes(CREDIT, self.request, struct.pack(">I", count))

    def _input(self) -> None:
        try:
            count = os.write(self.input_fd, self.input[:CHUNK]) if self.input else 0
        except BlockingIOError:
            return
        except OSError:  # nobody reads it any more, which is no mistake: "head -1" does that
            count, self.input_ended = len(self.input), True
        del self.input[:count]
        self._credit(count)
        if self.input_ended and not self.input:
            self._close_input()
        else:
            self.listen()

    def _close_input(self) -> None:
        if self.input_fd >= 0 and self.process.stdin is not None:
            self.agent.watch(self.input_fd, 0)
            self.input_fd = -1
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            left = len(self.input)
            self.input.clear()
            self._credit(left)

    def kill(self) -> None:
        """Kill it with all its children; the result is reported as usual."""
        if self.killed_at is None:
            self.killed_at = time.monotonic()
        kill_family(self.pid, f"{MARK}={self.mark}".encode())

    def abandon(self) -> None:
        """Kill it and report nothing."""
        self.kill()
        self._release()

    def _release(self) -> None:
        """Close the pipes, and let the number of the process go; not before: it must stay ours."""
        self._close_input()
        for fd in self.pipes:
            self.agent.watch(fd, 0)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.pipes.clear()
        with contextlib.suppress(OSError):
            os.waitpid(self.pid, os.WNOHANG)
        self.process.returncode = 0  # else Popen would wait for it again

    def tick(self, now: float) -> float:
        """Enforce the limit, notice the end, do not wait for what was left in the background."""
        if self.exited_at is None:
            self._look_at_process(now)
        if self.exited_at is not None:
            return self._drain(now)
        if self.killed_at is None and now >= self.deadline:
            self.timed_out = True
            self.kill()
        if self.killed_at is None:
            return self.deadline - now
        if now >= self.killed_at + KILL_PATIENCE:
            self._report()
        return 0.05

    def _look_at_process(self, now: float) -> None:
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            self.exited_at = self.quiet_since = now
            return
        if ended is not None:
            signalled = ended.si_code != os.CLD_EXITED
            self.status = -ended.si_status if signalled else ended.si_status
            self.exited_at = self.quiet_since = now

    def _drain(self, now: float) -> float:
        assert self.exited_at is not None
        if not self.pipes:
            self._report()
            return 3600.0
        if self.agent.congested:
            self.quiet_since = now
            return 3600.0
        enough = now >= self.exited_at + DRAIN_AFTER_EXIT or self.after_exit > OUT_LIMIT
        if enough or now >= self.quiet_since + IDLE_AFTER_EXIT:
            before = self.after_exit
            for fd, kind in list(self.pipes.items()):
                self._output(fd, kind)  # what a busy machine did not let us see in time
            if enough or self.after_exit == before:
                self._report()
                return 3600.0
        return 0.05

    def _report(self) -> None:
        background = bool(self.pipes)
        status = -int(signal.SIGKILL) if self.status is None else self.status
        self._release()
        self.finish(
            status=status,
            timed_out=self.timed_out,
            truncated=self.truncated,
            background=background,
            seconds=round(time.monotonic() - self.started, 4),
        )


class Incoming(Job):
    """A file that the host puts here; it appears under its name when all of it is there."""

    def __init__(self, agent: Agent, request: int, fields: Fields) -> None:
        super().__init__(agent, request)
        self.path = fields.path()
        self.mode = int(fields.number("mode", 0o644)) & 0o7777
        owner = fields.optional_text("owner")
        self.owner = find_user(owner) if owner is not None else None
        self.digest = hashlib.blake2b()
        self.size = 0
        self.made: list[str] = []
        self.fd = -1
        parent = os.path.dirname(self.path.rstrip("/"))
        self.part = os.path.join(parent, f".tailstest-{secrets.token_hex(8)}.part")
        try:
            if self.path.endswith("/") or os.path.isdir(self.path):
                raise Refused("wrong_type", "there is a folder of that name", self.path)
            if fields.flag("parents"):
                self._make_parents(parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self.fd = os.open(self.part, flags, 0o600)
        except OSError as error:
            self.abandon()
            raise refused_by_system(error, self.path) from None
        self.answer(STARTED)

    def _make_parents(self, parent: str) -> None:
        missing = []
        while not os.path.lexists(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        for folder in reversed(missing):
            os.mkdir(folder, 0o755)
            self.made.append(folder)
            if self.owner is not None:
                os.chown(folder, self.owner.pw_uid, self.owner.pw_gid)

    def data(self, payload: bytes) -> None:
        """Write the next bytes."""
        try:
            rest = memoryview(payload)
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError as error:
            raise refused_by_system(error, self.path) from None
        self.digest.update(payload)
        self.size += len(payload)
        self.agent.send_bytes(CREDIT, self.request, struct.pack(">I", len(payload)))

    def end(self, payload: bytes) -> None:
        """Give the file its name if it is what the host sent."""
        if Fields(payload).text("digest") != self.digest.hexdigest():
            raise Refused("digest", "what arrived is not what was sent", self.path)
        try:
            if self.owner is not None:
                os.fchown(self.fd, self.owner.pw_uid, self.owner.pw_gid)
            os.fchmod(self.fd, self.mode)
            os.replace(self.part, self.path)
        except OSError as error:
            raise refused_by_system(error, self.path) from None
        os.close(self.fd)
        self.fd = -1
        self.finish(size=self.size)

    def abandon(self) -> None:
        """Remove what was written, and the folders that were made for it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            with contextlib.suppress(OSError):
                os.unlink(self.part)
        while self.made:
            with contextlib.suppress(OSError):
                os.rmdir(self.made.pop())


Chunks = Generator[bytes, None, "dict[str, object]"]


class Outgoing(Job):
    """Bytes for the host, one chunk a turn; the generator returns the result."""

    def __init__(self, agent: Agent, request: int, chunks: Chunks) -> None:
        super().__init__(agent, request)
        self.chunks = chunks
        self.answer(STARTED)

    def tick(self, now: float) -> float:
        """Send one chunk unless the port is congested."""
        if self.agent.congested:
            return 3600.0
        try:
            self.agent.send_bytes(CONTENT, self.request, next(self.chunks))
        except StopIteration as done:
            self.finish(**done.value)
            return 3600.0
        except OSError as error:
            raise refused_by_system(error, "") from None
        return 0.0

    def abandon(self) -> None:
        """Close what is being read."""
        self.chunks.close()


def open_file(path: str, limit: float) -> Chunks:
    """Open a regular file now, return its content in chunks."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        status = os.fstat(fd)
    except OSError as error:
        raise refused_by_system(error, path) from None
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        os.close(fd)
        if stat.S_ISREG(status.st_mode):
            raise Refused("too_large", f"{status.st_size} bytes; the limit is {limit:.0f}", path)
        raise Refused("wrong_type", "this is not a regular file", path)
    file = open(fd, "rb", buffering=0)  # noqa: SIM115 (the generator closes it)
    return file_chunks(path, file, limit, stat.S_IMODE(status.st_mode))


def file_chunks(path: str, file: RawIOBase, limit: float, mode: int) -> Chunks:
    """Yield the content; a file that grows over the limit meanwhile is refused."""
    digest, size = hashlib.blake2b(), 0
    with file:
        while data := file.read(CHUNK):
            size += len(data)
            if size > limit:
                raise Refused("too_large", f"more than the limit of {limit:.0f} bytes", path)
            digest.update(data)
            yield data
    return {"size": size, "digest": digest.hexdigest(), "mode": mode}


def kind_of(mode: int) -> str:
    """Return one word for the type of a file."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def folder_chunks(path: str, limit: float) -> Chunks:
    """Yield entries: letter of the type, name, NUL. Names may be any other bytes."""
    try:
        names = os.scandir(os.fsencode(path))
    except OSError as error:
        raise refused_by_system(error, path) from None
    count, block = 0, bytearray()
    with names:
        for entry in names:
            count += 1
            if count > limit:
                raise Refused("too_large", f"more than {limit:.0f} entries", path)
            kind = "other"
            with contextlib.suppress(OSError):
                kind = kind_of(entry.stat(follow_symlinks=False).st_mode)
            block += LETTERS[kind] + entry.name + b"\0"
            if len(block) > CHUNK:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)
    return {"count": count}


def describe(path: str) -> dict[str, object]:
    """Return what lstat knows, and where a link points to."""
    try:
        status = os.lstat(path)
        target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
    except OSError as error:
        raise refused_by_system(error, path) from None
    return {
        "kind": kind_of(status.st_mode),
        "size": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime": status.st_mtime,
        "target": target,
    }


# ---------------------------------------------------------------- the port and the loop


class Port:
    """The line to the host: one descriptor or two, opened again when a device went away."""

    def __init__(self, where: str) -> None:
        self.path = where if not where.startswith(("fd:", "--stdio")) else ""
        self.reading = self.writing = -1
        if where == "--stdio":
            self.reading, self.writing = 0, 1
        elif not self.path:
            self.reading = self.writing = int(where[3:])
            os.set_inheritable(self.reading, False)
        self._prepare()

    def _prepare(self) -> None:
        for fd in {self.reading, self.writing} - {-1}:
            os.set_blocking(fd, False)
            if os.isatty(fd):
                tty.setraw(fd)

    def open(self) -> bool:
        """Open the device if it is closed; return whether it is open."""
        if self.reading < 0:
            try:
                flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self.reading = self.writing = os.open(self.path, flags)
                self._prepare()
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Close a device that failed, to open it again later; other ports stay as they are."""
        if self.path and self.reading >= 0:
            os.close(self.reading)
            self.reading = self.writing = -1


def make_selector(port: Port) -> selectors.BaseSelector:
    """Return the best selector that can watch this port (epoll refuses some files)."""
    for name in ("EpollSelector", "PollSelector"):
        made = getattr(selectors, name, None)
        if made is None:
            continue
        selector: selectors.BaseSelector = made()
        try:
            for fd in {port.reading, port.writing} - {-1}:
                selector.register(fd, selectors.EVENT_READ)
                selector.unregister(fd)
            return selector
        except (OSError, ValueError):
            selector.close()
    return selectors.SelectSelector()


class Agent:
    """The loop, the port and the jobs."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.epoch = 0
        self.congested = False
        self._jobs: dict[int, Job] = {}
        self._handlers: dict[int, tuple[int, Handler]] = {}
        self._reader = FrameReader()
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._out_sent = 0  # bytes of the first frame that are on their way
        self._asleep_until = 0.0
        self._child_ended = True
        port.open()
        self._selector = make_selector(port)
        self._wake, waker = socket.socketpair()
        for end in (self._wake, waker):
            end.setblocking(False)
        self._waker = waker
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._sha256 = hashlib.sha256(read_bytes(os.path.abspath(__file__))).hexdigest()

    # -- loop

    def run(self) -> None:
        """Serve for ever."""
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._note_child)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
        try:
            while True:
                self._turn()
        finally:
            self._abandon(list(self._jobs.values()))

    def _note_child(self, number: int, frame: FrameType | None) -> None:
        self._child_ended = True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    def _turn(self) -> None:
        wait = self._tick()
        self._watch_port()
        for key, _ in self._selector.select(wait):
            if key.fd == self._wake.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
                continue
            known = self._handlers.get(key.fd)
            if known is not None and known[1] is key.data:  # else closed earlier in this turn
                known[1]()
        if self._child_ended:
            self._child_ended = False
            self._reap_adopted()

    def _tick(self) -> float:
        now = time.monotonic()
        congested = self._out_bytes > OUT_LIMIT
        changed, self.congested = congested != self.congested, congested
        wait = 1.0
        for job in list(self._jobs.values()):
            if changed and isinstance(job, Command):
                job.listen()
            wait = min(wait, self._guarded(job, partial(job.tick, now)) or 0.0)
        if now < self._asleep_until:
            wait = min(wait, self._asleep_until - now)
        return max(0.0, wait)

    def _guarded(self, job: Job, action: Callable[[], float | None]) -> float | None:
        """Do something for a job; what goes wrong ends this job and no other."""
        try:
            return action()
        except Refused as refused:
            trouble = refused
        except Exception as error:  # noqa: BLE001 (one request must not end the agent)
            trouble = Refused("internal", f"{type(error).__name__}: {error}")
        self._abandon([job])
        self.refuse(job.request, trouble)
        return 0.0

    def _reap_adopted(self) -> None:
        """Let orphans go that we inherited; commands are let go when they are reported."""
        own = {job.pid for job in self._jobs.values() if isinstance(job, Command)}
        for word in read_bytes(f"/proc/self/task/{os.getpid()}/children").split():
            if int(word) not in own:
                with contextlib.suppress(OSError):
                    os.waitpid(int(word), os.WNOHANG)

    def watch(self, fd: int, events: int, handler: Handler | None = None) -> None:
        """Call `handler` when `fd` is ready; events 0 ends that."""
        known = self._handlers.get(fd)
        if events == 0 or handler is None:
            if known is not None:
                del self._handlers[fd]
                self._selector.unregister(fd)
            return
        if known is not None:
            if known[0] == events:
                return
            self._selector.modify(fd, events, handler)
        else:
            self._selector.register(fd, events, handler)
        self._handlers[fd] = (events, handler)

    # -- port

    def _watch_port(self) -> None:
        if time.monotonic() < self._asleep_until or not self.port.open():
            if self.port.reading < 0:
                self._sleep()
            return
        reading, writing = self.port.reading, self.port.writing
        writes = selectors.EVENT_WRITE if self._out else 0
        if reading == writing:
            self.watch(reading, selectors.EVENT_READ | writes, self._port_ready)
        else:
            self.watch(reading, selectors.EVENT_READ, self._read_port)
            self.watch(writing, writes, self._write_port)

    def _sleep(self) -> None:
        """Leave the port alone for a moment: without a host it is always ready and never does."""
        for fd in {self.port.reading, self.port.writing} - {-1}:
            self.watch(fd, 0)
        self._asleep_until = time.monotonic() + DISCONNECTED_WAIT

    def _port_ready(self) -> None:
        self._read_port()
        if self._out and self.port.writing >= 0:
            self._write_port()

    def _read_port(self) -> None:
        # A virtio port gives one page in each read, however much is waiting.
        parts: list[bytes] = []
        while len(parts) < PORT_READS:
            try:
                data = os.read(self.port.reading, 2 * CHUNK)
            except BlockingIOError:
                break
            except OSError as error:
                if parts:
                    break  # what came before counts; the loss will be seen again
                self._lost(error)
                return
            if not data:
                if parts:
                    break
                self._lost(None)
                return
            parts.append(data)
        for kind, epoch, request, payload in self._reader.feed(b"".join(parts)):
            self._take(kind, epoch, request, payload)

    def _lost(self, error: OSError | None) -> None:
        """No host: a new one greets with a new epoch, so unfinished files can go now."""
        self._sleep()
        self._reader = FrameReader()
        self._abandon([job for job in self._jobs.values() if not isinstance(job, Command)])
        if error is not None and error.errno not in (errno.EPIPE, errno.ECONNRESET):
            self.port.close()

    def _write_port(self) -> None:
        for _ in range(8):
            if not self._out:
                return
            first = self._out[0]
            try:
                count = os.write(self.port.writing, first[self._out_sent :])
            except BlockingIOError:
                return
            except OSError:
                self._sleep()
                return
            self._out_sent += count
            if self._out_sent < len(first):
                return
            self._out.popleft()
            self._out_bytes -= len(first)
            self._out_sent = 0

    def send_bytes(self, kind: int, request: int, payload: bytes) -> None:
        """Queue a frame of the present epoch."""
        self._queue(encode(kind, self.epoch, request, payload))

    def send(self, kind: int, request: int, values: dict[str, Any]) -> None:
        """Queue a frame with a JSON object."""
        self.send_bytes(kind, request, json.dumps(values).encode())

    def refuse(self, request: int, trouble: Refused) -> None:
        """Tell the host why a request is not done."""
        text, path = trouble.message[:1000], trouble.path[:4096]
        self.send(ERROR, request, {"code": trouble.code, "message": text, "path": path})

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
        self._out_bytes += len(data)

    # -- requests

    def forget(self, job: Job) -> None:
        """Take a job off the list."""
        self._jobs.pop(job.request, None)

    def _abandon(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.forget(job)
            with contextlib.suppress(Exception):
                job.abandon()

    def _take(self, kind: int, epoch: int, request: int, payload: bytes) -> None:
        if kind == HELLO:
            self._hello(epoch, request, payload)
        elif epoch != self.epoch:
            if kind == REQUEST:  # not done; the host greets again and may repeat it
                values = {"code": "epoch", "message": "unknown epoch", "path": ""}
                self._queue(encode(ERROR, epoch, request, json.dumps(values).encode()))
        elif kind == REQUEST:
            self._begin(request, payload)
        elif request in self._jobs:
            job = self._jobs[request]
            if kind == DATA:
                self._guarded(job, partial(job.data, payload))
            elif kind == END:
                self._guarded(job, partial(job.end, payload))
            elif kind == KILL:
                self._guarded(job, job.kill)

    def _hello(self, epoch: int, request: int, payload: bytes) -> None:
        try:
            filler = Fields(payload).flag("filler")
        except Refused:
            return
        if epoch != self.epoch:
            self._abandon(list(self._jobs.values()))
            self._drop_output()
            self.epoch = epoch
        if filler and self._out_bytes <= OUT_LIMIT:
            self._queue(FILLER)
        boot = read_bytes("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()
        self.send(
            HELLO_ANSWER,
            request,
            {
                "version": VERSION,
                "sha256": self._sha256,
                "pid": os.getpid(),
                "uid": os.geteuid(),
                "boot_id": boot,
                "clock": time.time(),
            },
        )

    def _drop_output(self) -> None:
        """Drop what the old epoch still had to say, but end the frame that has begun."""
        begun = self._out[0] if self._out_sent else None
        self._out.clear()
        self._out_bytes = 0
        if begun is not None:
            self._queue(begun)

    def _begin(self, request: int, payload: bytes) -> None:
        try:
            if request in self._jobs:
                raise Refused("bad_request", "this number is in use")
            self._dispatch(request, Fields(payload))
        except Refused as refused:
            self.refuse(request, refused)
        except Exception as error:  # noqa: BLE001 (one request must not end the agent)
            self.refuse(request, Refused("internal", f"{type(error).__name__}: {error}"))

    def _dispatch(self, request: int, fields: Fields) -> None:
        operation = fields.text("op")
        if operation == "ping":
            self.send(RESULT, request, {})
        elif operation == "stat":
            self.send(RESULT, request, describe(fields.path()))
        elif operation == "set_clock":
            self._set_clock(fields.number("seconds"))
            self.send(RESULT, request, {"clock": time.time()})
        elif len(self._jobs) >= MAX_JOBS:
            raise Refused("busy", f"{MAX_JOBS} requests are being worked on")
        elif operation == "run":
            self._jobs[request] = Command(self, request, fields)
        elif operation == "put":
            self._jobs[request] = Incoming(self, request, fields)
        elif operation == "get":
            chunks = open_file(fields.path(), fields.number("limit"))
            self._jobs[request] = Outgoing(self, request, chunks)
        elif operation == "list":
            chunks = folder_chunks(fields.path(), fields.number("limit", 100_000))
            self._jobs[request] = Outgoing(self, request, chunks)
        else:
            raise Refused("bad_request", f"unknown operation {operation[:40]!r}")

    @staticmethod
    def _set_clock(seconds: float) -> None:
        try:
            time.clock_settime(time.CLOCK_REALTIME, seconds)
        except OSError as error:
            raise refused_by_system(error, "") from None


def main(arguments: list[str]) -> int:
    """Serve the port that is named; return only when the call is wrong."""
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(__doc__, file=sys.stderr)
        return 2
    Agent(Port(arguments[0])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
