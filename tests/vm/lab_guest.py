"""A machine without a machine: speaks Ethernet through the socket that QEMU would connect to."""

import socket
import struct
import time

from tailstest.lab.network.frames import FrameReader, framed

MAC = bytes.fromhex("525400aa0001")
BROADCAST = b"\xff" * 6
#: Seconds to wait for what will come, on a host that stalls.
LONG = 30


class Guest:
    """Has one address, asks for the router's, sends UDP."""

    def __init__(self, path, network, last=100, mac=MAC):
        self.mac = mac
        self.address = socket.inet_aton(network.gateway.rsplit(".", 1)[0] + f".{last}")
        self.router = socket.inet_aton(network.gateway)
        self.router_mac = bytes.fromhex(network.mac.replace(":", ""))
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._line.connect(str(path))
        self._reader = FrameReader()
        self._waiting = []

    def send(self, frame):
        self._line.sendall(framed(frame))

    def frames(self, seconds):
        """Yield what comes within some seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            while self._waiting:
                yield self._waiting.pop(0)
            self._line.settimeout(max(left, 0.001))
            try:
                data = self._line.recv(65536)
            except TimeoutError:
                return
            if not data:
                return
            self._waiting += self._reader.feed(data)

    def ask_arp(self):
        """Ask for the router's MAC address."""
        head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
        body = head + self.mac + self.address + bytes(6) + self.router
        self.send(BROADCAST + self.mac + b"\x08\x06" + body)

    def arp_answered(self, seconds=LONG):
        """Return the router's MAC address, or None."""
        self.ask_arp()
        for frame in self.frames(seconds):
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x02":
                return frame[22:28]
        return None

    def answer_arp(self, frame):
        """Answer if the router asks who has our address."""
        if (
            frame[12:14] == b"\x08\x06"
            and frame[20:22] == b"\x00\x01"
            and frame[38:42] == self.address
        ):
            head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
            body = head + self.mac + self.address + frame[22:28] + frame[28:32]
            self.send(frame[6:12] + self.mac + b"\x08\x06" + body)

    def asked_udp(self, target, port, payload, seconds=LONG):
        """Send a UDP packet; return what comes back, or None."""
        udp = struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 7, 0, 64, 17, 0)
        head += self.address + socket.inet_aton(target)
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        self.send(self.router_mac + self.mac + b"\x08\x00" + head + udp)
        for frame in self.frames(seconds):
            self.answer_arp(frame)
            if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:36] == udp[2:4]:
                return frame[42:]
        return None

    def close(self):
        self._line.close()


def _checksum(head):
    total = sum(struct.unpack("!10H", head))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
