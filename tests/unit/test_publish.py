"""Badges, the feed and the metrics of a store."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families
from results_sample import HOSTILE
from store_tools import made_run, open_store

from tailstest.cli.main import tailstest
from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.results.forges.forge import State
from tailstest.results.publish.badge import SVG, badge_svg
from tailstest.results.publish.feed import ATOM
from tailstest.results.store.adding import add_run

A = f"{{{ATOM}}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with three nights: all right, one fails, nothing new."""
    with open_store(tmp_path) as store:
        for number, verdict in enumerate(("passed", "failed", "failed")):
            add_run(store, made_run(number, {"a": verdict, "b": "passed"}, image="a"))
    return tmp_path


def publish(folder: Path, *words: str) -> Result:
    result = CliRunner().invoke(
        tailstest,
        ["publish", *words],
        env={"TAILSTEST_STORE": str(folder / "store.sqlite3")},
        standalone_mode=False,
    )
    if result.exception is not None:
        raise result.exception
    return result


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_badge_says_how_it_is_also_to_those_who_do_not_see_it(folder: Path) -> None:
    file = folder / "badge.svg"
    assert publish(folder, "badge", str(file), "--label", "demo").output.endswith(
        "1 failed, 1 passed\n"
    )
    root = ET.parse(file).getroot()
    assert root.tag == f"{{{SVG}}}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "demo: 1 failed, 1 passed"
    assert root.findtext(f"{{{SVG}}}title") == "demo: 1 failed, 1 passed"
    assert [each.text for each in root.iter(f"{{{SVG}}}text")] == ["demo", "✗ 1 failed, 1 passed"]
    publish(folder, "badge", str(file), "run-0")
    assert "tailstest: 2 passed" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", list(State))
def test_a_badge_can_be_read_and_loads_nothing(state: State) -> None:
    text = badge_svg(HOSTILE, HOSTILE, state)
    root = ET.fromstring(text)
    assert {each.tag.rpartition("}")[2] for each in root.iter()} == {"svg", "title", "rect", "text"}
    assert "\x1b" not in text and "\u202e" not in text and "<script" not in text
    assert len(text) < 4_000
    assert not re.search(r"href|url\(|https?://(?!www\.w3\.org/2000/svg)", text)
    for rectangle in root.iter(f"{{{SVG}}}rect"):
        assert 1.05 / (luminance(str(rectangle.get("fill"))) + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ({"a": "passed", "b": "manual"}, "✓"),
        ({"a": ["failed", "passed"]}, "✗"),
        ({"a": "passed", "b": "incomplete"}, "?"),
        ({"a": "passed", "b": "planned"}, "?"),
        ({"a": "skipped"}, "?"),
        ({}, "?"),
    ],
)
def test_only_what_passed_is_green(verdicts: dict[str, str], state: str, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, verdicts, image="a"))
    publish(tmp_path, "badge", str(tmp_path / "b.svg"))
    assert f">{state} " in (tmp_path / "b.svg").read_text(encoding="utf-8")


def test_a_run_that_was_killed_or_had_problems_is_not_green(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"a": "passed"}, is_finished=False))
        add_run(store, made_run(2, {"a": "passed"}, problems=["broken.feature"]))
    for run, sign in (("run-1", "?"), ("run-2", "✗")):
        publish(tmp_path, "badge", str(tmp_path / "b.svg"), run)
        assert f">{sign} 1 passed" in (tmp_path / "b.svg").read_text(encoding="utf-8")


def test_the_feed_has_the_runs_in_which_something_changed(folder: Path) -> None:
    file = folder / "feed.xml"
    link = "https://ci.example/{run}/report.html"
    words = ("feed", str(file), "--title", "Nightly & more", "--link", link)
    assert publish(folder, *words).output.endswith(": 1 run\n")
    root = ET.parse(file).getroot()
    assert root.tag == f"{A}feed"
    assert root.findtext(f"{A}title") == "Nightly & more"
    (entry,) = root.iter(f"{A}entry")
    assert entry.findtext(f"{A}title") == "run-1: 1 newly failing – demo"
    assert entry.find(f"{A}link").attrib == {  # type: ignore[union-attr]
        "rel": "alternate",
        "href": "https://ci.example/run-1/report.html",
    }
    assert "✗ a (features/a.feature:3)" in str(entry.findtext(f"{A}content"))
    first = file.read_bytes()
    publish(folder, *words)
    assert file.read_bytes() == first, "the same store gives the same feed, ids and all"
    publish(folder, *words, "--every")
    entries = list(ET.parse(file).getroot().iter(f"{A}entry"))
    assert len(entries) == 3
    for each in entries:  # RFC 4287, 4.1.2
        assert all(each.findtext(f"{A}{name}") for name in ("id", "title", "updated"))
        assert str(each.findtext(f"{A}id")).startswith("urn:uuid:")
    assert len({each.findtext(f"{A}id") for each in entries}) == 3


def test_names_of_tests_are_text_in_the_feed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {f"a{HOSTILE}": "failed"}, image="a"))
    file = tmp_path / "feed.xml"
    publish(tmp_path, "feed", str(file))
    text = file.read_text(encoding="utf-8")
    root = ET.fromstring(text)
    assert {each.tag for each in root.iter()} <= {
        f"{A}{name}"
        for name in ("feed", "id", "title", "updated", "author", "name", "entry", "content", "link")
    }
    assert "<script" not in text and "\x1b" not in text and "\u202e" not in text


def test_prometheus_reads_the_metrics(folder: Path) -> None:
    with open_store(folder) as store:
        other = made_run(9, {"a": ["failed", "passed"]}, is_finished=False)
        other.environment = {"image": {"name": 'odd "name"\\\n🙂', "sha256": "b" * 64}}
        other.reported_status = 1
        add_run(store, other)
    file = folder / "tailstest.prom"
    publish(folder, "metrics", str(file))
    families = {f.name: f for f in text_string_to_metric_families(file.read_text("utf-8"))}
    assert set(families) == {
        f"tailstest_{name}"
        for name in (
            "scenarios",
            "run_start_timestamp_seconds",
            "run_duration_seconds",
            "run_attempts_seconds",
            "run_exit_status",
            "run_finished",
            "flaky_scenarios",
        )
    }
    counts = {
        (s.labels["image"], s.labels["verdict"]): s.value
        for s in families["tailstest_scenarios"].samples
    }
    assert counts["demo", "failed"] == counts["demo", "passed"] == 1
    assert counts["demo", "flaky"] == 0
    odd = next(image for image, _verdict in counts if image != "demo")
    assert odd.endswith("🙂") and counts[odd, "flaky"] == 1
    finished = {s.labels["image"]: s.value for s in families["tailstest_run_finished"].samples}
    assert finished == {"demo": 1, odd: 0}
    assert families["tailstest_flaky_scenarios"].samples[0].value == 1
    assert families["tailstest_run_duration_seconds"].samples[-1].value == 60


def test_without_its_library_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SetupError, match=r"tailstest\[notify\]"):
        publish(folder, "metrics", str(folder / "x.prom"))


def test_files_that_cannot_be_written_or_read_by_the_collector_are_errors(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"\*\.prom only"):
        publish(folder, "metrics", str(folder / "metrics.txt"))
    for command, name in (("metrics", "x.prom"), ("badge", "x.svg"), ("feed", "x.xml")):
        with pytest.raises(InfrastructureError, match="cannot write"):
            publish(folder, command, str(folder / "gone" / name))
    with pytest.raises(UsageError, match="no address of a page"):
        publish(folder, "feed", str(folder / "f.xml"), "--link", "file:///etc/passwd")
    with pytest.raises(UsageError, match="no run or release"):
        publish(folder, "badge", str(folder / "b.svg"), "nosuchrun")
    left = sorted(each.name for each in folder.iterdir() if not each.name.startswith("store"))
    assert left == []
