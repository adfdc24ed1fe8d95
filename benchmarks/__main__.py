"""Runs every benchmark in a process of its own and gathers the figures in one JSON file."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

#: In the order of the report. Each is a module of this package that prints a table and writes
#: JSON with --json FILE.
BENCHMARKS = (
    "matching",
    "ocr",
    "capture",
    "typing",
    "suite",
    "guest",
    "checkpoints",
    "media",
    "leaks",
    "lab",
    "store",
    "site",
    "ways",
    "workers",
)


def run_one(name: str, folder: Path) -> object | None:
    """Run one benchmark; return its figures, or None when it failed."""
    output = folder / f"{name}.json"
    print(f"\n=== {name} ===", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", str(output)], check=False
    )
    if done.returncode != 0 or not output.is_file():
        return None
    figures: object = json.loads(output.read_text(encoding="utf-8"))
    return figures


def main() -> int:
    """Return 0 when every benchmark delivered figures, else 3."""
    parser = argparse.ArgumentParser(prog="./run benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="all by default")
    parser.add_argument("--json", type=Path, default=Path("benchmark-results.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailstest-benchmark-") as folder:
        figures = {name: run_one(name, Path(folder)) for name in options.names or BENCHMARKS}
    options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"\nfigures: {options.json}")
    failed = [name for name, value in figures.items() if value is None]
    if failed:
        print(f"without a result: {', '.join(failed)}", file=sys.stderr)
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
