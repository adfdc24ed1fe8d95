"""One packet that must not be, among a hundred thousand that may: caught, and shown."""

import html
import re

import pytest
from test_command_line import events, tailstest

from tailstest.lab.capture_file import CaptureFile

pytestmark = [pytest.mark.vm, pytest.mark.e2e]

#: More than 100,000 packets: data of 1460 bytes each, and an answer to most of them.
SIZE = 140_000_000

FEATURE = """
Feature: A needle
  Scenario: One question for a name among all that was loaded
    Given the image "ipxe"
    And the machine is in the lab
    And the lab shows the folder "files" as "203.0.113.80"
    When I start the machine from a DVD
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"
    And I enter "dhcp && imgfetch http://203.0.113.80/much && echo all-${net0/ip}-is-here"
    Then I see "all-10.76.1.158-is-here" within 120 seconds
    And only these hosts were contacted
      | host         | protocol | port |
      | www.lab.test | TCP      | 80   |
    When I enter "imgfetch http://needle.example/"
    And I see "needle.example... ok"
    Then only these hosts were contacted
      | host         | protocol | port |
      | www.lab.test | TCP      | 80   |
"""


@pytest.mark.timeout(900)
def test_one_packet_in_a_hundred_thousand_is_caught_and_shown(tmp_path):
    suite, run = tmp_path / "suite", tmp_path / "run"
    assert tailstest("init", suite).returncode == 0
    feature = suite / "features" / "needle.feature"
    feature.write_text(FEATURE)
    (suite / "files").mkdir()
    with (suite / "files" / "much").open("wb") as file:
        file.truncate(SIZE)
    done = tailstest("run", feature, "--output", run)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-2000:]
    (capture,) = run.rglob("*.pcapng")
    assert sum(1 for _ in CaptureFile(capture)) > 100_000
    steps = [event for event in events(run) if event["event"] == "StepFinished"]
    verdicts = [event["verdict"] for event in steps]
    assert verdicts == [*["passed"] * (len(verdicts) - 1), "failed"]
    report = html.unescape(re.sub(r"<[^>]*>", "", (run / "report.html").read_text()))
    for words in (
        "the machine contacted others than these hosts",
        "[2001:db8:76:1::1]:53",
        "needle.example",
        "1 packet, ",
        'When I enter "imgfetch http://needle.example/"',
    ):
        assert words in done.stdout
        assert words in report
