"""A machine that restarts while a command runs in it, and what our agent makes of that."""

import pytest
from test_command_line import events, suite, tailstest, write_feature

pytestmark = [pytest.mark.vm, pytest.mark.e2e, pytest.mark.long(3)]
__all__ = ["suite"]


@pytest.mark.timeout(900)
def test_a_restart_in_the_middle_of_a_command_ends_the_step_at_once(suite, tmp_path):
    write_feature(
        suite,
        'Given the image "demo"',
        "And the machine starts from a DVD",
        "And I boot the default entry of the boot menu",
        "And the inside can be reached",
        'When I run "echo begun; reboot -ff; sleep 6000" inside within 6000 seconds',
    )
    run = tmp_path / "run"
    done = tailstest("run", "features", "--output", run, cwd=suite)
    assert done.returncode == 1, done.stdout + done.stderr
    (finished,) = [event for event in events(run) if event["event"] == "ScenarioFinished"]
    assert finished["verdict"] == "failed"
    assert "restarted by itself" in done.stdout
