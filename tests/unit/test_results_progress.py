"""What a terminal shows of scenarios that run at the same time."""

from rich.console import Console

from tailstest.core.events import HeldUp, ScenarioFinished, ScenarioStarted, StepStarted
from tailstest.results.progress import SeveralAtOnce


def started(name):
    return ScenarioStarted(
        scenario_id=name,
        name=name,
        feature="f",
        feature_file="f.feature",
        location="f.feature:1",
        tags=[],
        steps=["When a", "Then b"],
    )


def lines(progress):
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        console.print(progress)
    return capture.get().splitlines()


def test_each_scenario_has_a_line_from_its_beginning_to_its_end():
    progress = SeveralAtOnce()
    progress.total = 3
    progress.take("1", started("first"))
    progress.take("2", started("second \x1b[31m"))
    progress.take(
        "2", StepStarted(scenario_id="s", index=1, keyword="Then", text="b", location="f:3")
    )
    progress.take(
        "unknown", StepStarted(scenario_id="s", index=0, keyword="", text="", location="")
    )
    shown = lines(progress)
    assert shown[0] == "0 of 3 ended"
    assert "first" in shown[1]
    assert "second" in shown[2]
    assert shown[2].endswith("2/2  Then b")
    assert "\x1b" not in "".join(shown)
    progress.take("1", ScenarioFinished(scenario_id="s", verdict="passed", seconds=1.0))
    progress.end("2")
    progress.end("2")
    assert lines(progress) == ["0 of 3 ended"]


def test_a_scenario_that_waits_for_the_host_says_so_until_it_goes_on():
    progress = SeveralAtOnce()
    progress.take("1", started("first"))
    step = StepStarted(scenario_id="s", index=0, keyword="When", text="a", location="f:2")
    progress.take("1", step)
    progress.take("1", HeldUp(text="waits for 736 MiB \x1b[31m"))
    assert "waits for 736 MiB" in lines(progress)[1]
    assert "\x1b" not in lines(progress)[1]
    progress.take("1", HeldUp(text=""))
    assert lines(progress)[1].endswith("1/2  When a")
    progress.take("unknown", HeldUp(text="x"))
    assert len(lines(progress)) == 2
