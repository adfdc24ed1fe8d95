"""Kills parts of a run at random moments, and fills its disk; nothing may be lost or left behind.

`python tests/e2e/fault_drill.py [--moments 20] [--seed N] [KIND ...]` does it for long and prints
the seed, with which the same moments come again. Tests do one moment of each kind.

worker    SIGKILL of a process that runs scenarios, or of a Dask worker with all it has
client    SIGKILL of `tailstest run`
qemu      SIGKILL of a QEMU process (real machines, a rescue image)
disk      the disk of the run is full
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from dask_tools import Cluster

from tailstest.core.deadline import Deadline, pause, poll

TAILSTEST = Path(sys.executable).with_name("tailstest")
#: Of a suite that only sleeps, and of one with machines.
SLEEPERS, MACHINES = 8, 2
#: Seconds for everything to be gone after a kill: a guardian has to notice and to clean up.
GONE = 40.0
#: The same where a worker has to find out that its client is silent.
SILENT = 90.0
#: Seconds for a run.
LIMIT = 300.0

STEPS = '''
import os, time
from pathlib import Path
from behave import step
from tailstest.core.deadline import Deadline, pause

@step("{{name}} works for {{seconds:g}} s")
def works(context, name, seconds):
    """Note that it was done, where nothing of the run can lose it."""
    with Path("{ledger}").open("a") as file:
        file.write(name + "\\n")
    pause(seconds)
'''


class Drill:
    """A suite, the folders of its user, and what must hold after each run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.suite = folder / "suite"
        self.ledger = folder / "ledger"
        #: Sockets of machines lie in there, so its path must be short.
        self.short = Path(tempfile.mkdtemp(prefix="td", dir="/tmp"))
        self.runs = 0
        self.cluster: Cluster | None = None
        self.environment = {
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(self.short),
            "TAILSTEST_STORE": "none",
            "TAILSTEST_VIDEO": "never",
        }
        (self.suite / "features").mkdir(parents=True)
        (self.suite / "steps").mkdir()
        steps = STEPS.format(ledger=self.ledger)
        (self.suite / "steps" / "drill.py").write_text(steps, encoding="utf-8")
        sleepers = [
            f"  Scenario: s{number}\n    When s{number} works for {0.2 + 0.1 * number:.1f} s\n"
            for number in range(SLEEPERS)
        ]
        machines = [
            f"  Scenario: m{number}\n"
            '    Given the image "grub-rescue"\n'
            "    And a BIOS machine with 64 MiB of memory\n"
            "    When I start the machine from a DVD\n"
            f"    And m{number} works for 3 s\n"
            "    Then the machine is still running\n"
            for number in range(MACHINES)
        ]
        for name, texts in (("sleepers", sleepers), ("machines", machines)):
            file = self.suite / "features" / f"{name}.feature"
            file.write_text(f"Feature: {name}\n" + "".join(texts), encoding="utf-8")

    def use_cluster(self) -> None:
        """Run on two workers of a scheduler from now on."""
        self.cluster = Cluster(self.folder / "c", "tcp", self.environment)
        for name in ("north", "south"):
            self.cluster.add_host(name)

    def close(self) -> None:
        """End the scheduler, and remove what lies outside of the folder."""
        if self.cluster is not None:
            self.cluster.close()
        shutil.rmtree(self.short, ignore_errors=True)

    def start(self, what: str, output: Path | None = None) -> subprocess.Popen[str]:
        """Start a run of "sleepers" or "machines"."""
        self.runs += 1
        self.run = output or self.folder / f"run-{self.runs}"
        self.what = what
        self.ledger.write_text("")
        where = ["--workers", "2"]
        environment = {**os.environ, **self.environment}
        if self.cluster is not None:
            where = ["--scheduler", self.cluster.address]
            environment |= self.cluster.environment
        return subprocess.Popen(
            [TAILSTEST, "run", f"features/{what}.feature", "--output", self.run, *where],
            cwd=self.suite,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_random(self, process: subprocess.Popen[str], least: float, most: float) -> float:
        """Let some random time pass, counted from the moment at which the first scenario works."""
        begun = poll(
            lambda: self.ledger.read_text() or process.poll() is not None or None,
            Deadline.after(LIMIT),
        )
        assert begun, "no scenario began"
        seconds = self.random.uniform(least, most)
        pause(seconds)
        return seconds

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run scenarios, and QEMU, of this drill."""
        found = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                is_ours = (
                    any("scenario_main" in word for word in words)
                    and process.environ().get("XDG_STATE_HOME", "").startswith(str(self.folder))
                ) or (
                    bool(words)
                    and "qemu" in Path(words[0]).name
                    and any(str(self.short) in word for word in words)
                )
            except psutil.Error:
                continue
            if is_ours and is_alive(process):
                found.append(process)
        return found

    def check_nothing_left(self) -> None:
        """Wait until no process, lease, claim or socket of a run is left; fail if one is."""

        def left() -> list[str]:
            found = [str(each) for each in self.processes()]
            found += [str(each) for each in files_in(self.folder / "state", ".lease")]
            for each in files_in(self.short):
                if each.name == "memory-claims.json":
                    found += [f"claim {entry}" for entry in living(each)]
                elif each.suffix != ".lock":
                    found.append(str(each))
            if self.cluster is not None:
                for name in self.cluster.workers:
                    found += [f"{name}: {each}" for each in self.cluster.left_on(name)]
            return found

        limit = GONE if self.cluster is None else SILENT
        gone = poll(lambda: not left() or None, Deadline.after(limit), interval=0.2)
        assert gone, f"left behind: {left()}"

    def events(self) -> list[dict[str, object]]:
        """Read the events of the run; only the last line may be cut off."""
        lines = (self.run / "events.jsonl").read_text(encoding="ascii").splitlines()
        return [json.loads(line) for line in lines[:-1]] + [
            json.loads(line) for line in lines[-1:] if line.endswith("}")
        ]

    def check_each_once(self, *, has_ended: bool, lost: bool = False) -> Counter[str]:
        """Hold what was told against what was done; return the verdicts of all attempts.

        Args:
            has_ended: whether the run came to its end, so that every scenario has a verdict.
            lost: whether attempts may have been done that nobody was told of (a killed client).
        """
        told = self.events()
        names = {e["scenario_id"]: e["name"] for e in told if e["event"] == "ScenarioStarted"}
        done = Counter(self.ledger.read_text().split())
        begun = Counter(names[e["scenario_id"]] for e in told if e["event"] == "ScenarioStarted")
        ended = [
            (str(names[e["scenario_id"]]), str(e["verdict"]))
            for e in told
            if e["event"] == "ScenarioFinished"
        ]
        passed = Counter(name for name, verdict in ended if verdict == "passed")
        assert all(count == 1 for count in passed.values()), f"passed twice: {passed}"
        assert not lost or not has_ended
        if not lost:
            for name, count in done.items():
                assert begun[name] >= count, f"{name} was done {count} times, told {begun[name]}"
        if has_ended:
            counts = told[-1]["counts"]
            assert isinstance(counts, dict)
            planned = SLEEPERS if self.what == "sleepers" else MACHINES
            others = sum(count for verdict, count in counts.items() if verdict != "incomplete")
            assert others <= planned <= sum(counts.values()), counts
            assert counts.get("passed", 0) == len(passed)
        return Counter(verdict for _, verdict in ended)

    def check_green(self) -> None:
        """Run once more, and see that nothing of before is in the way."""
        process = self.start(self.what)
        said, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, said
        verdicts = self.check_each_once(has_ended=True)
        assert set(verdicts) == {"passed"}, verdicts
        self.check_nothing_left()


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still is one."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def files_in(folder: Path, end: str = "") -> list[Path]:
    """Return files, sockets and links in a folder from which somebody may be removing them."""
    return [
        Path(above, name)
        for above, _, names in os.walk(folder)
        for name in names
        if name.endswith(end)
    ]


def words_of(process: psutil.Process) -> list[str]:
    """Return a command line; nothing of a process that has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def kill(process: psutil.Process) -> None:
    """Kill a process; where it has just ended, the moment was a bit later than it."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def living(file: Path) -> list[object]:
    """Return the claims of memory whose processes live."""
    try:
        return [e for e in json.loads(file.read_text()) if is_alive(psutil.Process(e["pid"]))]
    except (OSError, ValueError, psutil.NoSuchProcess):
        return []


def kill_worker(drill: Drill) -> str:
    """Kill a process that runs scenarios, or a whole Dask worker."""
    process = drill.start("sleepers")
    waited = drill.wait_random(process, 0.0, 2.0)
    if drill.cluster is None:
        victims = drill.processes()
    else:
        victims = [
            child
            for worker in drill.cluster.workers.values()
            for child in psutil.Process(worker.pid).children()
            if any("spawn_main" in word for word in words_of(child))
        ]
    victim = drill.random.choice(victims) if victims else None
    if victim is not None:
        kill(victim)
    said, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, said
    verdicts = drill.check_each_once(has_ended=True)
    assert verdicts["passed"] == SLEEPERS, said
    assert verdicts["incomplete"] <= 1, said
    drill.check_nothing_left()
    return f"after {waited:.2f} s, {verdicts['incomplete']} attempts cut off"


def kill_client(drill: Drill) -> str:
    """Kill `tailstest run` itself."""
    process = drill.start("sleepers")
    waited = drill.wait_random(process, 0.0, 2.0)
    process.kill()
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)
    verdicts = drill.check_each_once(has_ended=False, lost=True)
    drill.check_nothing_left()
    drill.check_green()
    return f"after {waited:.2f} s, {verdicts.total()} attempts told until then"


def kill_qemu(drill: Drill) -> str:
    """Kill a QEMU process."""
    process = drill.start("machines")
    waited = drill.wait_random(process, 0.0, 3.0)
    machines = [each for each in drill.processes() if "qemu" in "".join(words_of(each)[:1])]
    if machines:
        kill(drill.random.choice(machines))
    said, _ = process.communicate(timeout=LIMIT)
    verdicts = drill.check_each_once(has_ended=True)
    assert verdicts.total() == MACHINES, said
    assert verdicts["passed"] >= MACHINES - 1, said
    assert process.returncode == (0 if verdicts["passed"] == MACHINES else 3), said
    drill.check_nothing_left()
    return f"after {waited:.2f} s, {len(machines)} machines ran, {dict(verdicts)}"


def fill_disk(drill: Drill) -> str:
    """Fill the disk that the run is written to."""
    disk = drill.folder / "disk"
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tailstest", str(disk)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        drill.environment["TAILSTEST_FREE_SPACE_NEEDED"] = "0"
        process = drill.start("sleepers", output=disk / "run")
        waited = drill.wait_random(process, 0.0, 1.2)
        try:
            with (disk / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(b"x" * 4096)
        except OSError:
            pass
        said, _ = process.communicate(timeout=LIMIT)
        (disk / "filler").unlink()
        verdicts = drill.check_each_once(has_ended=True)
        assert verdicts["passed"] == SLEEPERS, said
        # What is left of a page, and in the end the reserve, takes what comes last.
        noticed = "No space left" in said or "disk was full" in said
        assert process.returncode == (3 if noticed else 0), said
        drill.check_nothing_left()
        drill.check_green()
        return f"after {waited:.2f} s, exit status {process.returncode}"
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


KINDS = {"worker": kill_worker, "client": kill_client, "qemu": kill_qemu, "disk": fill_disk}


def main() -> int:
    """Drill for long; return 1 if anything was lost or left behind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="all by default")
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--scheduler", action="store_true", help="with workers of a scheduler, too")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    failed = 0
    for far in [False, True] if options.scheduler else [False]:
        for kind in options.kinds or KINDS:
            if far and kind in {"qemu", "disk"}:
                continue
            with tempfile.TemporaryDirectory(prefix="td-") as folder:
                drill = Drill(Path(folder), options.seed)
                try:
                    if far:
                        drill.use_cluster()
                    for moment in range(1, options.moments + 1):
                        try:
                            said = KINDS[kind](drill)
                        except AssertionError as error:
                            failed += 1
                            said = f"FAILED: {error}"
                        where = "scheduler" if far else "this host"
                        print(f"{kind}, {where}, {moment}: {said}", flush=True)
                finally:
                    drill.close()
    print(f"{failed} moments failed" if failed else "nothing was lost or left behind")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
