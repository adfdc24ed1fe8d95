"""The demo: every bundled feature on real images, as `./run demo` runs it, some at a time."""

import pytest
from test_command_line import events, tailstest

from tailstest.hypervisor.host_speed import usable_cores

pytestmark = [pytest.mark.vm, pytest.mark.e2e, pytest.mark.whole_host]

#: Fewer would not be the suite that the README promises.
LEAST_SCENARIOS = 95
#: A machine that starts keeps a core busy, and more if it has two processors.
WORKERS = max(2, min(4, usable_cores() // 2))


@pytest.mark.timeout(4600)
def test_all_bundled_scenarios_pass(tmp_path, with_nightly):
    run = tmp_path / "demo"
    options = ["--workers", WORKERS]
    if not with_nightly:
        options += ["--tags", "not @nightly"]
    done = tailstest("run", "features", "--image", "demo", *options, "--output", run)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    finished = [event for event in events(run) if event["event"] == "ScenarioFinished"]
    assert len(finished) >= LEAST_SCENARIOS
    assert {event["verdict"] for event in finished} == {"passed"}
    assert list(run.glob("worker-*/frames/*.png"))
    assert (run / "report.html").stat().st_size > 100_000
