"""The command `tailstest` as a user has it: exit statuses, messages, nothing left behind."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import psutil
import pytest
from junitparser import JUnitXml

from tailstest.core.deadline import Deadline, poll

pytestmark = pytest.mark.vm
ROOT = Path(__file__).resolve().parents[2]
TAILSTEST = Path(sys.executable).with_name("tailstest")
#: Seconds after which a command hangs. On a host six times slower than normal, 52 of the 54
#: scenarios of the demo took 30 minutes; each test has a limit of its own besides.
HUNG = 4500


def tailstest(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [TAILSTEST, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HUNG,
        check=False,
    )


def events(run):
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def machines_of(run):
    """Return QEMU's processes of the machines whose definitions a run has kept."""
    texts = [file.read_text() for file in (run / "logs").glob("*-domain-*.xml")]
    names = {name for text in texts for name in re.findall("<name>(.*?)</name>", text)}
    return [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if "qemu" in (process.info["name"] or "")
        and any(name in word for name in names for word in process.info["cmdline"] or [])
    ]


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "suite"
    assert tailstest("init", folder).returncode == 0
    return folder


def write_feature(suite, *steps):
    lines = ["Feature: f", "  Scenario: s", *(f"    {step}" for step in steps)]
    (suite / "features" / "first.feature").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_new_suite_has_a_scenario_that_passes(suite, tmp_path):
    done = tailstest("run", "features", "--output", tmp_path / "run", cwd=suite)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    report = JUnitXml.fromfile(str(tmp_path / "run" / "junit.xml"))
    assert (report.tests, report.failures, report.errors) == (1, 0, 0)


def test_the_image_under_test_is_relative_to_where_the_user_is(suite, tmp_path):
    write_feature(
        suite,
        "Given the image under test",
        "And the machine starts from a USB stick",
        'Then I see "GNU/Linux"',
    )
    shutil.copy("/usr/lib/grub-rescue/grub-rescue-cdrom.iso", tmp_path / "my.iso")
    run = tmp_path / "run"
    done = tailstest("run", "suite/features", "--image", "my.iso", "--output", run, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (started,) = [event for event in events(run) if event["event"] == "RunStarted"]
    digest = hashlib.sha256((tmp_path / "my.iso").read_bytes()).hexdigest()
    assert started["environment"]["image"]["sha256"] == digest


def test_a_missing_image_makes_no_run_folder(suite, tmp_path):
    done = tailstest("run", "features", "--image", "no.iso", "--output", tmp_path / "r", cwd=suite)
    assert done.returncode == 2
    assert "no.iso" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_failure_says_what_was_read_and_ends_with_1(suite, tmp_path):
    write_feature(
        suite,
        'Given the image "grub-rescue"',
        "And the machine starts from a DVD",
        'And I see "GNU/Linux"',
        'Then I see "OpenSolaris" within 3 seconds',
    )
    done = tailstest("run", "features", "--output", tmp_path / "run", cwd=suite)
    assert done.returncode == 1
    assert "OpenSolaris" in done.stdout
    assert "Microsoft Windows" in done.stdout  # what was read instead
    assert "Traceback" not in done.stdout + done.stderr
    kept = [event for event in events(tmp_path / "run") if event["event"] == "ArtifactKept"]
    assert any(event["kind"] == "video" for event in kept)


def change_grey(picture):
    return (picture * 0.35 + 90).astype("uint8")


def change_colour(picture):
    tinted = picture.copy()
    tinted[:, :, 2] = 0
    return tinted


def change_letter(picture):
    changed = picture.copy()
    changed[64:80, 27:36] = picture[64:80, 36:45]  # NNU/Linux
    return changed


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (change_grey, "greyed out"),
        (change_colour, "another colour"),
        (change_letter, "text differs"),
    ],
)
def test_a_wrong_reference_has_a_named_outcome_and_can_be_reviewed(
    suite, tmp_path, change, outcome
):
    source = ROOT / "images" / "grub-rescue"
    picture = cv2.imread(str(source / "grub-rescue-menu.png"))
    cv2.imwrite(str(suite / "images" / "stale.png"), change(picture))
    definition = (source / "grub-rescue-menu.json").read_text()
    (suite / "images" / "stale.json").write_text(definition)
    write_feature(
        suite,
        'Given the image "grub-rescue"',
        "And the machine starts from a DVD",
        'And I see "GNU/Linux"',
        'Then I see the picture "stale" within 3 seconds',
    )
    run = suite / "runs" / "one"
    done = tailstest("run", "features", "--output", run, cwd=suite)
    assert done.returncode == 1, done.stdout + done.stderr
    (look,) = [
        event
        for event in events(run)
        if event["event"] == "Looked" and event["kind"] == "reference"
    ]
    assert look["look"]["outcome"] == outcome
    assert outcome in (run / "report.html").read_text().lower()
    accepted = tailstest("review", run, "--accept-all", cwd=suite)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    again = tailstest("run", "features", "--output", suite / "runs" / "two", cwd=suite)
    assert again.returncode == 0, again.stdout + again.stderr


def start_run(suite, output):
    return subprocess.Popen(
        [TAILSTEST, "run", "features", "--output", str(output)],
        cwd=suite,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def endless(suite):
    write_feature(
        suite,
        'Given the image "grub-rescue"',
        "And the machine starts from a DVD",
        'Then I see "never to be seen" within 600 seconds',
    )
    return suite


def wait_for_machine(run):
    pids = poll(lambda: machines_of(run) or None, Deadline.after(120))
    assert pids, "no machine was started"
    return pids


def test_a_killed_run_leaves_nothing_after_the_next_command(endless, tmp_path):
    run = tmp_path / "killed"
    process = start_run(endless, run)
    wait_for_machine(run)
    process.kill()
    process.wait()
    next_one = tailstest(
        "boot", "grub-rescue", "--wait-text", "GNU/Linux", "--screenshot", tmp_path / "x.png"
    )
    assert next_one.returncode == 0, next_one.stderr
    assert machines_of(run) == []
    assert (tmp_path / "x.png").is_file()
    again = tailstest("report", run)
    assert again.returncode == 0, again.stderr
    assert (run / "report.html").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_cleanly_with_3(endless, tmp_path, number):
    run = tmp_path / "interrupted"
    process = start_run(endless, run)
    wait_for_machine(run)
    process.send_signal(number)
    output, _nothing = process.communicate(timeout=120)
    assert process.returncode == 3, output
    assert machines_of(run) == []
    assert (run / "report.html").is_file()
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["run", "nowhere"], 2, "no such file"),
        (["run", "features", "--tags", "-slow"], 2, "old syntax"),
        (["run", "features", "--name", "no such name"], 2, "nothing to run"),
        (["run", "features", "--image", "missing.iso"], 2, "missing.iso"),
        (["run", "features", "--output", "/proc/nowhere"], 2, "/proc/nowhere"),
        (["boot", "features"], 2, "features"),
        (["match", "README.md", "--reference", "x.json"], 2, "README.md"),
        (["review", "no-such-run"], 2, "no-such-run"),
        (["image", "show", "README.md"], 2, "README.md"),
    ],
)
def test_wrong_usage_is_one_message_and_status_2(arguments, status, said):
    done = tailstest(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named():
    done = tailstest("host", TAILSTEST_VIDEO="sometimes")
    assert done.returncode == 2
    assert "TAILSTEST_VIDEO" in done.stderr


def test_the_host_names_its_accelerator_and_why_others_are_refused():
    done = tailstest("host", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["accelerator"] in {"kvm", "tcg"}
    assert report["accelerator"] == "kvm" or report["refused"]
