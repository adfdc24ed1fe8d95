"""Images that are broken on purpose: a scenario that passes on the demo must fail, and say why."""

import pytest
from test_command_line import events, tailstest

pytestmark = [pytest.mark.vm, pytest.mark.e2e, pytest.mark.long(2)]

#: Variant, the scenario that catches it, and words that name the cause in what the person reads.
CAUGHT = [
    ("broken-button", "live/welcome", "All of it can be used, also by a screen reader",
     ["“Start”", "not sensitive"]),
    ("broken-application", "live/desktop", "Mousepad starts, shows its window, and closes",
     ["“Mousepad”", "Thunar File Manager"]),
    ("broken-version", "live/system", "It is the version that it should be, and says what is in it",
     ['VERSION_ID="1.0"', '"0.9"']),
    # Longer: its service hangs until nobody waits for it any more.
    pytest.param("broken-service", "live/system", "It starts without a failure, within its means",
                 ["demo-hangs.service"], marks=pytest.mark.long(4)),
    ("broken-dns", "live/system", "Nobody but one user gets out through the firewall",
     ["dport 53"]),
    ("broken-dns", "network/demo", "A program that looks up a name gets nothing out",
     ["10.76.1.1:53", "others than these hosts"]),
    ("broken-address", "network/demo",
     "It is silent until the session starts, then contacts nobody and hides its hardware address",
     ["packets tell the real MAC address"]),
    ("broken-silence", "network/demo",
     "It is silent until the session starts, then contacts nobody and hides its hardware address",
     ["the machine should have sent nothing"]),
    ("broken-name", "network/demo",
     "It is silent until the session starts, then contacts nobody and hides its hardware address",
     ["the real host name demo"]),
    ("broken-memory", "memory/programs", "A killed program and a removed file leave nothing behind",
     ["expected not to be there any more", '"open letter" in the memory of the machine']),
]  # fmt: skip


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("variant", "feature", "scenario", "cause"), CAUGHT)
def test_what_is_broken_is_caught_and_named(tmp_path, variant, feature, scenario, cause):
    run = tmp_path / "run"
    file, image = f"features/{feature}.feature", f"demo:{variant}"
    # Nobody comes back to what would be saved, and nobody looks at the film.
    options = ["--image", image, "--no-checkpoints", "--output", run]
    done = tailstest("run", file, "--name", scenario, *options, TAILSTEST_VIDEO="never")
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-2000:]
    (finished,) = [event for event in events(run) if event["event"] == "ScenarioFinished"]
    assert finished["verdict"] == "failed"
    for words in cause:
        assert words in done.stdout
    assert list((run / "frames").glob("*failure*.png"))
