"""Answers from a large store: planning, history, compare; each also as the command a user types.

The store is made up, in one go: 10,000 scenarios in 1,000 runs are ten million attempts, which take
some minutes to write and 1 GB of disk. The figures name the size they are for.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import insert, text

from tailstest.core.settings import Settings
from tailstest.results.answers.compare import compare_runs
from tailstest.results.answers.flaky import flaky_scenarios
from tailstest.results.answers.forecast import forecast
from tailstest.results.answers.history import history_of
from tailstest.results.answers.slow import slow_ones
from tailstest.results.store.address import needed_address
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import KeptTexts, digest_of, in_batches
from tailstest.results.store.tables import image_contents, image_packages, runs, scenarios

SCENARIOS_IN_FEATURE = 100
RUNS_OF_AN_IMAGE = 4
PACKAGES = 2000
DAY = datetime.date(2026, 11, 26)


def key(number: int) -> str:
    """Return the id of a scenario of the made-up suite."""
    return f"features/f{number // SCENARIOS_IN_FEATURE}.feature#scenario {number}"


def write_suite(folder: Path, count: int) -> Path:
    """Write a suite whose scenarios have the ids of those in the store."""
    (folder / "steps").mkdir(parents=True)
    (folder / "features").mkdir()
    (folder / "steps" / "pass.py").write_text(
        "from behave import step\n\n@step('nothing happens {times:d} times')\n"
        'def nothing(context, times):\n    """Do nothing."""\n',
        encoding="utf-8",
    )
    for first in range(0, count, SCENARIOS_IN_FEATURE):
        lines = ["Feature: made up"]
        for number in range(first, min(first + SCENARIOS_IN_FEATURE, count)):
            lines.append(f"  Scenario: scenario {number}")
            lines += [f"    Given nothing happens {step} times" for step in range(5)]
        name = f"f{first // SCENARIOS_IN_FEATURE}.feature"
        (folder / "features" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def fill(store: Store, run_count: int, scenario_count: int) -> None:
    """Write runs with one attempt at each scenario: 1 % fails, most of these again and again."""
    texts = KeptTexts()
    with store.writing() as connection:
        rows = [
            {
                "id": number + 1,
                "digest": digest_of(key(number)),
                "key": key(number),
                "name": f"scenario {number}",
                "feature": "made up",
                "location": f"features/f{number // SCENARIOS_IN_FEATURE}.feature:{number}",
            }
            for number in range(scenario_count)
        ]
        for part in in_batches(rows):
            connection.execute(insert(scenarios), part)
        texts.causes(
            connection, [f"the button number {number} is greyed out" for number in range(200)]
        )
        texts.tags(connection, ["made-up"])
        for number in range(run_count):
            connection.execute(insert(runs).values(run_row(connection, texts, number)))
    with store.writing() as connection:
        connection.execute(text("DROP INDEX attempts_of_scenario"))
        for number in range(run_count):
            # A digest of run and scenario by multiplication: cheap, and the same every time.
            connection.execute(
                text(
                    "INSERT INTO attempts (run, scenario, number, verdict, seconds, cause, tags) "
                    "SELECT :run, id, 1, "
                    "CASE WHEN (id * 7919 + :run * 104729) % 997 < 4 OR "
                    "  (id % 200 = 0 AND :run % 40 > 20) THEN 1 ELSE 0 END, "
                    "5 + (id * 31 + :run * 17) % 60, "
                    "CASE WHEN (id * 7919 + :run * 104729) % 997 < 4 OR "
                    "  (id % 200 = 0 AND :run % 40 > 20) THEN 1 + id % 200 END, 1 "
                    "FROM scenarios ORDER BY id"
                ),
                {"run": number + 1},
            )
        connection.execute(
            text(
                "CREATE INDEX attempts_of_scenario ON attempts "
                "(scenario, run, number, verdict, seconds)"
            )
        )


def run_row(connection: object, texts: KeptTexts, number: int) -> dict[str, object]:
    """Return a run; four of them share an image, and each image has its packages."""
    image_number = number // RUNS_OF_AN_IMAGE
    image = texts.image(connection, f"{image_number:064x}", "made-up")  # type: ignore[arg-type]
    if number % RUNS_OF_AN_IMAGE == 0:
        connection.execute(  # type: ignore[attr-defined]
            insert(image_contents).values(
                image=image, kernel=f"6.1.{image_number}", packages_from="/live/manifest.txt"
            )
        )
        packages = [
            {
                "image": image,
                "name": f"package-{n}",
                "version": f"1.{image_number if n % 50 else 0}",
            }
            for n in range(PACKAGES)
        ]
        connection.execute(insert(image_packages), packages)  # type: ignore[attr-defined]
    started = 1_700_000_000.0 + number * 3600
    return {
        "id": number + 1,
        "run_id": f"made-up-{number:05d}",
        "source": "tailstest",
        "started": started,
        "ended": started + 3000,
        "position": started,
        "is_finished": True,
        "interrupted": False,
        "exit_status": 1,
        "command": "tailstest run",
        "selection": "features",
        "problems": "",
        "hostname": "made-up",
        "environment": "{}",
        "suite_commit": "",
        "product_commit": "",
        "image_id": image,
        "folder": "",
        "release": "",
        "is_kept": False,
        "has_files": False,
    }


def seconds(action: Callable[[], object], times: int = 3) -> tuple[float, float]:
    """Return the seconds of the quickest of a few runs: on the clock, and of the processor.

    On a host that others use the clock tells more of them than of us.
    """
    taken = []
    for _ in range(times):
        began, used = time.perf_counter(), processor()
        action()
        taken.append((time.perf_counter() - began, processor() - used))
    return min(taken)[0], min(used for _began, used in taken)


def processor() -> float:
    """Return the seconds of processor that this process and its children have used."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(each.ru_utime + each.ru_stime for each in used)


def command(store: Path, suite: Path, *words: str) -> Callable[[], object]:
    """Return a function that runs `tailstest` as a user does."""
    program = [sys.executable, "-P", "-c", "from tailstest.cli.main import main; main()"]
    top = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "TAILSTEST_STORE": str(store), "PYTHONPATH": top}

    def run() -> object:
        return subprocess.run(
            [*program, *words], cwd=suite, check=True, capture_output=True, env=environment
        )

    return run


def main() -> int:
    """Print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("store.json"))
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--scenarios", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="Make the store here, or use the one there.")
    options = parser.parse_args()
    figures: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="tailstest-benchmark-") as name:
        file = options.keep or Path(name) / "store.sqlite3"
        is_new = not file.exists()
        suite = write_suite(Path(name) / "suite", options.scenarios)
        with Store(needed_address(Settings(), str(file))) as store:
            if is_new:
                figures["making"] = seconds(
                    lambda: fill(store, options.runs, options.scenarios), times=1
                )
            with store.reading() as connection:
                counted = connection.execute(text("SELECT count(*) FROM attempts")).scalar_one()
            ids = [key(number) for number in range(options.scenarios)]
            last, other = f"made-up-{options.runs - 1:05d}", f"made-up-{options.runs // 2:05d}"
            one = f"scenario {options.scenarios // 2}"
            figures |= {
                "forecast": seconds(lambda: forecast(store, ids)),
                "history": seconds(lambda: history_of(store, one, limit=30, today=DAY)),
                "compare": seconds(lambda: compare_runs(store, other, last, today=DAY)),
                "flaky_100_runs": seconds(lambda: flaky_scenarios(store, last=100), 1),
                "slow_20_runs": seconds(
                    lambda: slow_ones(store, last=20, count=20, of_steps=False)
                ),
            }
        figures |= {
            "command_plan": seconds(command(file, suite, "plan", "features")),
            "command_history": seconds(command(file, suite, "history", one)),
            "command_compare": seconds(command(file, suite, "compare", other, last)),
            "command_help": seconds(command(file, suite, "--help")),
        }
        size = file.stat().st_size
    print(
        f"{counted:,} attempts ({options.runs:,} runs, {options.scenarios:,} scenarios), "
        f"{size / 1e6:,.0f} MB"
    )
    print("                       clock   processor")
    for what, (clock, used) in figures.items():
        print(f"  {what:<18} {clock:8.2f} s {used:9.2f} s")
    told = {"attempts": counted, "runs": options.runs, "scenarios": options.scenarios}
    told |= {"bytes": size}
    for what, (clock, used) in figures.items():
        told |= {f"{what}_seconds": round(clock, 3), f"{what}_processor": round(used, 3)}
    options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
