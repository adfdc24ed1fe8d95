"""How well Dask and our order spread scenarios over workers; the scenarios only sleep."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import dask
import distributed

from tailstest.suite.spread.cluster import CONFIGURATION, submit
from tailstest.suite.spread.turns import turns_of

#: Every so many scenarios share a beginning, the first of them has to go through it.
GROUP = 20
#: Parameters of the log-normal durations: a few scenarios take ten times the median.
SIGMA = 0.8


def sleep(scenario: str, after: object = None) -> float:
    """Stand for a scenario: its id says how long it takes."""
    began = time.perf_counter()
    time.sleep(float(scenario.rsplit("#", 1)[1]))
    return time.perf_counter() - began


def scenarios(count: int, mean: float) -> dict[str, float]:
    """Return ids with the seconds that each takes."""
    numbers = random.Random(7)
    drawn = [numbers.lognormvariate(0.0, SIGMA) for _ in range(count)]
    scale = mean * count / sum(drawn)
    seconds = [round(each * scale, 4) for each in drawn]
    return {f"{number}#{each}": each for number, each in enumerate(seconds)}


def chains(ids: list[str]) -> dict[str, list[str]]:
    """Return the keys of leading steps: each group has a beginning of its own."""
    return {each: [f"start {number // GROUP}"] for number, each in enumerate(ids)}


def makespan(client: distributed.Client, seconds: dict[str, float]) -> tuple[float, float]:
    """Return the seconds that all of it took, and those that were slept."""
    ids = list(seconds)
    turns = turns_of(ids, chains(ids), lambda _key: False, seconds)
    began = time.perf_counter()
    futures = submit(client, turns, sleep)
    slept = sum(client.gather(list(futures)))
    return time.perf_counter() - began, slept


def lower_bound(seconds: dict[str, float], workers: int) -> float:
    """Return what no order can beat: the mean load, or the longest line of waiting scenarios."""
    ids = list(seconds)
    turns = turns_of(ids, chains(ids), lambda _key: False, seconds)
    return max(sum(seconds.values()) / workers, max(turn.weight for turn in turns))


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.workers", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scenarios", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--mean", type=float, default=1.0, help="seconds of a scenario")
    options = parser.parse_args()
    seconds = scenarios(options.scenarios, options.mean)
    empty = {f"{number}#0": 0.0 for number in range(options.scenarios)}
    with (
        dask.config.set(CONFIGURATION),
        distributed.LocalCluster(
            n_workers=options.workers, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        took, slept = makespan(client, seconds)
        idle, _ = makespan(client, empty)
    bound = lower_bound(seconds, options.workers)
    figures = {
        "scenarios": options.scenarios,
        "workers": options.workers,
        "lower bound, s": round(bound, 2),
        "makespan, s": round(took, 2),
        "makespan / lower bound (1.1 wanted)": round(took / bound, 3),
        "slept, s": round(slept, 1),
        "scheduling of a scenario that does nothing, ms (20 wanted)": round(
            idle / options.scenarios * 1000, 2
        ),
    }
    for name, value in figures.items():
        print(f"{name:<62}{value:>10}")
    if options.json:
        options.json.write_text(json.dumps(figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
