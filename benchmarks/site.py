"""The site over a large store: how long it takes, how large pages are, how much memory it needs.

Beside it junit2html, which makes one page of one run out of its JUnit file, if it is installed
(`pip install junit2html`). It knows no other runs: no history, no flakes, no matrix, no pictures.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from sqlalchemy import insert, select

from benchmarks.store import DAY, fill, processor
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.results.site.build import LAST, build_site
from tailstest.results.store.address import needed_address
from tailstest.results.store.engine import Store
from tailstest.results.store.kept_texts import KeptTexts, in_batches
from tailstest.results.store.tables import CODES, attempts, scenarios, steps

#: Steps of each scenario in the newest runs, as a store keeps them that is tidied now and then.
STEPS = 12
RUNS_WITH_STEPS = 10


def add_steps(store: Store, run_count: int) -> None:
    """Write the steps of the newest runs."""
    texts = KeptTexts()
    with store.writing() as connection:
        said = [f"When step {n} is done on the screen of the machine" for n in range(STEPS)]
        numbers = texts.steps(connection, said)
        for run in range(max(1, run_count - RUNS_WITH_STEPS + 1), run_count + 1):
            of_run = connection.execute(
                select(attempts.c.scenario, attempts.c.verdict).where(attempts.c.run == run)
            ).all()
            rows = [
                {
                    "run": run,
                    "scenario": scenario,
                    "number": 1,
                    "position": position,
                    "text": numbers[text],
                    "verdict": verdict if position == STEPS - 1 else CODES[Verdict.PASSED],
                    "seconds": 0.5 + position,
                    "score": 0.98,
                }
                for scenario, verdict in of_run
                for position, text in enumerate(said)
            ]
            for part in in_batches(rows, 10_000):
                connection.execute(insert(steps), part)


def write_junit(store: Store, file: Path, run: int) -> None:
    """Write one run as a JUnit file."""
    with store.reading() as connection:
        rows = connection.execute(
            select(scenarios.c.name, scenarios.c.location, attempts.c.verdict, attempts.c.seconds)
            .select_from(attempts.join(scenarios, scenarios.c.id == attempts.c.scenario))
            .where(attempts.c.run == run)
        ).all()
    cases = []
    for name, location, verdict, seconds in rows:
        bad = '<failure message="the button is greyed out">it is</failure>' if verdict else ""
        told = f"name={quoteattr(name)} classname={quoteattr(location)} time='{seconds}'"
        cases.append(f"<testcase {told}>{bad}</testcase>")
    file.write_text(
        f"<testsuites><testsuite name='made up' tests='{len(cases)}'>{''.join(cases)}"
        "</testsuite></testsuites>",
        encoding="utf-8",
    )


def child(store: Path, output: Path, last: int) -> dict[str, float]:
    """Write the site in this process, and return what it took."""
    began, used = time.perf_counter(), processor()
    day: datetime.date = DAY
    with Store(needed_address(Settings(), str(store)), must_exist=True) as opened:
        report = build_site(opened, output, last=last, today=day)
    return {
        "seconds": round(time.perf_counter() - began, 3),
        "processor": round(processor() - used, 3),
        "memory_mb": largest_memory(),
        "files": report.pages,
        "mb": round(report.bytes / 1e6, 2),
        "largest_page_mb": round(report.largest / 1e6, 3),
    }


def largest_memory() -> float:
    """Return the most memory that this process ever had, in MB.

    `getrusage` would tell that of the parent if it had more when it started us.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1000, 1)


def measured(*words: str) -> dict[str, float]:
    """Run this module in a process of its own, whose memory is that of the site alone."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.site", "--child", *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    value: dict[str, float] = json.loads(done.stdout)
    return value


def alternative(junit: Path, page: Path) -> dict[str, float] | None:
    """Return what junit2html takes for one run; None where it is not installed."""
    if find_spec("junit2htmlreport") is None:
        return None
    began, used = time.perf_counter(), processor()
    command = [sys.executable, "-m", "junit2htmlreport", str(junit), str(page)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    size = round(page.stat().st_size / 1e6, 3)
    return {
        "seconds": round(time.perf_counter() - began, 3),
        "processor": round(processor() - used, 3),
        "files": 1,
        "mb": size,
        "largest_page_mb": size,
    }


def main() -> int:
    """Print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("site.json"))
    parser.add_argument("--runs", type=int, default=100, help="in the store")
    parser.add_argument("--scenarios", type=int, default=5000)
    parser.add_argument("--last", type=int, default=LAST, help="runs of the site")
    parser.add_argument("--keep", type=Path, help="Make the store here, or use the one there.")
    parser.add_argument("--child", nargs=3, metavar=("STORE", "FOLDER", "LAST"))
    options = parser.parse_args()
    if options.child:
        store, output, last = options.child
        print(json.dumps(child(Path(store), Path(output), int(last))))
        return 0
    with tempfile.TemporaryDirectory(prefix="tailstest-benchmark-") as name:
        folder = Path(name)
        file = options.keep or folder / "store.sqlite3"
        is_new = not file.exists()
        with Store(needed_address(Settings(), str(file))) as opened:
            if is_new:
                fill(opened, options.runs, options.scenarios)
                add_steps(opened, options.runs)
            write_junit(opened, folder / "junit.xml", options.runs)
        other = alternative(folder / "junit.xml", folder / "one.html")
        figures = {
            "site": measured(str(file), str(folder / "site"), str(options.last)),
            "site_of_1_run": measured(str(file), str(folder / "one"), "1"),
            "junit2html_of_1_run": other,
        }
        size = file.stat().st_size
    print(
        f"{options.scenarios:,} scenarios, {min(options.last, options.runs):,} of "
        f"{options.runs:,} runs, store {size / 1e6:,.0f} MB"
    )
    print("                         clock  processor   memory    files        all    largest page")
    for what, told in figures.items():
        if told is None:
            print(f"  {what:<20}  left out: not installed")
            continue
        print(
            f"  {what:<20} {told['seconds']:6.1f} s {told['processor']:8.1f} s "
            f"{told.get('memory_mb', float('nan')):5.0f} MB {told['files']:8,.0f} "
            f"{told['mb']:7.1f} MB {told['largest_page_mb']:12.2f} MB"
        )
    result = {"runs": options.runs, "scenarios": options.scenarios, "last": options.last, **figures}
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
