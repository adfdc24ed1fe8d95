"""Leak checks of large captures, against reading them alone, tcpdump and scapy."""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tailstest.lab.capture_check import check_capture
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.conversations import Conversations
from tailstest.lab.policy import Policy

GUEST, LAB = bytes.fromhex("525400123456"), bytes.fromhex("525400000001")
RELAY, GUEST_IP = bytes([203, 0, 113, 7]), bytes([10, 0, 2, 15])
#: Bytes that a TCP packet carries in a capture of downloads, so that 100 000 make 100 MB.
CARRIED = 980
#: Bytes of a capture that does not fit into anything that is kept small by chance.
LARGE = 2 * 10**9

POLICY = Policy.model_validate(
    {
        "others": {"macs": [LAB.hex(":")]},
        "forbidden": {"macs": ["00:1b:63:aa:bb:cc"], "host_names": ["my-laptop"]},
        "allow": [{"title": "relay", "to": ["203.0.113.7"], "protocol": "tcp", "ports": [443]}],
    }
)


def tcp(source_port: int, target: bytes, body: bytes, sender: bytes = GUEST) -> bytes:
    """Return a frame with a TCP packet to port 443."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(body), 1, 0x4000, 64, 6, 0)
    ports = struct.pack("!HHIIBBHHH", source_port, 443, 1, 1, 0x50, 0x18, 64240, 0, 0)
    return LAB + sender + b"\x08\0" + head + GUEST_IP + target + ports + body


def download(packets: int) -> Iterator[bytes]:
    """Yield what a machine sends in fifty allowed connections."""
    body = random.Random(1).randbytes(CARRIED)
    for number in range(packets):
        yield tcp(40_000 + number % 50, RELAY, body)


def scan(packets: int) -> Iterator[bytes]:
    """Yield a packet to another address each: every one is a leak of its own."""
    for number in range(packets):
        yield tcp(40_000, struct.pack("!I", 0xC600_0000 + number), b"x" * CARRIED)


def write(path: Path, frames: Iterator[bytes]) -> Path:
    """Write a capture."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number, frame in enumerate(frames):
            later, microsecond = divmod(number, 1_000_000)
            time_and_size = (1_769_860_800 + later, microsecond, len(frame), len(frame))
            file.write(struct.pack("<IIII", *time_and_size) + frame)
    return path


def seconds(action: Callable[[], object], times: int = 3) -> float:
    """Return the seconds of the quickest of a few runs."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return min(taken)


def show(path: Path) -> None:
    """Gather the conversations."""
    Conversations().add(CaptureFile(path))


def tcpdump(path: Path) -> None:
    """Let tcpdump decode and print every packet, to nobody."""
    command = ["tcpdump", "-nn", "-r", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def scapy(path: Path) -> int:
    """Let scapy look for what is not sent to the relay; return how many packets that were."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.utils import PcapReader

    with PcapReader(str(path)) as packets:
        return sum(
            1
            for packet in packets
            if packet[Ether].src != LAB.hex(":")
            and not (
                IP in packet
                and packet[IP].dst == "203.0.113.7"
                and TCP in packet
                and packet[TCP].dport == 443
            )
        )


def memory() -> int:
    """Return the most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("leaks.json"))
    parser.add_argument("--packets", type=int, default=100_000)
    options = parser.parse_args()
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="tailstest-benchmark-") as folder:
        clean = write(Path(folder) / "download.pcap", download(options.packets))
        leaking = write(Path(folder) / "scan.pcap", scan(options.packets))
        rows["packets in each capture"] = options.packets
        rows["size of each, MB"] = clean.stat().st_size / 1e6
        before = memory()
        rows["reading alone, s"] = seconds(lambda: sum(1 for _ in CaptureFile(clean)))
        assert check_capture(clean, POLICY).clean
        rows["checking allowed connections, s"] = seconds(lambda: check_capture(clean, POLICY))
        assert not check_capture(leaking, POLICY).clean
        rows["checking leaks to different addresses, s"] = seconds(
            lambda: check_capture(leaking, POLICY)
        )
        rows["listing conversations, s"] = seconds(lambda: show(leaking))
        rows["memory that all of this took, MB"] = (memory() - before) / 1024
        rows["checking / reading alone"] = (
            rows["checking allowed connections, s"] / rows["reading alone, s"]
        )
        if shutil.which("tcpdump"):
            rows["tcpdump -nn -r, s"] = seconds(lambda: tcpdump(clean))
            rows["checking / tcpdump"] = (
                rows["checking allowed connections, s"] / rows["tcpdump -nn -r, s"]
            )
        if importlib.util.find_spec("scapy"):
            assert scapy(clean) == 0
            rows["the same check with scapy, s"] = seconds(lambda: scapy(clean), times=1)
            rows["scapy / checking"] = (
                rows["the same check with scapy, s"] / rows["checking allowed connections, s"]
            )
        before = memory()
        large = write(Path(folder) / "large.pcap", download(LARGE // len(next(download(1)))))
        rows["size of a large one, MB"] = large.stat().st_size / 1e6
        rows["checking it, s"] = seconds(lambda: check_capture(large, POLICY), times=1)
        rows["more memory for it, MB"] = (memory() - before) / 1024
    for name, value in rows.items():
        print(f"{name:<45}{value:>10.2f}")
    rounded = {name: round(value, 3) for name, value in rows.items()}
    options.json.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
