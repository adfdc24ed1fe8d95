"""Scenarios on workers of a Dask scheduler that was started with Dask's own commands."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from dask_tools import Cluster
from test_command_line import TAILSTEST, events, tailstest
from test_workers import Suite

import tailstest as package
from tailstest.core.deadline import Deadline, poll

pytestmark = pytest.mark.e2e

STEPS = '''

from tailstest.core.events import ArtifactKept

@step('I keep {size:d} bytes')
def keep(context, size):
    """Keep a file."""
    test = context.test
    path = test._around.evidence.path("logs", "kept", ".txt")
    path.write_bytes(b"x" * size)
    test._events.publish(
        ArtifactKept(kind="log", path=test._around.evidence.relative(path), title="kept")
    )

@step('the image has {size:d} bytes')
def image_has(context, size):
    """Look at the image under test."""
    context.test.use_image(None)
    seen = context.test.image.stat().st_size
    if seen != size:
        raise CheckFailed(f"expected {size}, seen {seen}")

@step('the file "{name}" of the suite says "{text}"')
def file_says(context, name, text):
    """Look at a file of the suite."""
    seen = (context.test.suite / name).read_text().strip()
    if seen != text:
        raise CheckFailed(f"expected {text}, seen {seen}")
'''


class FarSuite(Suite):
    """A suite whose scenarios run on a cluster."""

    def __init__(self, folder, cluster):
        super().__init__(folder)
        self.cluster = cluster
        file = self.folder / "steps" / "meeting.py"
        file.write_text(file.read_text() + STEPS, encoding="utf-8")

    def write(self, name="f", **scenarios):
        meeting = str(self.meeting)
        steps = self.folder / "steps" / "meeting.py"
        text = steps.read_text().replace('os.environ["MEETING"]', f'"{meeting}"')
        steps.write_text(text, encoding="utf-8")
        super().write(name, **scenarios)

    def command(self, *options):
        return [*super().command(*options), "--scheduler", self.cluster.address]

    def ran(self, *options):
        return tailstest(*self.command(*options), cwd=self.folder, **self.cluster.environment)

    def start(self, *options):
        return subprocess.Popen(
            [TAILSTEST, *map(str, self.command(*options))],
            cwd=self.folder,
            env={**os.environ, **self.cluster.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pids(self, note):
        try:
            return super().pids(note)
        except AssertionError as error:
            told = events(self.run) if (self.run / "events.jsonl").exists() else []
            logs = (each.read_text(errors="replace") for each in self.cluster.folder.glob("*.log"))
            raise AssertionError("\n".join([str(error), *map(str, told), *logs])) from error


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    found = Cluster(tmp_path_factory.mktemp("cluster") / "c")
    try:
        found.add_host("north")
        found.add_host("south")
        yield found
    finally:
        found.close()


@pytest.fixture
def suite(tmp_path, cluster):
    return FarSuite(tmp_path, cluster)


def gone(pids, seconds):
    return poll(lambda: not any(map(psutil.pid_exists, pids)) or None, Deadline.after(seconds))


def test_two_hosts_run_a_suite_with_its_image_and_what_they_keep_comes_back(suite, cluster):
    (suite.folder / "data.txt").write_text("good\n")
    image = suite.folder.parent / "small.img"
    image.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 9_000_000)
    size = image.stat().st_size
    suite.write(
        a=['I leave the note "a"', 'I find the note "b"', "I keep 5000000 bytes"],
        b=['I leave the note "b"', 'I find the note "a"', "I keep 10 bytes"],
        c=['the file "data.txt" of the suite says "good"', f"the image has {size} bytes"],
        d=["it is wrong"],
    )
    done = suite.ran("--image", image)
    assert done.returncode == 1, done.stdout + done.stderr
    assert sorted(suite.verdicts()) == [
        ("a", "passed"),
        ("b", "passed"),
        ("c", "passed"),
        ("d", "failed"),
    ]
    assert suite.pids("a") != suite.pids("b")
    told = events(suite.run)
    kept = [each["path"] for each in told if each["event"] == "ArtifactKept"]
    assert sorted((suite.run / each).stat().st_size for each in kept) == [10, 5_000_000]
    notes = [each["text"] for each in told if each["event"] == "Noted"]
    assert sum("runs on" in each for each in notes) == 4
    assert len(told[0]["environment"]["workers"]) == 2
    north, south = cluster.arrived("north"), cluster.arrived("south")
    assert north == south
    assert len(north) == 2  # the suite and the image
    inodes = [(cluster.folder / "north/cache/tailstest/arrived" / each).stat() for each in north]
    again = suite.ran("--image", image)
    assert again.returncode == 1, again.stdout + again.stderr
    after = [(cluster.folder / "north/cache/tailstest/arrived" / each).stat() for each in north]
    assert [each.st_ino for each in after] == [each.st_ino for each in inodes]
    assert cluster.left_on("north") == cluster.left_on("south") == []


def test_ctrl_c_ends_everything_everywhere_within_ten_seconds(suite, cluster):
    suite.write(
        done=['I leave the note "done"', "I keep 10 bytes"],
        held=['I find the note "done"', 'I leave the note "held"', 'I find the note "never"'],
        later=['I find the note "never"'],
    )
    process = suite.start()
    workers = suite.pids("held")
    assert poll(lambda: ("done", "passed") in suite.verdicts() or None, Deadline.after(60))
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    took = time.monotonic() - began
    assert process.returncode == 3, output
    # Without a machine it takes about 3 s. What it must not wait for is PATIENCE, 45 s; on a host
    # that stalls, ten seconds of its work are more on the clock.
    assert took < 30, f"{took} s\n{output}"
    assert gone(workers, 20)
    assert ("held", "incomplete") in suite.verdicts()
    assert events(suite.run)[-1]["interrupted"]
    kept = [each["path"] for each in events(suite.run) if each["event"] == "ArtifactKept"]
    assert (suite.run / kept[0]).stat().st_size == 10
    assert poll(
        lambda: cluster.left_on("north") == cluster.left_on("south") == [] or None,
        Deadline.after(10),
    )


def test_when_the_client_is_killed_its_scenarios_end_and_the_next_run_is_green(suite, cluster):
    suite.write(held=['I leave the note "held"', 'I find the note "go"'], b=["it is wrong"])
    process = suite.start()
    workers = suite.pids("held")
    process.kill()
    process.communicate()
    assert gone(workers, 20)
    (suite.meeting / "go").touch()
    suite.write(held=['I find the note "go"'])
    done = suite.ran()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_scenario_whose_worker_was_killed_runs_elsewhere_and_counts_once(suite, cluster):
    cluster.add_host("doomed", "--no-nanny")
    suite.write(
        one=['I leave the note "one"', 'I find the note "go"'],
        two=['I leave the note "two"', 'I find the note "go"'],
        three=['I leave the note "three"', 'I find the note "go"'],
    )
    process = suite.start()
    pids = {name: suite.pids(name)[0] for name in ("one", "two", "three")}
    doomed = cluster.workers["doomed"]
    name = next(n for n, pid in pids.items() if psutil.Process(pid).ppid() == doomed.pid)
    doomed.kill()
    doomed.wait()
    assert gone([pids[name]], 20), "its scenario goes on without it"
    (suite.meeting / "go").touch()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert events(suite.run)[-1]["counts"] == {"passed": 3}
    attempts = [verdict for each, verdict in suite.verdicts() if each == name]
    assert attempts == ["incomplete", "passed"]
    assert len(suite.verdicts()) == 4


def test_a_scenario_that_nobody_can_run_is_an_error_before_anything_starts(suite, cluster):
    suite.write(
        large=[
            'the image "grub-rescue"',
            "a BIOS machine with 65000 MiB of memory",
            "the machine starts from a DVD",
        ]
    )
    file = suite.folder / "features" / "f.feature"
    text = file.read_text()
    file.write_text(text.replace("    When", "    Given"), encoding="utf-8")
    done = suite.ran()
    assert done.returncode == 2, done.stdout + done.stderr
    assert "f.feature:2 large" in done.stderr
    assert "MiB of memory are needed" in done.stderr
    assert not suite.run.exists()


def other_tailstest(copied):
    """Make a copy of tailstest that is another version."""
    source = Path(package.__file__).parent
    shutil.copytree(source, copied / "tailstest", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("steps", "images", "vm-templates"):
        (copied / name).symlink_to(source.parent / name)
    (copied / "tailstest" / "__init__.py").write_text('__version__ = "0.0.1"\n')
    return copied


def notes_of(run):
    return [each["text"] for each in events(run) if each["event"] == "Noted"]


def test_a_worker_with_another_tailstest_that_comes_late_gets_no_scenario(suite, tmp_path):
    copied = other_tailstest(tmp_path / "other")
    late = Cluster(tmp_path / "c4", "tcp")
    try:
        late.add_host("north")
        suite.cluster = late
        suite.write(
            one=['I leave the note "one"', 'I find the note "go"'],
            **{f"n{number}": ['I leave the note "n"'] for number in range(6)},
        )
        process = suite.start()
        suite.pids("one")
        late.add_host("old", PYTHONPATH=str(copied))
        told = "has tailstest 0.0.1, and this is"
        assert poll(lambda: told in "".join(notes_of(suite.run)) or None, Deadline.after(60))
        (suite.meeting / "go").touch()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert events(suite.run)[-1]["counts"] == {"passed": 7}
        assert len(suite.verdicts()) == 7
    finally:
        late.close()


def test_the_only_worker_is_killed_and_what_comes_after_it_runs_the_rest(suite, tmp_path):
    only = Cluster(tmp_path / "c5", "tcp")
    try:
        only.add_host("first", "--no-nanny")
        suite.cluster = only
        suite.write(
            one=['I leave the note "one"', 'I find the note "go"'], two=['I leave the note "two"']
        )
        process = suite.start()
        suite.pids("one")
        only.workers["first"].kill()
        only.workers["first"].wait()
        (suite.meeting / "go").touch()
        only.add_host("second")
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert events(suite.run)[-1]["counts"] == {"passed": 2}
    finally:
        only.close()


def test_what_a_killed_process_had_kept_comes_back(suite):
    suite.write(
        a=["I keep 10 bytes", 'the process is killed unless there is the note "a"'],
        b=["I keep 20 bytes"],
    )
    done = suite.ran()
    assert done.returncode == 0, done.stdout + done.stderr
    kept = [each["path"] for each in events(suite.run) if each["event"] == "ArtifactKept"]
    assert sorted((suite.run / each).stat().st_size for each in kept) == [10, 10, 20]


def test_a_worker_with_another_tailstest_is_refused(suite, tmp_path, cluster):
    copied = other_tailstest(tmp_path / "other")
    other = Cluster(tmp_path / "c2", "tcp")
    try:
        other.add_host("old", PYTHONPATH=str(copied))
        suite.cluster = other
        suite.write(a=["it is wrong"])
        done = suite.ran()
        assert done.returncode == 2, done.stdout + done.stderr
        assert "has tailstest 0.0.1, and this is" in done.stderr
        assert not suite.run.exists()
    finally:
        other.close()


def test_a_scheduler_that_is_not_there_is_one_clear_error(suite, tmp_path):
    suite.write(a=["it is wrong"])
    for address, status, text in (
        ("tcp://127.0.0.1:9", 3, "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("tcp://192.0.2.1:8786", 2, "is not encrypted"),
        ("http://x", 2, "is no address of a Dask scheduler"),
        ("tls://127.0.0.1:9", 2, "no certificates are named"),
    ):
        done = tailstest("run", "features", "--scheduler", address, cwd=suite.folder)
        assert done.returncode == status, done.stdout + done.stderr
        assert text in done.stderr
        assert "Traceback" not in done.stderr
        assert not (suite.folder / "runs").exists()


def test_a_scheduler_that_is_lost_ends_the_run_with_what_there_is(suite, tmp_path):
    lost = Cluster(tmp_path / "c3", "tcp")
    try:
        lost.add_host("west")
        suite.cluster = lost
        suite.write(
            # As many steps as the next one has: what nobody has measured is as long as its steps.
            done=['I leave the note "done"'] * 3,
            held=['I find the note "done"', 'I leave the note "held"', 'I find the note "never"'],
            later=['I find the note "never"'],
        )
        process = suite.start()
        workers = suite.pids("held")
        lost.scheduler.kill()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 3, output
        assert gone(workers, 20)
        told = events(suite.run)
        assert told[-1]["counts"] == {"passed": 1, "incomplete": 2}
        assert "the connection to the scheduler was lost" in output
    finally:
        lost.close()


FEATURE = """Feature: f
  Background:
    Given the image under test
    And the machine starts from a DVD
    And I see "GNU/Linux"

  @checkpoint
  Scenario: a
    Then I see "GRUB"

  Scenario: b
    When I press "c"
    Then I see "grub>"

  Scenario: c
    Then I do not see "grub>"
"""


@pytest.mark.timeout(900)
def test_the_workers_of_a_host_share_checkpoints_from_run_to_run(tmp_path):
    cluster = Cluster(tmp_path / "cluster")
    try:
        cluster.add_host("north", workers=2)
        suite = FarSuite(tmp_path, cluster)
        suite.write()
        (suite.folder / "features" / "f.feature").write_text(FEATURE, encoding="utf-8")
        went_on = []
        for _ in range(2):
            done = suite.ran("--image", "/usr/lib/grub-rescue/grub-rescue-cdrom.iso")
            assert done.returncode == 0, done.stdout + done.stderr
            notes = [each["text"] for each in events(suite.run) if each["event"] == "Noted"]
            went_on.append(sum("from a checkpoint" in each for each in notes))
    finally:
        cluster.close()
    assert went_on == [2, 3]
