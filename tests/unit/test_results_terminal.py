from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from results_sample import Sample

from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.results.progress import SeveralAtOnce
from tailstest.results.recorder import attach
from tailstest.results.run_folder import RunFolder
from tailstest.results.terminal import Terminal


def output_of(tmp_path: Path, *, live: bool | None = None) -> str:
    folder, events, stream = RunFolder.create(tmp_path), Events(), io.StringIO()
    terminal = Terminal(folder, stream=stream, live=live)
    with attach(events, folder, Settings(), terminal=terminal):
        Sample(folder, events).whole()
    return stream.getvalue()


def test_plain_lines_tell_each_scenario_once_with_the_trouble_below(tmp_path: Path) -> None:
    lines = output_of(tmp_path).splitlines()
    heads = [line for line in lines if re.match(r"[✓✗!?] ", line)]
    assert [line.split()[1] for line in heads] == [
        "Passed",
        "Failed",
        "Failed",
        "Test",
        "Failed",
        "Incomplete",
    ]
    where = lines.index(next(line for line in lines if "The language can be confirmed" in line))
    assert 'I click "continue"' in lines[where + 1]
    assert "greyed out" in lines[where + 2]
    assert "What to do: select a language" in lines[where + 3]
    picture = lines[where + 4].partition("Screen: ")[2]
    assert Path(picture).is_file()


def test_the_summary_names_counts_report_and_status(tmp_path: Path) -> None:
    text = output_of(tmp_path)
    assert "1 passed, 3 failed, 1 test error, 1 incomplete, 2 not run in " in text
    report = re.search(r"^Report: (.*)$", text, re.M)
    assert report is not None
    assert Path(report[1]).is_file()
    assert text.endswith("Exit status 1: the image under test failed\n")
    assert "problem: features/broken.feature:7" in text


def test_nothing_from_a_guest_controls_the_terminal(tmp_path: Path) -> None:
    text = output_of(tmp_path)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "<script>" in text


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    text = output_of(tmp_path, live=True)
    has_colour = re.search(r"\x1b\[[0-9;]*3[1-6]m", text) is not None
    assert has_colour == (not no_color)
    assert "▶ 1 of 8" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_the_live_line_makes_way_for_a_prompt(tmp_path: Path) -> None:
    folder, stream = RunFolder.create(tmp_path), io.StringIO()
    terminal = Terminal(folder, stream=stream, live=True)
    events = Events()
    events.subscribe(terminal)
    sample = Sample(folder, events)
    sample.opening()
    sample.start("pass", "a scenario", ["one"])
    with terminal.suspended():
        before = stream.getvalue()
        sample.begin("pass", 0, "one")
        assert stream.getvalue() == before
    sample.end("pass", "passed")
    assert "✓ Passed" in stream.getvalue()


def test_another_encoding_shows_escapes(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    events = Events()
    with attach(events, folder, Settings(), terminal=Terminal(folder, stream=stream)):
        Sample(folder, events).whole()
    stream.flush()
    assert b"\\u30ad" in raw.getvalue()


def test_a_reader_that_went_away_does_not_end_the_run(tmp_path: Path) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    folder, events = RunFolder.create(tmp_path), Events()
    with attach(events, folder, Settings(), terminal=Terminal(folder, stream=Gone())) as recorder:
        Sample(folder, events).whole()
    assert recorder.report_file is not None


def flaky_output(tmp_path: Path, *others: Callable[[Sample], None]) -> str:
    folder, events, stream = RunFolder.create(tmp_path), Events(), io.StringIO()
    with attach(events, folder, Settings(), terminal=Terminal(folder, stream=stream)):
        sample = Sample(folder, events)
        for tell in (Sample.flaky, *others):
            tell(sample)
    return stream.getvalue()


def test_a_flaky_scenario_is_counted_as_flaky_and_named_with_its_place(tmp_path: Path) -> None:
    text = flaky_output(tmp_path, Sample.passing, Sample.greyed_out)
    assert "\n1 passed, 1 failed, 1 flaky in " in text
    assert "\nFlaky: It passed and failed on the same image" in text
    listed = [line for line in text.splitlines() if line.startswith(("Failed  ", "Flaky  "))]
    assert [line.split()[0] for line in listed] == ["Failed", "Flaky"]
    assert listed[1] == (
        "Flaky       features/installer/start.feature:16  wobbly light  1 of 5 attempts failed"
        "  suspect: product changed"
    )


def test_a_flaky_scenario_is_named_when_it_is_the_only_one(tmp_path: Path) -> None:
    text = flaky_output(tmp_path)
    assert "\nFlaky       features/installer/start.feature:16  wobbly light  1 of 5 " in text
    assert "\n1 flaky in " in text


def test_an_attempt_that_passes_after_others_says_that_it_is_one_of_several(tmp_path: Path) -> None:
    lines = flaky_output(tmp_path, Sample.passing).splitlines()
    heads = [line.partition("features/")[0].split() for line in lines if line[:1] in "✓✗"]
    assert [(each[1], each[-2:]) for each in heads if "light" in each] == [
        ("Passed", ["wobbly", "light"]),
        ("Failed", ["attempt", "2"]),
        ("Passed", ["attempt", "3"]),
        ("Passed", ["attempt", "4"]),
        ("Passed", ["attempt", "5"]),
    ]
    assert "attempt" not in " ".join(heads[-1]), "another scenario begins anew"


def test_a_scenario_of_several_attempts_has_ended_once(tmp_path: Path) -> None:
    folder, events, several = RunFolder.create(tmp_path), Events(), SeveralAtOnce()
    terminal = Terminal(folder, stream=io.StringIO())
    terminal.follow(several)
    events.subscribe(terminal)
    sample = Sample(folder, events)
    sample.flaky()
    sample.passing()
    assert several.ended == 2
