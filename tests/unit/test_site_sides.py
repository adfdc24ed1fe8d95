"""Failed and passed side by side, out of run folders and without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_tools import (
    barriers,
    build,
    page_of,
    parsed,
    record_two_runs,
    table,
    text_of,
    troubles,
)
from sqlalchemy import update
from store_tools import open_store

from tailstest.results.site import build as building
from tailstest.results.store.tables import artifacts


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
