"""`tailstest run --keep` and `tailstest vm`: a machine that is looked at from another terminal."""

import contextlib
import os
import signal
import subprocess

import cv2
import pytest
from test_command_line import TAILSTEST, events, machines_of, suite, tailstest, write_feature

from tailstest.core.deadline import Deadline, poll

pytestmark = pytest.mark.vm
__all__ = ["suite"]
#: Seconds for a run to end.
ENDING = 180.0


@contextlib.contextmanager
def kept_run(folder, output):
    """Start a run that keeps its machine, and wait until it does."""
    process = subprocess.Popen(
        [TAILSTEST, "run", "features", "--keep", "--output", str(output)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        is_kept = poll(
            lambda: (output.name in tailstest("vm", "list").stdout or process.poll()) or None,
            Deadline.after(600),
            interval=3,  # each look takes time from the run
        )
        if is_kept is not True:
            process.kill()
        assert is_kept is True, process.communicate(timeout=ENDING)[0]
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=ENDING)


def test_a_kept_machine_is_seen_from_outside_and_goes_with_enter(suite, tmp_path):
    write_feature(
        suite,
        'Given the image "grub-rescue"',
        "And the machine starts from a DVD",
        'And I see "GNU/Linux"',
        'When I press "c"',
        'And I see "grub>"',
        'And I type "serial --unit=0 --speed=115200"',
        'And I press "Enter"',
        'And I type "terminal_output console serial"',
        'And I press "Enter"',
        'Then the serial console shows "grub>"',
    )
    output = tmp_path / f"kept-{os.getpid()}"
    chosen = ("--run", output.name)
    with kept_run(suite, output) as process:
        shot = tailstest("vm", "shot", *chosen, tmp_path / "shot.png")
        assert shot.returncode == 0, shot.stderr
        assert cv2.imread(str(tmp_path / "shot.png")).shape == (400, 720, 3)
        console = tailstest("vm", "console", *chosen, "-n", "3")
        assert console.returncode == 0, console.stderr
        assert "grub>" in console.stdout
        assert "\x1b" not in console.stdout
        inside = tailstest("vm", "exec", *chosen, "--", "true")
        assert inside.returncode == 2
        assert "a way into this image" in inside.stderr
        machines = machines_of(output)
        assert machines
        text, _nothing = process.communicate("\n", timeout=ENDING)
    assert process.returncode == 0, text
    assert "is kept until Enter" in text
    assert output.name not in tailstest("vm", "list").stdout
    assert machines_of(output) == []
    (finished,) = [each for each in events(output) if each["event"] == "ScenarioFinished"]
    assert finished["verdict"] == "passed"


def test_a_failed_scenario_is_kept_and_a_signal_is_no_interruption(suite, tmp_path):
    write_feature(
        suite,
        'Given the image "grub-rescue"',
        "And the machine starts from a DVD",
        'Then I see "never to be seen" within 1 seconds',
    )
    output = tmp_path / f"failed-{os.getpid()}"
    with kept_run(suite, output) as process:
        assert machines_of(output)
        process.send_signal(signal.SIGTERM)
        text, _nothing = process.communicate(timeout=ENDING)
    assert process.returncode == 1, text
    assert "interrupted" not in text
    assert machines_of(output) == []
    assert (output / "report.html").is_file()
