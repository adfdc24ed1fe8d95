"""The same scenarios without checkpoints, with new and with old ones, and in two workers."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tailstest.core.paths import cache_folder

#: Options of `tailstest run` for two workers.
TWO = ["--workers", "2"]

#: Name to options of `tailstest run`, in this order. A first run finds no checkpoint: one worker
#: and two have each their own. A later run finds those of the first.
WAYS = {
    "without checkpoints": ["--no-checkpoints"],
    "first run with checkpoints": [],
    "later run with checkpoints": [],
    "first run in two workers": TWO,
    "later run in two workers": TWO,
}


def own_cache(folder: Path) -> dict[str, str]:
    """Return the environment of a run whose checkpoints are in `folder`, and only those."""
    place = folder / "tailstest"
    place.mkdir(mode=0o700, parents=True)
    for entry in cache_folder().iterdir():
        if entry.name != "checkpoints":
            (place / entry.name).symlink_to(entry)
    return {**os.environ, "XDG_CACHE_HOME": str(folder)}


def processors() -> float:
    """Return the seconds that the processors of this host have worked, for whomever.

    The kernel's share of disks and networks belongs to no process, so that only the host knows; let
    it do nothing else meanwhile.
    """
    used = psutil.cpu_times()
    return float(used.user + used.nice + used.system + used.softirq + used.irq)


def verdicts(run: Path) -> dict[str, str]:
    """Return scenario id to verdict of the last attempt."""
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    ended = [each for each in map(json.loads, lines) if each["event"] == "ScenarioFinished"]
    return {each["scenario_id"]: each["verdict"] for each in ended}


def main() -> int:
    """Print the table; 1 if the ways do not agree about the image."""
    parser = argparse.ArgumentParser(prog="benchmarks.ways", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--image", default="demo")
    parser.add_argument("features", nargs="*", default=["features/live/desktop.feature"])
    options = parser.parse_args()
    figures: dict[str, float] = {}
    work: dict[str, float] = {}
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="benchmark-") as place:
        one, two = (own_cache(Path(place) / name) for name in ("one", "two"))
        for name, extra in WAYS.items():
            run = Path(place) / f"run-{len(found)}"
            tailstest = str(Path(sys.executable).with_name("tailstest"))
            command = [tailstest, "run", *options.features, *extra]
            command += ["--image", options.image, "--output", str(run)]
            began, worked = time.perf_counter(), processors()
            cache = two if extra is TWO else one
            subprocess.run(command, env=cache, stdout=subprocess.DEVNULL, check=False)
            figures[f"{name}, s"] = round(time.perf_counter() - began, 1)
            work[name] = processors() - worked
            found[name] = verdicts(run)
    times = list(figures.values())
    figures["times faster on the first run (2 wanted)"] = round(times[0] / times[1], 2)
    figures["times faster later (4 wanted)"] = round(times[0] / times[2], 2)
    for kind in ("first", "later"):
        alone, both = f"{kind} run with checkpoints", f"{kind} run in two workers"
        faster, more = figures[f"{alone}, s"] / figures[f"{both}, s"], work[both] / work[alone]
        figures[f"{kind} run, two workers, times faster"] = round(faster, 2)
        figures[f"{kind} run, two workers, work of the processors (1.1 wanted)"] = round(more, 2)
    first, *others = found.values()
    figures["scenarios"] = len(first)
    figures["scenarios whose verdict differs"] = sum(
        len({each.get(scenario) for each in found.values()}) > 1
        for scenario in first.keys() | set().union(*others)
    )
    for name, value in figures.items():
        print(f"{name:<62}{value:>10}")
    if options.json:
        options.json.write_text(json.dumps(figures), encoding="utf-8")
    return 1 if figures["scenarios whose verdict differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
