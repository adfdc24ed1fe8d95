"""The pages of a site, as files: their form, what they say, and how they come into place."""

from __future__ import annotations

import fcntl
import os
import stat
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
    record_two_runs,
    sample_store,
    table,
    text_of,
    tree_of,
    troubles,
)
from sqlalchemy import update
from store_tools import made_run, open_store

from tailstest.cli.main import tailstest
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.results.site import build as building
from tailstest.results.site import exchange, matrix, summary_pages
from tailstest.results.site.pages import Pages
from tailstest.results.store.adding import add_run
from tailstest.results.store.tables import artifacts


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
    assert row[0] == "✗failed"
    assert row[1] == "breaks not seen"
    runs = [cell[0] for cell in table(tree, "runs")]
    assert row[2].startswith(runs[2])  # the second oldest of four
    assert row[3].startswith(runs[3])
    assert row[4] == "3"


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
    assert rows[0][3] == "not seen"
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


def test_files_are_private_unless_asked(tmp_path: Path) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    build(tmp_path, "public", public=True)
    for name, file_mode, folder_mode in (("site", 0o600, 0o700), ("public", 0o644, 0o755)):
        paths = [tmp_path / name, *(tmp_path / name).rglob("*")]
        modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in paths}
        assert modes == {(True, folder_mode), (False, file_mode)}


def test_a_new_site_takes_the_place_of_the_old_one_without_what_is_gone(tmp_path: Path) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    site = tmp_path / "site"
    stale = site / "scenario" / "0123456789abcdef.html"
    stale.write_text("gone")
    inode = site.stat().st_ino
    build(tmp_path, last=1)
    assert not stale.exists()
    assert site.stat().st_ino != inode
    assert len(list((site / "run").iterdir())) == 1
    assert troubles(site) == []
    assert sorted(path.name for path in tmp_path.iterdir() if "site" in path.name) == ["site"]


def test_where_folders_cannot_be_exchanged_the_site_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    monkeypatch.setattr(exchange, "_RENAME_EXCHANGE", 1 << 30)  # as on NFS: EINVAL
    build(tmp_path, last=1)
    assert len(list((tmp_path / "site" / "run").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".site")] == []


def test_a_site_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_store(tmp_path)
    build(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "site").rglob("*.html")}
    written = Pages.write

    def full(self: Pages, name: str, text: str) -> None:
        if self.written > 5:
            raise OSError(28, "No space left on device")
        written(self, name, text)

    monkeypatch.setattr(Pages, "write", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        build(tmp_path)
    assert {path: path.read_bytes() for path in (tmp_path / "site").rglob("*.html")} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".site")] == []


def test_what_a_killed_writer_left_goes_and_what_another_writes_stays(tmp_path: Path) -> None:
    sample_store(tmp_path)
    left, busy = tmp_path / ".site.new-0123", tmp_path / ".site.new-4567"
    for folder in (left, busy):
        (folder / "scenario").mkdir(parents=True)
    held = os.open(busy, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        build(tmp_path)
        assert (left.exists(), busy.exists()) == (False, True)
    finally:
        os.close(held)


@pytest.mark.parametrize("place", ["strangers", "added", "file"])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, place: str) -> None:
    sample_store(tmp_path)
    site = tmp_path / "site"
    if place == "strangers":
        (site / "photos").mkdir(parents=True)
    elif place == "added":
        build(tmp_path)
        (site / "CNAME").write_text("mine")
    else:
        site.write_text("mine")
    with pytest.raises(UsageError):
        build(tmp_path)
    kept = {"strangers": site / "photos", "added": site / "CNAME", "file": site}[place]
    assert kept.exists()


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


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    record_two_runs(tmp_path)
    return tmp_path


def test_failed_and_passed_stand_side_by_side(two_runs: Path) -> None:
    build(two_runs, folders=[two_runs])
    site = two_runs / "site"
    assert troubles(site) == []
    tree = page_of(site, "The language can be confirmed")
    rows = table(tree, "sides")
    assert [row[0] for row in rows] == ["Given the menu", "Then I confirm"]
    assert rows[1][1].startswith("✓passed 1.5 s")
    assert rows[1][2] == "✗failed 1.5 s it is greyed out"
    pictures = tree.xpath("//table[contains(@class, 'sides')]//img")
    assert [each.get("src").split("/")[2] for each in pictures] == ["good", "broken"] * 2
    assert pictures[3].get("alt").startswith("Screen of the failed attempt after: Then I confirm")
    assert len(tree.xpath("//tr[@class='turned']")) == 1
    assert barriers(site) == []
    texts = [text_of(each) for each in tree.xpath("//div[@class='pair']//pre")]
    assert texts[:2] == ["good talk", "broken talk"]
    assert texts[2].startswith('good console <script>document.title="owned"</script>')
    history = table(tree, "history")
    assert history[0][5].startswith("Report · Who machine-6 talked to on the network")


def test_what_is_missing_is_said(two_runs: Path) -> None:
    build(two_runs, folders=[two_runs / "broken"])
    tree = page_of(two_runs / "site", "The language can be confirmed")
    rows = table(tree, "sides")
    assert [row[0] for row in rows] == ["Given the menu", "Then I confirm"]
    assert len(tree.xpath("//table[contains(@class, 'sides')]//img")) == 2
    text = text_of(tree)
    assert "No pictures and logs of the passed attempt: the folder of its run was not given" in text
    assert "No video of the failed attempt was kept." in text
    assert "Missing: no such log was kept." in text


def test_without_folders_the_steps_come_from_the_store(two_runs: Path) -> None:
    build(two_runs)
    tree = page_of(two_runs / "site", "The language can be confirmed")
    assert [row[1] for row in table(tree, "sides")] == ["✓passed 1.5 s"] * 2
    assert not tree.xpath("//img|//video|//pre")
    assert troubles(two_runs / "site") == []


def test_files_outside_of_a_run_are_never_linked(two_runs: Path) -> None:
    (two_runs / "secret.log").write_text("secret")
    log, *_others = sorted((two_runs / "broken" / "logs").iterdir())
    log.unlink()
    log.symlink_to(two_runs / "secret.log")
    with open_store(two_runs) as store, store.writing() as connection:
        connection.execute(update(artifacts).where(artifacts.c.kind == "log").values(path="../x"))
    (two_runs / "x").write_text("another")
    build(two_runs, folders=[two_runs])
    for page in (two_runs / "site").rglob("*.html"):
        assert "secret" not in page.read_text(encoding="utf-8")
        links = [link for link in parsed(page).links if "/broken/" in link or link.endswith("x")]
        assert not [link for link in links if link.endswith((log.name, "/x"))], page.name


def test_only_the_newest_failures_look_into_run_folders(
    two_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "MAX_WITH_FILES", 0)
    build(two_runs, folders=[two_runs])
    text = text_of(page_of(two_runs / "site", "The language can be confirmed"))
    assert "there are many newer failures; the report of its run has them" in text


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
