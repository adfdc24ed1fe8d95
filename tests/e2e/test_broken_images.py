"""Images that are broken on purpose: scenarios that pass on the demo must fail, and say why.

Faults that do not hide one another are in one image, so that one start serves several.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from test_command_line import ROOT, events, tailstest

from tailstest.media.live_image.recipe import load_recipe

pytestmark = [pytest.mark.vm, pytest.mark.e2e, pytest.mark.long(3)]


class Caught(NamedTuple):
    """A fault, the scenario that catches it, and words that name the cause in what a person reads.

    Attributes:
        variant: of the demo image.
        feature: below features/.
        line: text of the line of the scenario (or its row of examples), once in the file.
        cause: words of the error.
    """

    variant: str
    feature: str
    line: str
    cause: tuple[str, ...]

    @property
    def place(self) -> str:
        """The scenario as the command line names it: FILE:LINE."""
        file = Path("features") / f"{self.feature}.feature"
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        (number,) = [number for number, line in enumerate(lines, 1) if self.line in line]
        return f"{file}:{number}"


# fmt: off
BUTTON = [
    Caught("broken-button", "live/welcome", "All of it can be used, also by a screen reader",
           ("“Start”", "not sensitive")),
    Caught("broken-version", "live/system", "It is the version that it should be",
           ('VERSION_ID="1.0"', '"0.9"')),
    Caught("broken-dns", "live/system", "Nobody but one user gets out through the firewall",
           ("dport 53",)),
]
#: Its service hangs until nobody waits for it any more.
SERVICE = [
    Caught("broken-application", "live/desktop", "| Mousepad ",
           ("“Mousepad”", "Thunar File Manager")),
    Caught("broken-service", "live/system", "It starts without a failure, within its means",
           ("demo-hangs.service",)),
]
NETWORK = [
    Caught("broken-dns", "network/demo", "A program that looks up a name gets nothing out",
           ("10.76.1.1:53", "others than these hosts")),
    Caught("broken-address", "network/demo", "The network comes back when its cable",
           ("packets tell the real MAC address",)),
    Caught("broken-name", "network/demo", "Nobody learns what the computer is called",
           ("the real host name demo",)),
]
MEMORY = [
    Caught("broken-memory", "memory/programs", "A killed program and a removed file",
           ("expected not to be there any more", '"open letter" in the memory of the machine')),
    # Not with other faults of the network: who asks too early does not ask again.
    Caught("broken-silence", "network/demo", "It is silent until the session starts",
           ("the machine should have sent nothing",)),
]
# fmt: on
IMAGES = [BUTTON, SERVICE, NETWORK, MEMORY]


@pytest.mark.nightly
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("faults", IMAGES, ids=["button", "service", "network", "memory"])
def test_what_is_broken_is_caught_and_named(tmp_path, faults):
    run = tmp_path / "run"
    image = "demo:" + "+".join(dict.fromkeys(fault.variant for fault in faults))
    places = [fault.place for fault in faults]
    # Nobody looks at the film. What is broken stays so, and what is not is there at once: it takes
    # no half a minute to see which.
    shorter = {"TAILSTEST_VIDEO": "never", "TAILSTEST_DEFAULT_DEADLINE": "10"}
    done = tailstest("run", *places, "--image", image, "--output", run, **shorter)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-2000:]
    told = events(run)
    places_of = {e["scenario_id"]: e["location"] for e in told if e["event"] == "ScenarioStarted"}
    ended = {
        places_of[event["scenario_id"]]: event
        for event in told
        if event["event"] == "ScenarioFinished"
    }
    verdicts = {place: event["verdict"] for place, event in ended.items()}
    assert verdicts == dict.fromkeys(places, "failed")
    for fault in faults:
        said = ended[fault.place]["error"]
        assert [words for words in fault.cause if words not in said] == [], said
    assert len(list((run / "frames").glob("*failure*.png"))) >= len(faults)


def test_every_broken_variant_is_caught():
    variants = load_recipe(ROOT / "images/demo/recipe").variants
    broken = {name for name in variants if name.startswith("broken-")}
    assert {fault.variant for faults in IMAGES for fault in faults} == broken
