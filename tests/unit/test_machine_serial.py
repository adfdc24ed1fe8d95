"""The serial console: what was printed since when, and a bound that no guest can break."""

import os
import re

import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError
from tailstest.machine.serial_log import CHUNK, SerialLog


@pytest.fixture
def log(tmp_path):
    made = SerialLog(tmp_path / "serial.log", 10_000)
    yield made
    if made.path.exists():
        made.close()


def printed(log, text):
    with log.path.open("ab", buffering=0) as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def test_it_is_read_as_it_grows(log):
    assert not log.contains("login:")
    printed(log, "booting\r\nlog")
    assert not log.contains("login:")
    printed(log, "in: ")
    assert log.contains("login:")
    assert log.contains(re.compile(r"^log.n: $", re.MULTILINE))
    assert not log.contains(re.compile("Login"))


def test_bytes_that_are_no_text_do_no_harm(log):
    printed(log, b"\xff\xfe\x00 pass\xc3\xa9 \x1b[2J")
    assert log.contains("passé")
    assert "\x1b" not in log.tail()
    assert "passé" in log.tail()


def test_a_guest_that_floods_it_cannot_fill_the_disk(log):
    printed(log, "first words\n")
    for number in range(100):
        printed(log, "x" * 1000 + f"{number}\n")
        log.read_new()
        assert log.path.stat().st_size <= 12_000
    printed(log, "last words\n")
    text = log.text()
    assert text.startswith("first words")
    assert text.endswith("last words\n")
    assert len(text) <= 10_000
    assert log.dropped > 80_000


def test_a_flood_that_nobody_read_for_long_is_counted_to_its_last_byte(log):
    size = 3 * CHUNK
    printed(log, "first words\n" + "x" * size + "Kernel panic - not syncing: late\n")
    with pytest.raises(CheckFailed, match="late"):
        log.check()
    assert log.path.stat().st_size == 0
    assert len(log.text()) + log.dropped == size + 12 + 33


def test_it_is_kept_bounded_while_nobody_looks(log):
    printed(log, "x" * 50_000)
    log.follow()
    assert poll(lambda: True if log.path.stat().st_size == 0 else None, Deadline.after(60))
    assert log.dropped == 40_000


def test_only_what_was_printed_since_the_start_counts(log):
    printed(log, "Kernel panic - not syncing: of the first start\n")
    with pytest.raises(CheckFailed, match="of the first start"):
        log.check()
    log.begin_anew()
    log.check()
    assert not log.contains("first start")
    printed(log, "of the second start\n")
    assert log.contains("second start")
    assert "first start" in log.text(), "the evidence stays whole"


def test_what_came_before_a_restart_counts_until_the_restart_was_waited_for(log):
    printed(log, "login: of the first system\n")
    log.note_restart()
    printed(log, "login: of the second system\n")
    assert log.contains("first system")
    log.begin_at_restart()
    assert not log.contains("first system")
    assert log.contains("second system")


def test_the_start_is_remembered_through_a_flood(log):
    printed(log, "old words ")
    log.begin_anew()
    printed(log, "new words " + "x" * 2_000_000)
    assert not log.contains("old words")
    printed(log, "newest words")
    assert log.contains("newest words")


def test_own_texts_can_mean_failure(log):
    printed(log, "before\r\n[1.0] Out of memory: Killed process 1\r\nafter\r\n")
    log.check()
    log.failure_texts.append("Out of memory")
    with pytest.raises(CheckFailed) as error:
        log.check()
    wanted = "the serial console shows a failure: [1.0] Out of memory: Killed process 1"
    assert error.value.message == wanted


def test_an_empty_console_leaves_no_file_and_a_cut_one_what_is_kept(log, tmp_path):
    assert not SerialLog(tmp_path / "silent.log", 10_000).close()
    assert not (tmp_path / "silent.log").exists()
    printed(log, "first" + "x" * 50_000 + "last")
    assert log.close()
    kept = log.path.read_text()
    assert len(kept) == 10_000
    assert kept.startswith("first")
    assert kept.endswith("last")


def test_a_lost_file_is_the_hosts_trouble(log):
    log.path.unlink()
    with pytest.raises(InfrastructureError, match=re.escape(os.fspath(log.path))):
        log.contains("anything")
    log.note_restart()


def resumed(log, folder):
    again = SerialLog(folder / "again.log", 10_000)
    again.resume(log.text(), log.begin)
    return again


def test_a_saved_console_goes_on_with_its_text_and_its_start(log, tmp_path):
    printed(log, "old words\r\n")
    log.begin_anew()
    printed(log, "new words\r\n")
    again = resumed(log, tmp_path)
    assert again.text() == "old words\r\nnew words\r\n"
    assert not again.contains("old words")
    assert again.contains("new words\r\n")
    printed(again, "words after it\n")
    assert again.contains("words after it")
    assert again.begin == log.begin


def test_a_saved_console_of_bytes_that_are_no_text_keeps_its_start(log, tmp_path):
    printed(log, b"\xff\xfe" * 100 + b"Kernel panic - not syncing: of the first start\n")
    log.begin_anew()
    printed(log, b"\xff the second start")
    again = resumed(log, tmp_path)
    again.check()
    assert again.contains("the second start")
    assert resumed(again, tmp_path).text() == log.text()


def test_a_saved_console_of_a_flood_keeps_its_start(log, tmp_path):
    printed(log, "first " + "x" * 50_000 + " old words ")
    log.begin_anew()
    printed(log, "new words")
    again = resumed(log, tmp_path)
    assert not again.contains("old words")
    assert again.contains("new words")


def test_the_text_since_the_start_begins_at_the_last_one_whoever_caused_it(log):
    printed(log, "first\n")
    assert log.text_since_start() == "first\n"
    log.note_restart()
    printed(log, "second\n")
    assert log.text_since_start() == "second\n"
    log.begin_anew()
    printed(log, "third\n")
    assert log.text_since_start() == "third\n"


def test_a_log_that_goes_on_knows_of_the_restart_before(log, tmp_path):
    printed(log, "before é\n")
    log.note_restart()
    printed(log, "login: ")
    later = SerialLog(tmp_path / "later.log", 1000)
    later.resume(log.text(), log.begin, log.restart)
    assert later.text_since_start() == "login: "
