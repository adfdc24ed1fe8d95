"""The demo live image and the inside of a machine: how long building, starting and asking take."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import opened_bench
from tailstest.core.deadline import Deadline
from tailstest.core.paths import bundled, cache_folder
from tailstest.core.settings import Settings
from tailstest.guest.accessibility.query import Query
from tailstest.guest.accessibility.tree import AccessibilityTree
from tailstest.guest.agent import AGENT_FILE
from tailstest.machine.bench import Bench
from tailstest.machine.boot_menu import boot_with_parameters
from tailstest.machine.machine import Machine
from tailstest.machine.profile import Profile, live_builder, load_profiles
from tailstest.media.dvd import Dvd
from tailstest.media.live_image.builder import LiveImageBuilder
from tailstest.media.live_image.recipe import load_recipe

RECIPE = bundled("images") / "demo" / "recipe"
MEGABYTES = 100
#: A window whose tree has a little more than 300 nodes.
WINDOW = """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
window, grid = Gtk.Window(title="Many"), Gtk.Grid()
for n in range(300):
    grid.attach(Gtk.Button(label=f"Button {n}"), n % 20, n // 20, 1, 1)
window.add(grid)
window.show_all()
Gtk.main()
"""


def median_ms(act: Callable[[], object], count: int) -> float:
    """Return the median of `count` calls, in milliseconds."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        act()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def seconds(act: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def building(rows: dict[str, float]) -> None:
    """Measure building: with nothing, with packages that are there, and with no change."""
    image = live_builder(RECIPE).build()
    rows["image, MB"] = image.stat().st_size / 1e6
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="benchmark-") as folder:
        cache = Path(folder)
        cache.chmod(0o755)
        builder = LiveImageBuilder(load_recipe(RECIPE), AGENT_FILE, cache=cache)
        rows["clean build, packages downloaded, s"] = seconds(builder.build)
        for made in [*cache.glob("base-*"), *cache.glob("*.iso")]:
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        rows["build with cached packages, s"] = seconds(builder.build)
        rows["build of a variant over the same base, s"] = seconds(
            lambda: builder.build("broken-button")
        )
    rows["build when nothing changed, s"] = seconds(lambda: live_builder(RECIPE).build())


def unmodified(bench: Bench, profile: Profile, rows: dict[str, float]) -> None:
    """Measure the way into an image that carries no agent, through systemd's debug shell."""
    image = Dvd(profile.image_path("no-agent")).disk()
    definition = profile.definition(channel="debug-shell")
    machine = Machine("unmodified", definition, [image], bench)
    try:
        machine.power_on()
        menu = profile.boot_menu_on("bios")
        boot_with_parameters(machine, "systemd.debug_shell=ttyS0", menu, within=120)
        machine.guest.wait_ready(Deadline.after(300))
        uptime = machine.guest.read("/proc/uptime").decode().split()[0]
        begun = ["systemctl", "show", "--property", "UserspaceTimestampMonotonic", "--value"]
        started = int(machine.guest.run(begun).stdout) / 1e6  # systemd tells microseconds
        rows["no agent: kernel to systemd started, s"] = started
        rows["no agent: systemd started to first command, s"] = float(uptime) - started
    finally:
        machine.close()


def starting(machine: Machine, rows: dict[str, float]) -> AccessibilityTree:
    """Start the image and measure its way to the desktop; return the tree of its desktop."""
    started = time.perf_counter()
    machine.power_on()
    machine.screen.wait_text("troubleshooting")
    machine.keyboard.press("Enter")
    machine.guest.wait_ready(Deadline.after(300))
    rows["power-on to first command, s"] = time.perf_counter() - started
    machine.screen.wait_text("Administration password", within=300)
    rows["power-on to welcome screen read, s"] = time.perf_counter() - started
    left = time.perf_counter()
    machine.tester.click_text("Start")
    machine.screen.wait_text("Applications", within=120)
    rows["welcome screen left to desktop read, s"] = time.perf_counter() - left
    return AccessibilityTree(machine.guest, user="live", default_deadline=120)


def asking(machine: Machine, tree: AccessibilityTree, rows: dict[str, float]) -> None:
    """Measure commands, files and look-ups."""
    guest = machine.guest
    rows["command round trip, no fork, ms"] = median_ms(guest.ping, 200)
    rows["command round trip, forked true, ms"] = median_ms(lambda: guest.run(["true"]), 50)
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(range(256)) * (MEGABYTES * 1_000_000 // 256))
        file.flush()
        taken = seconds(lambda: guest.put(Path(file.name), "/dev/shm/pushed", within=600))
    rows["file pushed, MB/s"] = MEGABYTES / taken
    guest.run(["rm", "/dev/shm/pushed"])
    rows["first look into the tree, s"] = seconds(tree.applications)
    guest.put(WINDOW.encode(), "/tmp/window.py")
    with guest.start(["python3", "/tmp/window.py"], user="live", session=True):
        wanted = Query(name="Button 299", role="button", showing_only=False)
        tree.wait_for(wanted, "present")
        rows["look-up of one node of 300, ms"] = median_ms(lambda: tree.find(wanted), 30)


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("guest.json"))
    options = parser.parse_args()
    rows: dict[str, float] = {}
    building(rows)
    settings = Settings(default_deadline=120)
    with opened_bench(settings) as bench:
        profile = load_profiles([bundled("images")])["demo"]
        image = Dvd(profile.image_path()).disk()
        machine = Machine("guest", profile.definition(), [image], bench)
        try:
            tree = starting(machine, rows)
            asking(machine, tree, rows)
            tree.close()
        finally:
            machine.close()
        unmodified(bench, profile, rows)
    for name, value in rows.items():
        print(f"{name:<45}{value:>10.1f}")
    rounded = {name: round(value, 2) for name, value in rows.items()}
    options.json.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
