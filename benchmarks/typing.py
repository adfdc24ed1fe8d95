"""Typing: characters lost or doubled at several paces, at a real machine's command line."""

from __future__ import annotations

import argparse
import json
import sys
import time
from difflib import SequenceMatcher
from pathlib import Path

from benchmarks.bench import opened_bench
from tailstest.core.deadline import Deadline, poll
from tailstest.core.paths import bundled
from tailstest.core.settings import Settings
from tailstest.input.pace import Pace
from tailstest.input.typing_check import compare_typed
from tailstest.machine.bench import Bench
from tailstest.machine.machine import Machine
from tailstest.machine.profile import find_image, load_profiles
from tailstest.media.dvd import Dvd

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+:,/=%@"
LINES = [(LETTERS[n:] + LETTERS[:n])[:50] for n in range(20)]
#: Hold and gap in milliseconds: without any wait, for comparison, and up to our default.
PACES = ((0, 0), (0.2, 0.2), (2, 2), (5, 5), (20, 20))


def typed(machine: Machine, pace: Pace) -> tuple[int, int, float]:
    """Type all lines; return characters lost, doubled or wrong, and seconds."""
    lost = extra = 0
    started = time.monotonic()
    for number, line in enumerate(LINES):
        end = f"end{number}x{time.monotonic_ns()}"
        before = len(machine.serial.text())
        machine.keyboard.type(f"echo '{line}'\n", pace=pace)
        machine.keyboard.type(f"echo {end}\n")
        poll(
            lambda: True if f"\r{end}\n" in machine.serial.text()[before:] else None,  # noqa: B023
            Deadline.after(20),
        )
        shown = machine.serial.text()[before:].replace("\r", "").split("\n")
        seen = max(shown, key=lambda text: _alike(text, line)) if shown else ""
        missing, doubled, wrong = compare_typed(line, seen)
        lost, extra = lost + missing, extra + doubled + wrong
    return lost, extra, time.monotonic() - started


def _alike(text: str, line: str) -> float:
    return SequenceMatcher(None, text, line, autojunk=False).ratio()


def rescue_shell(bench: Bench) -> Machine:
    """Return a machine at GRUB's command line that repeats everything on the serial port."""
    profiles = load_profiles([bundled("images")])
    path, profile = find_image("grub-rescue", profiles, Path.cwd())
    assert profile is not None
    machine = Machine("typing", profile.definition(), [Dvd(path).disk()], bench)
    machine.power_on()
    machine.screen.wait_text("GNU/Linux")
    machine.keyboard.press("c")
    machine.screen.wait_text("grub>")
    machine.keyboard.type("serial --unit=0 --speed=115200\n")
    machine.keyboard.type("terminal_output serial\n")
    machine.wait_serial("grub>")
    return machine


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("typing.json"))
    options = parser.parse_args()
    settings = Settings(default_deadline=60)
    rows = []
    with opened_bench(settings) as bench:
        machine = rescue_shell(bench)
        for hold, gap in PACES:
            lost, extra, seconds = typed(machine, Pace.from_milliseconds(hold, gap))
            rows.append(
                {
                    "hold_ms": hold,
                    "gap_ms": gap,
                    "lost": lost,
                    "extra": extra,
                    "characters": sum(map(len, LINES)),
                    "seconds": round(seconds, 1),
                }
            )
        machine.close()
    print(f"{'held / apart, ms':>18}{'characters':>12}{'lost':>6}{'extra':>7}{'seconds':>9}")
    for row in rows:
        default = (settings.key_hold_ms, settings.key_gap_ms)
        mark = "  (default)" if (row["hold_ms"], row["gap_ms"]) == default else ""
        print(
            f"{row['hold_ms']:>9} / {row['gap_ms']:<6}{row['characters']:>12}{row['lost']:>6}"
            f"{row['extra']:>7}{row['seconds']:>9}{mark}"
        )
    options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
