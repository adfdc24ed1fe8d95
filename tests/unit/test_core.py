"""Deadlines, settings, names, text and verdicts."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailstest.core.deadline import Deadline, pause, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.geometry import Region
from tailstest.core.paths import MAX_STEM_BYTES, cache_folder, safe_stem
from tailstest.core.settings import Settings, load_settings
from tailstest.core.text import printable, shortened
from tailstest.core.verdict import Verdict, exit_status, verdict_of


def test_polling_looks_once_more_at_the_deadline():
    looks = []
    assert poll(lambda: looks.append(1), Deadline.after(0)) is None
    assert len(looks) == 1
    late = Deadline(0.05, time.monotonic())
    assert poll(lambda: "yes" if late.expired else None, late, interval=0.01) == "yes"


def test_what_a_long_look_waits_for_gets_a_rest(monkeypatch):
    pauses, looks = [], iter([None, "yes"])
    monkeypatch.setattr("tailstest.core.deadline.pause", pauses.append)

    def look():
        pause(0.03)
        return next(looks)

    assert poll(look, Deadline.after(60), interval=0.001, rest=2.0) == "yes"
    assert len(pauses) == 1
    assert pauses[0] >= 0.06


def test_a_watch_ends_polling_at_once():
    def watch():
        raise CheckFailed("crashed")

    deadline = Deadline.after(600)
    with pytest.raises(CheckFailed, match="crashed"):
        poll(lambda: None, deadline, watches=[watch])
    assert deadline.remaining > 500


def test_deadlines_are_stretched_by_the_hosts_slowness():
    assert Deadline.after(10, scale=3).seconds == 30


@pytest.mark.parametrize(
    ("content", "environment", "named"),
    [
        ("videoo = 'never'", {}, "videoo"),
        ("video = 'sometimes'", {}, "video"),
        ("key_hold_ms = 0", {}, "key_hold_ms"),
        ("video = ", {}, "not valid TOML"),
        ("", {"TAILSTEST_DEFAULT_DEADLINE": "soon"}, "TAILSTEST_DEFAULT_DEADLINE"),
        ("", {"TAILSTEST_VIDOE": "never"}, "TAILSTEST_VIDOE"),
    ],
)
def test_wrong_settings_name_where_they_are(tmp_path, content, environment, named):
    (tmp_path / "tailstest.toml").write_text(content)
    with pytest.raises(UsageError) as error:
        load_settings(tmp_path, environment=environment)
    assert named in str(error.value)


def test_variables_win_over_the_suites_file(tmp_path):
    (tmp_path / "tailstest.toml").write_text("default_deadline = 5\nkeyboard_layout = 'de'\n")
    settings = load_settings(tmp_path, environment={"TAILSTEST_DEFAULT_DEADLINE": "7"})
    assert (settings.default_deadline, settings.keyboard_layout) == (7, "de")
    assert load_settings(environment={}) == Settings()


def test_a_private_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    with pytest.raises(UsageError, match="belongs to another user"):
        cache_folder()


@given(st.text())
def test_any_text_becomes_a_portable_file_name(text):
    stem = safe_stem(text)
    assert stem
    assert len(stem.encode()) <= MAX_STEM_BYTES
    assert stem not in {".", ".."}
    assert not set(stem) & set('/\\:*?"<>| \n\0')


@given(st.text(), st.text())
def test_different_texts_have_different_file_names(one, other):
    assert (safe_stem(one) == safe_stem(other)) == (one == other)


@given(st.text())
def test_printable_text_is_valid_in_xml_and_on_a_terminal(text):
    shown = printable(text)
    assert all(char in "\t\n" or ord(char) >= 0x20 for char in shown)
    assert "\x7f" not in shown
    assert "\x1b" not in shown


def test_text_that_turns_the_direction_of_writing_is_made_visible():
    assert printable("a\u202eb\x00") == r"a\u202eb\x00"


def test_shortened_text_says_what_is_left_out():
    text = shortened("a" * 500 + "b" * 500, 100, where="log.txt")
    assert text.startswith("a" * 50)
    assert text.endswith("b" * 50)
    assert "900 characters left out; all of it: log.txt" in text
    assert shortened("short", 100) == "short"


@pytest.mark.parametrize("limit", [20, 100, 201, 400])
def test_a_text_of_one_line_stays_one_when_it_is_shortened(limit):
    text = shortened("Given the configuration of " + "the lab's Tor network " * 50, limit)
    assert "\n" not in text
    assert len(text) < limit + 50
    assert text.startswith("Given the ")
    assert text.rstrip().endswith("network")


def test_lines_that_are_shortened_get_a_line_for_what_is_left_out():
    text = shortened("one\n" * 50 + "two\n" * 50, 40)
    assert "\n[... 360 characters left out ...]\n" in text


def test_evidence_never_hands_out_a_name_twice(tmp_path):
    folder = EvidenceFolder(tmp_path)
    paths = {folder.path("frames", "../../etc/passwd", ".png") for _ in range(20)}
    assert len(paths) == 20
    assert all(path.parent == tmp_path / "frames" for path in paths)


def test_evidence_that_cannot_be_written_is_the_hosts_trouble(tmp_path):
    (tmp_path / "frames").write_text("a file is in the way")
    with pytest.raises(InfrastructureError):
        EvidenceFolder(tmp_path / "frames").path("logs", "x", ".log")


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        (["passed"], 0),
        (["passed", "skipped"], 0),
        (["skipped"], 2),
        ([], 2),
        (["passed", "not run"], 3),
        (["incomplete", "errored"], 2),
        (["failed", "errored", "incomplete"], 1),
        (["passed", "flaky"], 1),
        (["flaky", "errored", "incomplete"], 1),
    ],
)
def test_the_exit_status_is_a_function_of_the_verdicts(verdicts, status):
    assert exit_status(map(Verdict, verdicts)) == status


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (CheckFailed("x"), "failed"),
        (AssertionError(), "failed"),
        (UsageError("x"), "errored"),
        (KeyError("x"), "errored"),
        (InfrastructureError("x"), "incomplete"),
        (OSError(28, "No space left on device"), "incomplete"),
        (KeyboardInterrupt(), "incomplete"),
    ],
)
def test_the_kind_of_error_says_whose_trouble_it_is(error, verdict):
    assert verdict_of(error) == verdict


def test_regions_clip_to_nothing_outside():
    outer = Region(0, 0, 100, 100)
    assert Region(90, 90, 20, 20).clipped(outer) == Region(90, 90, 10, 10)
    gone = Region(200, 200, 5, 5).clipped(outer)
    assert (gone.width, gone.height) == (0, 0)
    assert outer.contains(Region(0, 0, 100, 100))
    assert not outer.contains(Region(1, 0, 100, 100))
