from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Noted, RunStarted
from tailstest.results import event_log
from tailstest.results.event_log import MAX_TEXT, EventLog, read_events


def test_every_event_is_on_the_disk_when_the_call_returns(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for number in range(3):
        log(Noted(text=f"line {number}\n \udc80 \x00 ü"))
        assert len((tmp_path / "events.jsonl").read_bytes().splitlines()) == number + 1
    texts = [event["text"] for event in read_events(tmp_path / "events.jsonl").events]
    assert texts == [f"line {number}\n \udc80 \x00 ü" for number in range(3)]


def test_values_that_are_no_json_do_not_end_the_run(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log(RunStarted(run_id="x", command=[], environment={"suite": Path("/suite"), "n": {1: 2}}))
    (event,) = read_events(tmp_path / "events.jsonl").events
    assert event["environment"] == {"suite": "/suite", "n": {"1": 2}}


def test_a_flood_of_text_is_bounded(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log(Noted(text="x" * (4 * MAX_TEXT)))
    assert (tmp_path / "events.jsonl").stat().st_size < 1.1 * MAX_TEXT


def test_the_last_line_of_a_killed_run_may_be_cut(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    log = EventLog(file)
    log(Noted(text="whole"))
    log(Noted(text="cut"))
    whole = file.read_bytes()
    for length in range(len(whole.splitlines()[0]) + 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        content = read_events(file)
        assert [event["text"] for event in content.events] == ["whole"]
        assert content.is_cut
        assert content.damaged == []


def test_damaged_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    good = json.dumps({"event": "Noted", "text": "fine"})
    file.write_text(f"{good}\n\x00\x00\n[]\n{{}}\n\n{'[' * 100_000}\n{good}\n", encoding="utf-8")
    content = read_events(file)
    assert len(content.events) == 2
    assert content.damaged == [2, 3, 4, 6]
    assert not content.is_cut


def test_reading_takes_no_more_memory_than_the_events_need(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with file.open("wb") as log:
        for _ in range(80):
            log.write(b'{"event": "Noted"' + b" " * 100_000 + b"}\n")
    tracemalloc.start()
    content = read_events(file)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(content.events) == 80
    assert peak < 2_000_000


@pytest.mark.parametrize("ending", ["\n", ""])
def test_a_line_too_long_for_an_event_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(event_log, "MAX_LINE", 100)
    file = tmp_path / "events.jsonl"
    good = json.dumps({"event": "Noted", "text": "x" * 70})
    assert len(good) == 100
    long = json.dumps({"event": "Noted", "text": "x" * 1000})
    file.write_text(f"{good}\n{long}\n{good}\n{long}{ending}", encoding="utf-8")
    content = read_events(file)
    assert len(content.events) == 2
    assert (content.damaged, content.is_cut) == ([2, 4], False) if ending else ([2], True)


def test_a_missing_log_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"events\.jsonl"):
        read_events(tmp_path / "events.jsonl")


def test_a_full_disk_raises_once_after_the_reserve_was_released() -> None:
    released = []
    log = EventLog(Path("/dev/full"), on_full=lambda: released.append(True))
    with pytest.raises(InfrastructureError, match="/dev/full"):
        log(Noted(text="one"))
    log(Noted(text="two"))
    assert released == [True]
    assert log.lost == 2
