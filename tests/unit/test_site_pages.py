"""The pages of a site, as files: their form, what they say, and how they come into place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from lxml import html
from results_sample import HOSTILE
from site_tools import (
    barriers,
    build,
    page_of,
    parsed,
    sample_store,
    table,
    text_of,
    tree_of,
    troubles,
)
from store_tools import made_run, open_store

from tailstest.cli.main import tailstest
from tailstest.core.errors import UsageError
from tailstest.results.site import matrix, summary_pages
from tailstest.results.store.adding import add_run


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    sample_store(folder)
    build(folder)
    return folder / "site"


def test_every_page_is_well_formed_and_every_link_has_its_target(site: Path) -> None:
    assert troubles(site) == []


def test_nothing_stops_a_screen_reader_or_the_keyboard(site: Path) -> None:
    assert barriers(site) == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        source = page.read_text(encoding="utf-8")
        (policy,) = html.fromstring(source).xpath(
            "//meta[@http-equiv='Content-Security-Policy']/@content"
        )
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "*" not in policy
        assert "http:" not in source
        assert "https:" not in source
    style = (site / "style.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style


def test_pages_with_a_filter_allow_their_script_alone(site: Path) -> None:
    with_script = [page for page in site.rglob("*.html") if "script" in parsed(page).elements]
    assert {page.parent.name for page in with_script} == {"matrix", "list"}
    for page in site.rglob("*.html"):
        allowed = "script-src 'none'" not in page.read_text(encoding="utf-8").replace("&#39;", "'")
        assert allowed == (page in with_script)


def test_the_first_page_says_what_is_red_and_since_when(site: Path) -> None:
    tree = tree_of(site / "index.html")
    assert text_of(tree.find(".//h1")) == "✗ 1 scenario red now"
    (row,) = table(tree, "red")
    assert row[0] == "✗failed product product changed"
    assert row[1] == "breaks not seen"
    runs = [cell[0] for cell in table(tree, "runs")]
    assert row[2].startswith(runs[2])  # the second oldest of four
    assert row[3].startswith(runs[3])
    assert row[4] == "3"


def test_the_first_page_has_the_colour_of_what_is_red_also_if_the_newest_run_is_green(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path)
    add_run(store, made_run(1, {"a": "failed", "b": "passed"}))
    add_run(store, made_run(2, {"b": "passed"}))
    store.close()
    build(tmp_path)
    (top,) = tree_of(tmp_path / "site" / "index.html").xpath("//div[h1 or div/h1]/@class")[:1]
    assert "v-failed" in top.split()


def test_the_runs_have_counts_image_and_state(site: Path) -> None:
    tree = tree_of(site / "list" / "runs-1.html")
    heads = [text_of(head) for head in tree.xpath("//thead//th")]
    rows = [dict(zip(heads, row, strict=True)) for row in table(tree, "runs")]
    assert [row["State"] for row in rows] == [
        "✗1 red, none new",
        "✗1 red, none new",
        "✗1 red, 1 new",
        "☞green, 1 to do by hand",
    ]
    newest = rows[0]
    assert (newest["✓ passed"], newest["✗ failed"], newest["? incomplete"]) == ("3", "1", "1")
    assert (newest["○ not run"], newest["~ flaky"], rows[1]["~ flaky"]) == ("1", "0", "1")
    assert newest["Image"] == "demo bbbbbbbb"
    assert rows[3]["k known"] == "1"


def test_the_matrix_shows_verdicts_by_colour_sign_and_word(site: Path) -> None:
    tree = tree_of(site / "matrix" / "run-1-1.html")
    rows = {row[0]: row[1:] for row in table(tree, "table") if len(row) > 1}
    assert rows["breaks"] == ["✗ failed", "✗ failed", "✗ failed", "✓ passed"]
    assert rows["shaky"] == ["✓ passed", "~ flaky", "", ""]
    assert rows["excused"] == ["", "", "k known", "k known"]
    assert rows["late"] == ["○ not run", "", "", ""]
    assert rows["left"] == ["» skipped"] * 4
    (cell,) = tree.xpath("//tr[th/a='shaky' or th//bdi='shaky']/td[2]")
    assert cell.get("class") == "v-flaky"
    (link,) = cell.iter("a")
    assert "#r3" in link.get("href")


def test_the_matrix_by_image_judges_all_attempts_on_an_image(site: Path) -> None:
    tree = tree_of(site / "matrix" / "image-1-1.html")
    rows = {row[0]: row[1:] for row in table(tree, "table") if len(row) > 1}
    assert rows["breaks"] == ["✗ failed", "~ flaky"]
    assert rows["shaky"] == ["~ flaky", ""]
    assert rows["good"] == ["✓ passed", "✓ passed"]


def test_a_pass_on_another_machine_makes_no_flake_of_an_image(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"x": "failed"}, image="a", machines={"x": ["uefi usb"]}))
        add_run(store, made_run(2, {"x": "passed"}, image="a", machines={"x": ["bios dvd"]}))
    build(tmp_path)
    rows = table(tree_of(tmp_path / "site" / "matrix" / "image-1-1.html"), "table")
    assert rows[-1] == ["x", "✗ failed"]


def test_a_scenario_has_its_history_with_causes(site: Path) -> None:
    tree = page_of(site, "breaks")
    rows = table(tree, "history")
    assert [row[1] for row in rows] == ["✗failed"] * 3 + ["✓passed"]
    assert rows[0][3] == "product product changed not seen"
    assert "3 of 4 runs" in text_of(tree.find(".//dl"))
    shaky = table(page_of(site, "shaky"), "history")
    assert [row[1] for row in shaky] == ["✓passed", "✗failed in all: ~flaky", "✓passed"]
    assert "attempt 2, 2 of 2" in shaky[2][0]


def test_plots_have_their_figures_beside_them(site: Path) -> None:
    tree = page_of(site, "shaky")
    plots = tree.xpath("//svg[@role='img']")
    assert len(plots) == 2
    for plot in plots:
        (title,) = tree.xpath(f"//*[@id='{plot.get('aria-labelledby')}']")
        assert title.text.endswith("the table below has the figures")
    figures = [table[-1] for table in tree.xpath("//table[contains(@class, 'small')]/tbody")]
    assert text_of(figures[1]).endswith("33.3%")
    names = [text_of(each) for each in tree.xpath("//svg//text[@class='name']")]
    assert names == ["runs, the oldest first", "duration", "runs, the oldest first", "flake rate"]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = {HOSTILE: ["failed", "passed"], "שלום עולם": "failed", "日本語 ' \"><b>": "passed"}
    with open_store(tmp_path) as store:
        for number in (1, 2):
            run = made_run(number, names, image="a", tags={HOSTILE: ['"><script>', "ü"]})
            run.scenarios[0].feature = run.scenarios[0].attempts[0].error = HOSTILE
            run.scenarios[0].location = f"features/{HOSTILE}.feature:3"
            run.environment = {
                "image": {"name": HOSTILE, "sha256": "a" * 64},
                "hostname": HOSTILE,
                "suite_commit": HOSTILE,
                "product_commit": HOSTILE,
            }
            run.problems = [HOSTILE]
            run.run_id += HOSTILE
            add_run(store, run)
    build(tmp_path)
    site = tmp_path / "site"
    assert troubles(site) == []
    for page in site.rglob("*.html"):
        source, parser = page.read_text(encoding="utf-8"), parsed(page)
        assert "b" not in parser.elements
        assert parser.elements.count("script") == (
            page.parent.name in ("matrix", "list") and "runs-" not in page.name
        )
        assert not set(source) & {"\x1b", "\x00", "\x07", "\u202e"}
        assert page.name.isascii()
    assert page_of(site, "שלום עולם").xpath("//h1/bdi")
    hostile = page_of(site, "日本語 ' \"><b>")
    assert hostile.xpath("//title")[0].text.startswith("日本語 ' \"><b>")


def test_windows_and_parts_keep_pages_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "COLUMNS", 3)
    monkeypatch.setattr(matrix, "SCENARIOS", 4)
    monkeypatch.setattr(summary_pages, "RUNS", 5)
    monkeypatch.setattr(summary_pages, "SCENARIOS", 4)
    with open_store(tmp_path) as store:
        for number in range(8):
            names = {f"{name} {n}": "passed" for name in "ab" for n in range(5)}
            add_run(store, made_run(number, names | {"a 2": "failed"}, image="abcdefgh"[number]))
    build(tmp_path)
    site = tmp_path / "site"
    assert troubles(site) == []
    assert len(list((site / "matrix").iterdir())) == 2 * 3 * 3
    names = [
        text_of(row)
        for part in (1, 2, 3)
        for row in tree_of(site / "matrix" / f"run-2-{part}.html").xpath("//tr[@data-v]/th")
    ]
    assert sorted(names) == sorted({f"{name} {n}" for name in "ab" for n in range(5)})
    assert len(list((site / "list").iterdir())) == 2 + 3


def test_a_site_of_runs_without_image_or_scenarios(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {}))
    report = build(tmp_path)
    assert (report.scenarios, report.runs) == (0, 1)
    assert troubles(tmp_path / "site") == []
    assert "nothing ran" in text_of(tree_of(tmp_path / "site" / "list" / "runs-1.html"))


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no runs"):
        build(tmp_path)


def test_the_command_writes_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample_store(tmp_path)
    words = ["site", "--store", str(tmp_path / "store.sqlite3"), "--output", "pages", "--last", "2"]
    result = CliRunner().invoke(tailstest, words, standalone_mode=False)
    assert result.exception is None
    assert "8 scenarios in 2 runs" in result.output
    assert (tmp_path / "pages" / "index.html").is_file()


def test_the_time_of_writing_is_told(site: Path) -> None:
    told = time.strftime("%Y-%m-%d %H:%M", time.localtime(1_790_100_000))
    assert f"Written {told}" in text_of(tree_of(site / "trends.html"))
