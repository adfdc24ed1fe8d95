"""One wire of the lab: frames between a machine's socket and a port of a bridge.

Runs inside the lab's process, where the network interfaces are.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.lab.network.frames import LARGEST_FRAME, FrameReader, StreamDamaged, framed
from tailstest.lab.network.quality import Direction, Quality
from tailstest.lab.network.recording import Recording

#: Bytes that wait for a machine which does not read, because it is paused; what comes then is lost.
MOST_WAITING = 1 << 20
#: Frames on their way at a time, per direction; more are lost, as in a full buffer.
MOST_ON_THE_WAY = 10_000
#: MAC addresses of a machine that are kept; one that hides its own has a new one for each start.
MOST_SENDERS = 256
#: Frames taken from the bridge before somebody else gets his turn.
AT_ONCE = 64

_ADDRESSES = 12  # bytes of receiver and sender
_ALL_PROTOCOLS = 3  # ETH_P_ALL
_OUTGOING = 4  # PACKET_OUTGOING: what we sent ourselves


@dataclass
class Counts:
    """What has passed a wire: frames sent by the machine, frames given to it, and lost ones."""

    sent: int = 0
    received: int = 0
    lost: int = 0


class Relay:
    """A wire between the socket that QEMU connects to and a network interface.

    Every frame is recorded where the machine is: as it comes from it, and as it is handed to it.
    When the recording is full the wire is dead: nothing passes that is not kept.

    Args:
        name: of the wire, for messages.
        path: of the socket; one machine at a time, a new one takes the place of the one before.
        interface: whose other end is in a bridge.
        recording: gets every frame.
        on_trouble: called with one sentence when the wire is dead.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        interface: str,
        recording: Recording,
        on_trouble: Callable[[str], None],
    ) -> None:
        self.name = name
        self.interface = interface
        self.counts = Counts()
        self.senders: set[bytes] = set()
        self.trouble = ""
        self._on_trouble = on_trouble
        self._path = path
        self._recording = recording
        self._loop = asyncio.get_running_loop()
        self._writer: asyncio.StreamWriter | None = None
        self._on_the_way = 0
        self._server: asyncio.Server | None = None
        self._port = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ALL_PROTOCOLS)
        )
        self._port.bind((interface, 0))
        self.shape(Quality())

    async def open(self) -> None:
        """Begin to listen for the machine."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._connected, str(self._path))
        self._path.chmod(0o600)
        self._loop.add_reader(self._port, self._take_from_bridge)

    def shape(self, quality: Quality) -> None:
        """Make the wire as good or bad as that from now on."""
        self._quality = quality
        self._there = Direction(quality, 0)
        self._back = Direction(quality, 1)

    def state(self) -> dict[str, Any]:
        """Return counts and trouble as JSON values."""
        return {
            **vars(self.counts),
            "connected": self._writer is not None,
            "recorded": self._recording.packets,
            "full": self._recording.is_full,
            "trouble": self.trouble,
            "senders": sorted(each.hex(":") for each in self.senders),
        }

    def close(self) -> None:
        """Cut the wire."""
        self._loop.remove_reader(self._port)
        self._port.close()
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()
        self._recording.close()
        self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        before, self._writer = self._writer, writer
        if before is not None:
            before.close()
        frames = FrameReader()
        try:
            while data := await reader.read(1 << 16):
                for frame in frames.feed(data):
                    if not self._keep(frame, sent=True):
                        return  # unread, and open: QEMU waits, and cannot send what is not kept
                    self.counts.sent += 1
                    if len(frame) >= _ADDRESSES and len(self.senders) < MOST_SENDERS:
                        self.senders.add(frame[6:12])
                    self._carry(self._there, frame, self._to_bridge)
            self._gone(writer)
        except StreamDamaged as error:
            self._note(f"the machine sends no frames: {error}")
            self._gone(writer)
        except OSError:
            self._gone(writer)

    def _gone(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        if self._writer is writer:
            self._writer = None

    def _keep(self, frame: bytes, *, sent: bool) -> bool:
        try:
            if self._recording.keep(frame, sent=sent):
                return True
            self._note(f"the capture is full ({self._recording.limit} bytes)")
        except OSError as error:
            self._recording.is_full = True
            self._note(f"the capture cannot be written: {error.strerror}")
        return False

    def _note(self, trouble: str) -> None:
        if not self.trouble:
            self.trouble = trouble
            self._on_trouble(f"the wire {self.name}: {trouble}")

    def _take_from_bridge(self) -> None:
        for _ in range(AT_ONCE):
            try:
                frame, origin = self._port.recvfrom(LARGEST_FRAME)
            except BlockingIOError:
                return
            except OSError as error:
                self._note(f"the bridge cannot be read: {error.strerror}")
                self._loop.remove_reader(self._port)
                return
            if origin[2] != _OUTGOING:
                self._carry(self._back, frame, self._to_machine)

    def _carry(self, way: Direction, frame: bytes, arrive: Any) -> None:
        if self._quality.is_perfect:
            arrive(frame)
            return
        when = way.arrival(len(frame), self._loop.time())
        if when is None or self._on_the_way >= 2 * MOST_ON_THE_WAY:
            self.counts.lost += 1
            return
        self._on_the_way += 1
        self._loop.call_at(when, self._arrived, arrive, frame)

    def _arrived(self, arrive: Any, frame: bytes) -> None:
        self._on_the_way -= 1
        if self._port.fileno() >= 0:
            arrive(frame)

    def _to_bridge(self, frame: bytes) -> None:
        try:
            self._port.send(frame)
        except OSError:  # too short or too long for Ethernet, or the bridge is too busy
            self.counts.lost += 1

    def _to_machine(self, frame: bytes) -> None:
        writer = self._writer
        if writer is None or self._recording.is_full:
            return
        if writer.transport.get_write_buffer_size() > MOST_WAITING:
            self.counts.lost += 1
        elif self._keep(frame, sent=False):
            self.counts.received += 1
            with contextlib.suppress(OSError):
                writer.write(framed(frame))
