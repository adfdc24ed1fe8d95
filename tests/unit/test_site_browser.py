"""The site in a real browser: opened from disk and from a server, by keyboard, without script."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from browser_tools import headless_browser
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from site_tools import build, record_two_runs, sample_store, scenario_file

from tailstest.results.site import matrix

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs the packages chromium and chromium-driver",
    ),
]

#: The lowest contrast of text for everybody (https://www.w3.org/TR/WCAG22/#contrast-minimum).
CONTRAST = 4.5
#: Returns the texts of a page whose contrast is too low, each with it.
LOW_CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (colour) => colour.slice(0, 3).map((each) => {
  const c = each / 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
}).reduce((sum, each, n) => sum + each * [.2126, .7152, .0722][n], 0);
const behind = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = rgba(getComputedStyle(one).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
};
const found = [];
let seen = 0;
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim()) continue;
  if (element.closest('script, title, option, [hidden]')) continue;
  if (!element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const a = light(rgba(element.closest('svg') ? style.fill : style.color));
  const b = light(behind(element));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  seen += 1;
  if (ratio < arguments[0]) found.push(`${texts.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
}
return [seen, [...new Set(found)]];
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    sample_store(folder)
    record_two_runs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix, "COLUMNS", 5)  # of six runs
        build(folder, folders=[folder])
    return folder / "site"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with headless_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def pages(site: Path) -> list[str]:
    """Return one page of each kind, two of those that differ most."""
    names = ["index.html", "trends.html", "list/runs-1.html", "list/scenarios-1.html"]
    names += ["matrix/run-1-1.html", "matrix/image-1-1.html"]
    names += [f"run/{next((site / 'run').iterdir()).name}"]
    for name in ("breaks", "shaky", "The language can be confirmed"):
        names.append(scenario_file(site, name).relative_to(site).as_posix())
    return names


def go(browser: webdriver.Chrome, address: str) -> None:
    browser.get("about:blank")
    browser.get(address)


def complaints(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def shown_rows(browser: webdriver.Chrome) -> list[str]:
    rows = browser.find_elements(By.CSS_SELECTOR, "tr[data-v]")
    return [row.find_element(By.CSS_SELECTOR, "th bdi").text for row in rows if row.is_displayed()]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_pages_have_their_style_and_pictures_and_no_complaints(
    browser: webdriver.Chrome, site: Path, scheme: str
) -> None:
    address, server = site.parent.as_uri(), None
    if scheme == "http":
        handler = partial(QuietHandler, directory=str(site.parent))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
    try:
        for name in pages(site):
            go(browser, f"{address}/site/{name}")
            # A browser asks every server for an icon, whatever a page says.
            assert [each for each in complaints(browser) if "favicon" not in each] == [], name
            margin = "return getComputedStyle(document.body).marginTop"
            assert browser.execute_script(margin) == "0px", name
        pictures = browser.find_elements(By.CSS_SELECTOR, "td img")
        assert len(pictures) == 4
        for picture in pictures:
            browser.execute_script("arguments[0].scrollIntoView()", picture)
            loaded = "return arguments[0].decode().then(() => arguments[0].naturalWidth)"
            assert browser.execute_script(loaded, picture) > 0
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(
    browser: webdriver.Chrome, site: Path, scheme: str
) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        for name in pages(site):
            go(browser, (site / name).as_uri())
            browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = 1)")
            seen, low = browser.execute_script(LOW_CONTRAST, CONTRAST)
            assert seen > 30, name
            assert low == [], name
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window(
    browser: webdriver.Chrome, site: Path, width: int
) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for name in pages(site):
            go(browser, (site / name).as_uri())
            browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = 1)")
            wide = "const d = document.documentElement; return d.scrollWidth - d.clientWidth"
            assert browser.execute_script(wide) <= 0, name
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_keyboard_skips_to_the_content_and_sees_where_it_is(
    browser: webdriver.Chrome, site: Path
) -> None:
    go(browser, (site / "matrix" / "run-1-1.html").as_uri())
    browser.switch_to.active_element.send_keys(Keys.TAB)
    skip = browser.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert skip.rect["x"] >= 0
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"
    skip.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "main"
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        cell = browser.execute_script("return document.activeElement.closest('td')?.className")
        if cell:
            break
    assert cell.startswith("v-")
    assert cell not in ("v-passed", "v-skipped")  # what passed is no stop
    assert browser.execute_script(outline) == "solid"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.find_element(By.ID, "history").is_displayed()
    assert browser.execute_script("return document.querySelector('tr:target') !== null")


def test_the_filter_works_by_keyboard_and_stays(browser: webdriver.Chrome, site: Path) -> None:
    address = (site / "matrix" / "run-1-1.html").as_uri()
    go(browser, address)
    everything = shown_rows(browser)
    assert "breaks" in everything
    verdict = browser.find_element(By.NAME, "verdict")
    verdict.send_keys("failed")
    assert set(shown_rows(browser)) == {"breaks", "The language can be confirmed"}
    verdict.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.SPACE)  # in any of these columns
    assert set(shown_rows(browser)) == {"breaks", "The language can be confirmed"}
    text = browser.find_element(By.NAME, "text")
    text.send_keys("BREAK")
    assert shown_rows(browser) == ["breaks"]
    said = browser.find_element(By.ID, "count").text
    assert said == f"1 of {len(everything)} scenarios shown"
    kept = browser.current_url
    assert kept.endswith("#verdict=failed&text=break&ever=1")
    go(browser, kept)
    assert shown_rows(browser) == ["breaks"]
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").send_keys(Keys.ENTER)
    assert shown_rows(browser) == everything
    tag = browser.find_element(By.NAME, "tag")
    tag.send_keys("slow")
    assert shown_rows(browser) == ["good"]
    assert complaints(browser) == []


def test_what_an_address_asks_for_and_nobody_has_shows_everything(
    browser: webdriver.Chrome, site: Path
) -> None:
    go(browser, (site / "list" / "scenarios-1.html").as_uri())
    everything = shown_rows(browser)
    go(browser, (site / "list" / "scenarios-1.html").as_uri() + "#tag=gone&verdict=%3Cb%3E")
    assert shown_rows(browser) == everything


def test_everything_is_there_without_javascript(browser: webdriver.Chrome, site: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        for name in ("matrix/run-1-1.html", "list/scenarios-1.html"):
            go(browser, (site / name).as_uri() + "#verdict=failed")
            assert not browser.find_element(By.ID, "filter").is_displayed()
            rows = browser.find_elements(By.CSS_SELECTOR, "tr[data-v]")
            assert len(rows) >= 9
            assert all(row.is_displayed() for row in rows)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_script_that_got_in_would_not_run(browser: webdriver.Chrome, site: Path) -> None:
    for name in ("index.html", "matrix/run-1-1.html"):
        go(browser, (site / name).as_uri())
        browser.execute_script(
            "const s = document.createElement('script'); s.textContent = 'document.title=\"x\"';"
            "document.body.append(s)"
        )
        assert browser.title != "x"
        assert any("Content Security Policy" in line for line in complaints(browser))
