"""Checkpoints of the demo desktop: how long saving and running on take, against a cold start."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.bench import opened_bench
from benchmarks.guest import seconds, starting
from tailstest.core.paths import bundled, cache_folder
from tailstest.core.settings import Settings
from tailstest.machine.bench import Bench
from tailstest.machine.machine import Machine
from tailstest.machine.profile import load_profiles
from tailstest.machine.saved_machine import MEMORY, MachineAtRest, SavedMachine
from tailstest.media.dvd import Dvd
from tailstest.suite.checkpoints.manifest import Manifest
from tailstest.suite.checkpoints.store import CheckpointStore


def cold(bench: Bench, folder: Path, rows: dict[str, float]) -> SavedMachine:
    """Start the demo image up to its desktop, and save it."""
    profile = load_profiles([bundled("images")])["demo"]
    definition = profile.definition(memory_mib=MEMORY_MIB)
    machine = Machine("cold", definition, [Dvd(profile.image_path()).disk()], bench)
    try:
        began = time.perf_counter()
        starting(machine, {}).close()
        machine.guest.ping()
        rows["cold start to the desktop, s"] = time.perf_counter() - began
        began = time.perf_counter()
        saved = machine.save(folder)
        rows["saving, s"] = time.perf_counter() - began
    finally:
        machine.close(keep_serial=False)
    return saved


def wake(bench: Bench, rest: MachineAtRest) -> float:
    """Return the seconds until a machine that runs on answers a command."""
    began = time.perf_counter()
    machine = Machine("woken", rest.facts.definition, [], bench, rest=rest)
    try:
        machine.wake(rest.folder / MEMORY)
        machine.guest.ping()
        return time.perf_counter() - began
    finally:
        machine.close(keep_serial=False)


def wake_often(bench: Bench, rest: MachineAtRest, times: int, taken: list[float]) -> None:
    """Add to `taken` what each of many restores takes, and tell now and then how far it is."""
    for _ in range(times):
        taken.append(wake(bench, rest))
        if len(taken) % TELL_EACH == 0:
            middle = statistics.median(taken[-TELL_EACH:])
            print(f"  {len(taken)} restores, the last ones {middle:.1f} s each", file=sys.stderr)


#: Restores from one word about them to the next.
TELL_EACH = 20

#: Memory of the machine, as a person's computer has it at least.
MEMORY_MIB = 2048

#: Restores after which what a process needs once (buffers, threads, caches) is there.
WARM = 20


@contextmanager
def growth(rows: dict[str, float]) -> Iterator[None]:
    """Note by how much memory and open files of this process grow."""
    own = psutil.Process()
    memory, files = own.memory_info().rss, own.num_fds()
    yield
    rows["growth of memory meanwhile, MB"] = (own.memory_info().rss - memory) / 1e6
    rows["growth of open files meanwhile"] = own.num_fds() - files


def storing(folder: Path, work: Path, rows: dict[str, float]) -> None:
    """Measure packing and unpacking."""
    store = CheckpointStore(work / "store", 10**12)
    plain = Manifest(key="k", scenario="", steps=[], made=0, seconds=0, state={}, files={})
    rows["packing, s"] = seconds(lambda: store.publish(plain, folder))
    back = work / "back"
    back.mkdir()
    rows["unpacking and verifying, s"] = seconds(lambda: store.unpack("k", back))
    manifest = store.entries()[0].manifest
    assert manifest is not None
    rows["a checkpoint on disk, MB"] = manifest.size / 1e6


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("checkpoints.json"))
    parser.add_argument("--times", type=int, default=200, help="how often it runs on")
    options = parser.parse_args()
    rows: dict[str, float] = {}
    with (
        opened_bench(Settings(default_deadline=120)) as bench,
        tempfile.TemporaryDirectory(dir=cache_folder(), prefix="benchmark-") as place,
    ):
        work = Path(place)
        folder = work / "rest"
        folder.mkdir()
        rest = MachineAtRest(cold(bench, folder, rows), folder)
        taken: list[float] = []
        wake_often(bench, rest, min(WARM, options.times), taken)
        with growth(rows):
            wake_often(bench, rest, options.times - len(taken), taken)
        rows["restores in a row"] = len(taken)
        rows["running on until a command is answered, s"] = statistics.median(taken)
        rows["the slowest of them, s"] = max(taken)
        rows["cold start / running on"] = (
            rows["cold start to the desktop, s"] / rows["running on until a command is answered, s"]
        )
        storing(folder, work, rows)
    for name, value in rows.items():
        print(f"{name:<45}{value:>10.1f}")
    rounded = {name: round(value, 2) for name, value in rows.items()}
    options.json.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
