from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from lxml import html
from results_sample import HOSTILE, Sample

from tailstest.core.events import Events, FrameKept
from tailstest.core.settings import Settings
from tailstest.results.look_view import LookView
from tailstest.results.pictures import BUDGET, Pictures, difference_picture
from tailstest.results.recorder import attach
from tailstest.results.report import build_report, render_report
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import LookRecord


def told(tmp_path: Path) -> RunFolder:
    folder, events = RunFolder.create(tmp_path), Events()
    with attach(events, folder, Settings()):
        Sample(folder, events).whole()
    return folder


def page_of(folder: RunFolder) -> html.HtmlElement:
    return html.fromstring(folder.report_file.read_text(encoding="utf-8"))


def text_of(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def scenario(page: html.HtmlElement, name: str) -> html.HtmlElement:
    (found,) = [
        one
        for one in page.xpath("//details[@data-verdict]")
        if name in text_of(one.find("summary"))
    ]
    return found


def test_a_failure_says_what_was_wanted_seen_and_what_to_do(tmp_path: Path) -> None:
    one = scenario(page_of(told(tmp_path)), "The language can be confirmed")
    assert one.get("open") is not None
    text = text_of(one)
    said = {text_of(dt): text_of(dt.getnext()) for dt in one.iter("dt")}
    assert said["Expected"] == 'Then I click "continue"'
    assert "it is there, but greyed out" in said["Seen"]
    assert said["What to do"].startswith("select a language before")
    rows = [[text_of(cell) for cell in row.iter("td")] for row in one.xpath(".//tbody/tr")]
    contrast = ["area 1", "contrast (1 is equal)", "0.350", "at least 0.8", "too low: greyed out"]
    assert contrast in rows
    assert ["area 1", "similarity of shape", "0.992", "at least 0.9", "good"] in rows
    brightness = ["area 1", "change of brightness", "61.000", "at most 24", "too much: greyed out"]
    assert brightness in rows
    assert "Linux version 6.1" in text
    assert "Product: the image did not do" in text
    boxes = [(box.get("x"), box.get("y")) for box in one.iter("rect")]
    assert boxes == [("880", "700"), ("908", "724"), ("912", "728"), ("940", "734")]
    assert len(one.xpath(".//fieldset//figure//img")) == 3


def test_text_that_was_read_is_listed(tmp_path: Path) -> None:
    one = scenario(page_of(told(tmp_path)), "The first question is asked")
    assert "The nearest text on the screen reads “Select a language”" in text_of(one)
    assert [item.text.strip() for item in one.xpath(".//ul[@class='words']/li")] == [
        "Select a language",
        "Bulgarian",
        "Български",
    ]


def test_every_scenario_problem_and_exclusion_is_there(tmp_path: Path) -> None:
    page = page_of(told(tmp_path))
    verdicts = [one.get("data-verdict") for one in page.xpath("//details[@data-verdict]")]
    assert sorted(verdicts) == sorted(
        ["passed", *["failed"] * 3, "errored", "incomplete", *["not-run"] * 2]
    )
    text = text_of(page)
    assert "features/broken.feature:7: a step stands before any scenario" in text
    assert "tag @wifi: this host has no radio" in text
    assert "/dev/kvm opens, but the probe program did not end within 3 s" in text
    assert "4be1" * 16 in text
    assert "Exit status 1" in text
    for words in ("Product:", "Test:", "Infrastructure:"):
        assert words in text


def test_nothing_is_loaded_from_outside_and_nothing_runs_but_our_script(tmp_path: Path) -> None:
    folder = told(tmp_path)
    page = page_of(folder)
    assert [one.get("src") for one in page.iter("script")] == [None]
    assert not list(page.iter("link", "iframe", "object", "embed", "base"))
    assert all((one.get("src") or "data:").startswith("data:") for one in page.iter("img"))
    assert not [one for one in page.iter() if any(name.startswith("on") for name in one.attrib)]
    assert not page.xpath("//*[@style]")
    for link in page.xpath("//a/@href"):
        assert link.startswith("#") or (folder.path / link).is_file(), link
    (policy,) = page.xpath("//meta[@http-equiv]/@content")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_hostile_text_is_shown_and_inert(tmp_path: Path) -> None:
    folder = told(tmp_path)
    source = folder.report_file.read_text(encoding="utf-8")
    assert HOSTILE.startswith("<script>document.title")
    assert "<script>document.title" not in source
    assert source.count("</script>") == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", source)
    assert "/etc/passwd" not in "".join(page_of(folder).xpath("//@href|//@src"))


def test_the_report_is_private(tmp_path: Path) -> None:
    assert stat.S_IMODE(told(tmp_path).report_file.stat().st_mode) == 0o600


def test_a_picture_shown_twice_is_carried_once(tmp_path: Path) -> None:
    page = page_of(told(tmp_path))
    sources = [image.get("src") for image in page.xpath("//a[@data-zoom]/img[@src]")]
    copies = page.xpath("//img/@data-copy")
    assert copies
    assert len(set(sources)) == len(sources)
    for name in copies:
        assert page.get_element_by_id(name).get("src")


def test_without_room_for_pictures_there_are_links(tmp_path: Path) -> None:
    folder = told(tmp_path)
    source = render_report(load_run(folder), folder, picture_budget=0)
    assert "data:image" not in source
    assert 'href="frames/' in source


def test_pictures_that_are_gone_or_broken_are_survived(tmp_path: Path) -> None:
    folder = told(tmp_path)
    for number, file in enumerate(sorted((folder.path / "frames").iterdir())):
        if number % 3 == 0:
            file.unlink()
        elif number % 3 == 1:
            file.write_bytes(file.read_bytes()[:100])
        else:
            file.write_bytes(b"GIF89a")
    assert "The language can be confirmed" in build_report(folder).read_text()


def test_differences_are_red_and_the_rest_is_pale() -> None:
    reference = np.full((10, 20, 3), 200, np.uint8)
    candidate = reference.copy()
    candidate[2:4, 5:9] = (200, 200, 0)
    data = np.frombuffer(difference_picture(reference, candidate), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    blue, _, red = (int(value) for value in picture[3, 6])
    assert red > 200
    assert blue < 60
    assert picture[8, 15].min() > 150
    smaller = difference_picture(reference[:5, :5], candidate)
    picture = cv2.imdecode(np.frombuffer(smaller, np.uint8), cv2.IMREAD_COLOR)
    assert picture[8, 15, 0] < 60


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"areas": [3, None, {}], "searched": "x", "words": 3, "outcome": 4},
        {"searched": [1, 2, 3], "areas": [{"place": [float("inf")] * 4}]},
        {"searched": [[0, 0, 5, 5], {"x": 1, "y": 2, "width": 3, "height": 4}]},
        {"areas": [{"scores": {"a": {"score": "x"}, "b": [1]}}], "words": [None, {}, "w"]},
    ],
)
def test_looks_of_any_form_are_survived(look: dict[str, object]) -> None:
    view = LookView(LookRecord("reference", ["x"], False, look, {}, 0.0))
    assert isinstance(view.boxes, list)
    assert isinstance(view.scores, list)
    assert isinstance(view.words, list)
    assert isinstance(view.seen + view.advice + view.title, str)
    assert isinstance(view.facts, list)


def test_a_long_run_gives_a_bounded_page_in_bounded_time(tmp_path: Path) -> None:
    """40 scenarios x 8 steps with a new large picture each; the bound is for a loaded host."""
    folder, events = RunFolder.create(tmp_path), Events()
    with attach(events, folder, Settings()) as recorder:
        sample = Sample(folder, events)
        sample.opening()
        noise = np.random.default_rng(7)
        for number in range(40):
            name = f"long{number}"
            sample.start(name, f"Scenario {number}", [f"step {n}" for n in range(8)])
            for index in range(8):
                sample.begin(name, index, f"step {index}")
                pixels = noise.integers(0, 256, (96, 128, 3), np.uint8)
                path = sample.picture("frames", "step", cv2.resize(pixels, (512, 384)))
                sample.tell(FrameKept, path=path, reason="step", width=512, height=384)
                sample.step(name, index, f"step {index}")
            sample.end(name, "passed")
        began = time.monotonic()
    assert recorder.report_file is not None
    assert recorder.report_file.stat().st_size < 1.4 * BUDGET
    assert time.monotonic() - began < 60


def test_the_budget_goes_to_failures_first(tmp_path: Path) -> None:
    folder = told(tmp_path)
    frames = [f"frames/{file.name}" for file in sorted((folder.path / "frames").iterdir())]
    pictures = Pictures(folder, budget=40_000)
    pictures.prepare(full=frames[-1:], thumbs=frames[:-1])
    last = pictures.full(frames[-1])
    assert last is not None
    assert last.src


@pytest.mark.parametrize(
    "log", [b"", b'{"event": "PlanMade", "problems": ["a.feature:1: bad"]}', b"{"]
)
def test_a_run_without_scenarios_is_never_green(tmp_path: Path, log: bytes) -> None:
    folder = RunFolder.create(tmp_path)
    folder.events_file.write_bytes(log)
    page = html.fromstring(build_report(folder).read_text())
    assert "No scenario ran" in text_of(page)
    assert "Exit status 2" in text_of(page)
    assert "1970" not in text_of(page)
    assert page.xpath("//header[contains(@class, 'v-errored')]")


def test_names_in_any_script_stay_as_they_are_in_the_page(tmp_path: Path) -> None:
    folder, events = RunFolder.create(tmp_path), Events()
    names = ["Démarrage", "キー", "Přihlášení", "boot 🙂", "boot 🙃", ""]
    with attach(events, folder, Settings()):
        sample = Sample(folder, events)
        for number, name in enumerate(names):
            sample.start(str(number), name, [])
            sample.end(str(number), "passed")
    page = page_of(folder)
    shown = [bdi.text for bdi in page.xpath("//details[@data-verdict]/summary//bdi")]
    assert shown == [*names[:-1], "(unnamed scenario)"]


def flaky_page(tmp_path: Path, *others: Callable[[Sample], None]) -> html.HtmlElement:
    folder, events = RunFolder.create(tmp_path), Events()
    with attach(events, folder, Settings()):
        sample = Sample(folder, events)
        for tell in (*others, Sample.flaky, Sample.passing):
            tell(sample)
    return page_of(folder)


def test_a_flaky_scenario_is_counted_as_flaky_and_not_as_passed(tmp_path: Path) -> None:
    page = flaky_page(tmp_path)
    (head,) = page.xpath("//header")
    assert head.get("class") == "top v-flaky"
    text = text_of(head)
    assert "~ 1 of 2 scenarios flaky: passed and failed on this image" in text
    assert "Exit status 1" in text
    labels = [text_of(one) for one in page.xpath("//form[@id='filter']//label")]
    assert labels == ["All 2", "✓Passed 1", "~Flaky 1", "Find"]
    assert page.xpath("//form[@id='filter']//input[@value='flaky']/following::span/@class")[0] == (
        "v-flaky"
    )
    (tally,) = page.xpath("//h2/span[@class='tally']")
    assert text_of(tally) == "1 passed1 flaky"
    one = scenario(page, "wobbly light")
    assert one.get("open") is not None
    assert (one.get("data-verdict"), one.get("class")) == ("flaky", "scenario v-flaky")
    assert text_of(one.find("summary")).startswith("~Flaky wobbly light 1 of 5 attempts failed")
    assert "Attempt 1 ✓Passed" in text_of(one)
    assert "Attempt 2 ✗Failed" in text_of(one)


def test_flaky_comes_behind_what_failed_and_before_trouble_of_the_host(tmp_path: Path) -> None:
    page = flaky_page(tmp_path, Sample.host_trouble, Sample.greyed_out)
    assert page.xpath("//header")[0].get("class") == "top v-failed"
    assert "1 of 4 scenarios failed Also: 1 flaky, 1 incomplete." in text_of(page)
    first = page.xpath("//section[@class='first']//li")
    assert [text_of(one.find("a")).split()[0][1:] for one in first] == [
        "Failed",
        "Flaky",
        "Incomplete",
    ]
    assert text_of(first[1].find("p")) == "1 of 5 attempts failed: the light is off"


def test_each_verdict_that_says_something_has_a_colour_of_its_own(tmp_path: Path) -> None:
    (style,) = flaky_page(tmp_path).xpath("//style/text()")
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", each))
        for each in style.split("@media", 2)[:2]
    )
    for colours in (light, dark):
        told = [colours[each] for each in ("passed", "failed", "errored", "flaky", "incomplete")]
        assert len(set(told)) == 5
    assert ".v-flaky { --v: var(--flaky); }" in style
