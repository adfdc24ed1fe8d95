"""A serial port of a guest without a guest: a real program on a pty, and a line that misbehaves."""

import contextlib
import fcntl
import os
import pty
import random
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence

NOISE = (
    b"[   12.345678] virtio_net virtio0 ens3: renamed from eth0 <here> 'and' \"there\"\r\n",
    b"\r\n[  OK  ] Started \x1b[0;1;39msystemd-logind.service\x1b[0m - User Login Management.\r\n",
    b"\x1b[6n\x1b[?2004h",
    b'audit: type=1400 audit(1700000000.1:2): apparmor="STATUS" <TT-damage $(\r\n',
)


class SerialPort:
    """A program on a pty, bridged to a socket by a thread.

    Args:
        argv: the program; None for a port at which nobody listens.
        noise: share of the bytes from the guest before which other text comes.
        loss: share of the bytes that get lost, in both directions.
        columns: width of the terminal.
        burst: bytes that the guest takes at once; those above are lost.
    """

    def __init__(
        self,
        argv: Sequence[str] | None,
        *,
        env: Mapping[str, str] | None = None,
        noise: float = 0.0,
        loss: float = 0.0,
        seed: int = 1,
        columns: int = 80,
        burst: int = 0,
    ) -> None:
        self._random = random.Random(seed)
        self._noise, self._loss, self._burst = noise, loss, burst
        self.lost = self.noises = 0
        self.host, self._guest = socket.socketpair()
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.device = os.ttyname(self._slave)
        self.process: subprocess.Popen[bytes] | None = None
        if argv is not None:
            self.process = subprocess.Popen(
                argv,
                stdin=self._slave,
                stdout=self._slave,
                stderr=self._slave,
                env=dict(os.environ if env is None else env),
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._bridge, daemon=True)
        self._thread.start()

    def connect(self) -> socket.socket:
        return self.host.dup()

    def cut(self) -> None:
        self._guest.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        os.write(self._stopper, b"x")
        self._thread.join()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for fd in (self._master, self._slave, self._stop, self._stopper):
            os.close(fd)
        self.host.close()
        self._guest.close()

    def _bridge(self) -> None:
        watched = [self._master, self._guest.fileno(), self._stop]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if self._stop in ready:
                return
            if self._guest.fileno() in ready:
                data = self._guest.recv(4096)
                if not data:
                    watched.remove(self._guest.fileno())
                if self._burst:
                    self.lost += len(data[self._burst :])
                    data = data[: self._burst]
                os.write(self._master, self._with_loss(data))
            if self._master in ready:
                data = self._with_noise(self._with_loss(os.read(self._master, 4096)))
                with contextlib.suppress(OSError):
                    self._guest.sendall(data)

    def _with_loss(self, data: bytes) -> bytes:
        if not self._loss:
            return data
        kept = bytes(byte for byte in data if self._random.random() >= self._loss)
        self.lost += len(data) - len(kept)
        return kept

    def _with_noise(self, data: bytes) -> bytes:
        if not self._noise:
            return data
        mixed = bytearray()
        for byte in data:
            if self._random.random() < self._noise:
                mixed += self._random.choice(NOISE)
                self.noises += 1
            mixed.append(byte)
        return bytes(mixed)
