"""The report in a real browser."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from functools import partial

import cv2
import pytest
from browser_tools import headless_browser
from results_sample import PICTURES, Sample
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tailstest.core.deadline import Deadline, poll
from tailstest.core.events import ArtifactKept, Events
from tailstest.core.settings import Settings
from tailstest.results import report
from tailstest.results.recorder import attach
from tailstest.results.review import Review
from tailstest.results.run_folder import RunFolder
from tailstest.results.video import VideoRecorder

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs the packages chromium and chromium-driver",
    ),
]

PATIENCE = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder, events = RunFolder.create(tmp_path_factory.mktemp("runs")), Events()
    with attach(events, folder, Settings()):
        sample = Sample(folder, events)
        sample.opening()
        sample.passing()
        sample.greyed_out()
        path = folder.evidence.path("video", "machine", ".webm")
        recorder = VideoRecorder(path, size=(720, 400))
        for number, name in enumerate(("grub-menu", "memtest", "ipxe")):
            frame = cv2.imread(str(PICTURES / f"{name}.png"))
            added = partial(recorder.add, frame, float(number))
            assert poll(lambda add=added: add() or None, Deadline.after(PATIENCE))
        assert recorder.close(timeout=PATIENCE).path == path
        events.publish(
            ArtifactKept(kind="video", path=folder.evidence.relative(path), title="Video")
        )
        sample.text_missing()
        sample.undefined()
        sample.hostile()
        sample.host_trouble()
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with headless_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(browser: webdriver.Chrome, run: RunFolder) -> webdriver.Chrome:
    browser.get("about:blank")
    browser.get(run.report_file.as_uri())
    return browser


def complaints(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def scenario(page: webdriver.Chrome, name: str) -> WebElement:
    return page.find_element(
        By.XPATH, f"//details[@data-verdict][summary//bdi[contains(.,'{name}')]]"
    )


def shown_scenarios(page: webdriver.Chrome) -> list[str]:
    return [
        one.get_attribute("data-verdict") or ""
        for one in page.find_elements(By.CSS_SELECTOR, "details[data-verdict]")
        if one.is_displayed()
    ]


def test_the_page_has_no_complaints(page: webdriver.Chrome) -> None:
    assert complaints(page) == []


def test_a_failure_is_visible_at_once(page: webdriver.Chrome) -> None:
    one = scenario(page, "The language can be confirmed")
    assert "it is there, but greyed out" in one.text
    assert "select a language before" in one.text
    assert one.find_element(By.CSS_SELECTOR, "svg .best rect").is_displayed()
    images = one.find_elements(By.CSS_SELECTOR, "fieldset img")
    assert len(images) == 3
    loaded = "return arguments[0].complete && arguments[0].naturalWidth > 0"
    assert all(page.execute_script(loaded, image) for image in images)


def test_all_pictures_load(page: webdriver.Chrome) -> None:
    script = (
        "return [...document.images].filter(i => i.getAttribute('src') && !(i.complete && "
        "i.naturalWidth)).length + document.querySelectorAll('img[data-copy]:not([src])').length"
    )
    assert page.execute_script(script) == 0


def test_hostile_text_does_nothing(page: webdriver.Chrome) -> None:
    assert page.title.startswith("3 of 8 scenarios failed")
    body = page.find_element(By.TAG_NAME, "body").text
    assert '<script>document.title="owned"</script> ]]>' in body
    assert "\\u202egnp.exe" in body
    assert page.execute_script("return document.scripts.length") == 1


def test_a_script_that_got_in_would_not_run(page: webdriver.Chrome) -> None:
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'document.title = \"owned\"';"
        "document.body.append(s)"
    )
    assert "owned" not in page.title
    assert any("Content Security Policy" in line for line in complaints(page))


def play(page: webdriver.Chrome) -> None:
    video = page.find_element(By.TAG_NAME, "video")
    page.execute_script("arguments[0].muted = true; arguments[0].play()", video)
    script = "const v = arguments[0]; return v.readyState >= 2 && v.currentTime > 0 && !v.error"
    WebDriverWait(page, PATIENCE).until(lambda _: page.execute_script(script, video))
    assert page.execute_script("return arguments[0].duration", video) == pytest.approx(2, abs=0.3)


def test_the_video_plays_inside_the_page(page: webdriver.Chrome) -> None:
    source = page.find_element(By.TAG_NAME, "video").get_attribute("src") or ""
    assert source.startswith("data:video/webm")
    play(page)
    assert complaints(page) == []


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_video_too_long_for_the_page_plays_from_its_file(
    browser: webdriver.Chrome, run: RunFolder, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    kept = run.report_file.read_bytes()
    monkeypatch.setattr(report, "VIDEO_INLINE", 10)
    server = None
    try:
        report.build_report(run)
        address = run.report_file.as_uri()
        if scheme == "http":
            handler = partial(QuietHandler, directory=str(run.path))
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}/report.html"
        browser.get(address)
        video = browser.find_element(By.TAG_NAME, "video")
        assert (video.get_attribute("src") or "").endswith(".webm")
        play(browser)
    finally:
        run.report_file.write_bytes(kept)
        if server is not None:
            server.shutdown()
            server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def test_the_filter_works_by_keyboard(page: webdriver.Chrome) -> None:
    everything = shown_scenarios(page)
    assert len(everything) == 8
    for _ in range(30):
        page.switch_to.active_element.send_keys(Keys.TAB)
        if page.switch_to.active_element.get_attribute("name") == "verdict":
            break
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert shown_scenarios(page) == ["failed"] * 3
    assert page.find_element(By.ID, "shown").text == "3 of 8 scenarios shown"
    page.switch_to.active_element.send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys("confirmed")
    assert shown_scenarios(page) == ["failed"]


def test_a_scenario_opens_by_keyboard_and_link(page: webdriver.Chrome, run: RunFolder) -> None:
    one = scenario(page, "The boot menu comes up")
    step = one.find_element(By.CSS_SELECTOR, ".step")
    assert not step.is_displayed()
    one.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert step.is_displayed()
    page.get("about:blank")
    page.get(f"{run.report_file.as_uri()}#s1")
    assert page.find_element(By.CSS_SELECTOR, "#s1 .step").is_displayed()


def test_a_picture_is_enlarged_and_the_next_follows(page: webdriver.Chrome) -> None:
    one = scenario(page, "The boot menu comes up")
    one.find_element(By.TAG_NAME, "summary").click()
    one.find_element(By.CSS_SELECTOR, "a[data-zoom]").send_keys(Keys.ENTER)
    dialog = page.find_element(By.ID, "zoom")
    assert dialog.is_displayed()
    assert "boots from DVD" in dialog.text
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "GNU GRUB" in dialog.text
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    WebDriverWait(page, PATIENCE).until(lambda _: not dialog.is_displayed())


def test_wanted_and_seen_lie_over_each_other(page: webdriver.Chrome) -> None:
    box = page.find_element(By.CSS_SELECTOR, "[data-compare]")
    box.find_element(By.CSS_SELECTOR, "input[value=slide]").send_keys(Keys.SPACE)
    wanted, seen = (
        box.find_element(By.CSS_SELECTOR, f".{name} img") for name in ("wanted", "seen")
    )
    assert wanted.rect["x"] == seen.rect["x"]
    assert wanted.rect["y"] == seen.rect["y"]
    assert box.find_element(By.CSS_SELECTOR, "input[type=range]").is_displayed()


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window(page: webdriver.Chrome, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.execute_script(wide) <= 0
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_review_page_has_no_complaints(browser: webdriver.Chrome, run: RunFolder) -> None:
    browser.get(Review(run, []).write_page().as_uri())
    complaints(browser)
    browser.refresh()
    assert len(browser.find_elements(By.CSS_SELECTOR, "fieldset img")) == 3
    assert complaints(browser) == []
