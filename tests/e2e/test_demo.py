"""The demo: every bundled feature on real images, as `./run demo` runs it."""

import pytest
from test_command_line import events, tailstest

pytestmark = [pytest.mark.vm, pytest.mark.e2e]

#: Fewer would not be the suite that the README promises.
LEAST_SCENARIOS = 20


@pytest.mark.timeout(4600)
def test_all_bundled_scenarios_pass(tmp_path):
    run = tmp_path / "demo"
    done = tailstest("run", "features", "--image", "demo", "--output", run)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    finished = [event for event in events(run) if event["event"] == "ScenarioFinished"]
    assert len(finished) >= LEAST_SCENARIOS
    assert {event["verdict"] for event in finished} == {"passed"}
    assert list((run / "frames").glob("*.png"))
    assert (run / "report.html").stat().st_size > 100_000
