"""The framework itself: time per step beside plain behave, and planning a thousand scenarios."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tailstest.core.events import Event, Events
from tailstest.core.verdict import Verdict
from tailstest.suite.plan import make_plan
from tailstest.suite.runner import SuiteRunner

SCENARIOS, STEPS = 100, 10
STEP_FILE = '''from behave import given

@given("nothing happens {number:d}")
def nothing(context, number):
    """Do nothing."""
'''


class Nobody:
    """Stands for the machines of a run, and does nothing."""

    def begin_scenario(self, scenario_id: str, name: str) -> None:
        """Do nothing."""

    def check(self) -> None:
        """Do nothing."""

    def after_step(self, verdict: Verdict, *, hurry: bool = False) -> None:
        """Do nothing."""

    def end_scenario(self, verdict: Verdict) -> None:
        """Do nothing."""


def write_suite(folder: Path, scenarios: int) -> Path:
    """Write a suite with so many scenarios of STEPS steps, fifty in a file."""
    (folder / "steps").mkdir(parents=True)
    (folder / "steps" / "nothing.py").write_text(STEP_FILE, encoding="utf-8")
    (folder / "features").mkdir()
    for start in range(0, scenarios, 50):
        lines = [f"Feature: f{start}"]
        for number in range(start, min(scenarios, start + 50)):
            lines.append(f"  Scenario: number {number}")
            lines += [f"    Given nothing happens {step}" for step in range(STEPS)]
        file = folder / "features" / f"f{start:04d}.feature"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


#: Where `./run test` writes how many seconds all tests took, and at which commit.
TEST_TIME = Path(sys.prefix) / ".test-time"


def time_of_all_tests() -> tuple[float | None, str]:
    """Return the minutes that `./run test` took here when it passed last, and words for them.

    They are not measured anew: that would take as long as all other benchmarks together.
    """
    try:
        took, commit = TEST_TIME.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None, "not known, it has not passed in this clone yet"
    return int(took) / 60, f"{int(took) / 60:.1f} min, at commit {commit}"


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("suite.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailstest-suite-") as name:
        suite = write_suite(Path(name) / "small", SCENARIOS)
        plan = make_plan([str(suite)])
        events = Events()
        heard: list[Event] = []
        events.subscribe(heard.append)
        started = time.perf_counter()
        status = SuiteRunner(plan, events, Nobody()).run().exit_status
        ours = (time.perf_counter() - started) * 1000 / (SCENARIOS * STEPS)
        assert status == 0
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "behave", "--format", "null", "--no-summary", "features"],
            cwd=suite,
            check=True,
            capture_output=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
        plain = (time.perf_counter() - started) * 1000 / (SCENARIOS * STEPS)
        large = write_suite(Path(name) / "large", 1000)
        command = [str(Path(sys.executable).with_name("tailstest")), "run", str(large), "--dry-run"]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        dry = time.perf_counter() - started
    minutes, all_tests = time_of_all_tests()
    figures = {
        "all_tests_minutes": minutes,
        "milliseconds_per_step": round(ours, 3),
        "plain_behave_milliseconds_per_step": round(plain, 3),
        "events": len(heard),
        "dry_run_1000_scenarios_seconds": round(dry, 2),
    }
    print(f"a step without a machine: {ours:.2f} ms (plain behave, start included: {plain:.2f} ms)")
    print(f"`tailstest run --dry-run` on 1,000 scenarios of {STEPS} steps: {dry:.2f} s")
    print(f"all tests, `./run test`: {all_tests}")
    options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
