"""How long a lab takes to be there, what its wires carry, and how soon Tor carries something."""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

from tailstest.core.paths import cache_folder
from tailstest.lab.network.frames import FrameReader, framed
from tailstest.lab.network.keeper import LabKeeper

#: What the project promises, in seconds on an idle host.
PROMISED_LAB, PROMISED_TOR, PROMISED_TOR_KNOWN = 2.0, 60.0, 2.0
TOR_NEW = "Tor network that carries a page, s"
TOR_KNOWN = "the same in the next labs, s"
FRAMES = 20_000


def exchanged(keeper: LabKeeper, folder: Path) -> float:
    """Return frames per second that a wire carries, there and back, each kept twice."""
    network = keeper.network("full")
    path = folder / "wire"
    keeper.lab.attach(
        "wire", network, socket=path, capture=folder / "wire.pcapng", limit=1_000_000_000
    )
    mac, address = bytes.fromhex("525400aa0001"), socket.inet_aton("10.76.1.100")
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    question = head + mac + address + bytes(6) + socket.inet_aton(network.gateway)
    frame = framed(b"\xff" * 6 + mac + b"\x08\x06" + question)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(str(path))
        reader, answers = FrameReader(), 0
        began = time.monotonic()
        for _ in range(FRAMES // 100):  # as many on the way as a guest would have
            line.sendall(frame * 100)
            wanted = answers + 100
            while answers < wanted:
                answers += len(reader.feed(line.recv(65536)))
        return answers / (time.monotonic() - began)


def tor_started(keeper: LabKeeper) -> float:
    """Return the seconds until a Tor network in a new lab has carried a page."""
    keeper.end()
    keeper.network("full")
    began = time.monotonic()
    keeper.start_tor()
    return time.monotonic() - began


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("lab.json"))
    options = parser.parse_args()
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="tailstest-benchmark-") as folder:
        keeper = LabKeeper(Path(folder), deadline_scale=5)
        try:
            began = time.monotonic()
            keeper.network("isolated")
            rows["lab with an isolated network, s"] = time.monotonic() - began
            began = time.monotonic()
            keeper.end()
            rows["ending it, s"] = time.monotonic() - began
            began = time.monotonic()
            keeper.network("full")
            rows["lab with all its servers, s"] = time.monotonic() - began
            rows["questions and answers over a wire, per s"] = exchanged(keeper, Path(folder))
            if shutil.which("tor"):
                for left in (cache_folder() / "tor").glob("network-*"):
                    shutil.rmtree(left)
                rows[TOR_NEW] = tor_started(keeper)
                rows[TOR_KNOWN] = statistics.median(tor_started(keeper) for _ in range(3))
        finally:
            keeper.end()
    for name, value in rows.items():
        print(f"{name:<45}{value:>10.2f}")
    kept = rows["lab with all its servers, s"] <= PROMISED_LAB
    kept = kept and rows.get(TOR_NEW, 0) <= PROMISED_TOR
    kept = kept and rows.get(TOR_KNOWN, 0) <= PROMISED_TOR_KNOWN
    promised = (
        f"promised: lab {PROMISED_LAB:.0f} s, Tor {PROMISED_TOR:.0f} s, known before "
        f"{PROMISED_TOR_KNOWN:.0f} s"
    )
    print(f"{promised}; {'kept' if kept else 'NOT kept'}")
    rounded = {name: round(value, 3) for name, value in rows.items()}
    options.json.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
