"""Whose trouble failures seem to be, on the pages of a site."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import html
from site_tools import barriers, build, page_of, record_two_runs, table, text_of, tree_of, troubles
from store_tools import made_run, open_store

from tailstest.core.verdict import Verdict
from tailstest.results.run_record import Run
from tailstest.results.store.adding import add_run
from tailstest.results.store.by_hand import record_by_hand
from tailstest.results.store.reading import find_run, find_scenario
from tailstest.results.suspect import Suspect, Suspicion

#: Name of a scenario to its verdict and its suspect.
TOLD = {
    "Der Gerätename läßt sich ändern": ("failed", Suspect.PRODUCT),
    "Ελληνικά & <b>": ("failed", Suspect.CRASH),
    "Кнопка найдена": ("errored", Suspect.TEST),
    "日本語の画面が出る": ("failed", Suspect.HOST),
    "שלום עולם": ("incomplete", Suspect.AGENT),
    "مرحبا": ("incomplete", Suspect.INFRASTRUCTURE),
    "เงียบ": ("failed", Suspect.UNKNOWN),
}
#: What the pages show of each suspect.
SHOWN = {
    Suspect.PRODUCT: "product product changed",
    Suspect.CRASH: "product machine crashed",
    Suspect.TEST: "test test or reference stale",
    Suspect.HOST: "infrastructure host overloaded",
    Suspect.AGENT: "infrastructure agent lost",
    Suspect.INFRASTRUCTURE: "infrastructure",
    Suspect.UNKNOWN: "unknown",
}


def suspected_run(number: int, more: dict[str, str | list[str]], **options: object) -> Run:
    """Return a run with every suspect, and `more` scenarios."""
    verdicts = {name: verdict for name, (verdict, _suspect) in TOLD.items()}
    run = made_run(number, verdicts | more, image="a", **options)  # type: ignore[arg-type]
    for scenario in run.scenarios:
        if scenario.name in TOLD:
            scenario.attempts[0].suspicion = Suspicion(TOLD[scenario.name][1])
    return run


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suspects")
    tags = {"excused": ["known:bug-1:2027-01-01"]}
    with open_store(folder) as store:
        add_run(store, made_run(1, {"gut": "passed"}, image="a"))
        more = {"gut": "passed", "shaky": ["failed", "passed"], "excused": "failed"}
        add_run(store, suspected_run(2, more | {"late": "planned"}, tags=tags))
    build(folder)
    return folder / "site"


def run_page(site: Path, name: str) -> html.HtmlElement:
    """Return the page of the run with this name."""
    pages = [tree_of(page) for page in (site / "run").iterdir()]
    return next(
        tree for tree in pages if tree.xpath("//dl/div[dt='Run']/dd")[0].text_content() == name
    )


def fact(tree: html.HtmlElement, name: str) -> list[str]:
    """Return the parts of a fact at the top of a page, none where the page lacks it."""
    found = tree.xpath(f"//dl[@class='facts']/div[dt='{name}']/dd")
    return [text_of(each) for dd in found for each in dd.xpath(".//span[contains(@class, 'w-')]")]


def test_pages_with_suspects_are_well_formed_and_open_to_everybody(site: Path) -> None:
    assert troubles(site) == []
    assert barriers(site) == []


def test_a_run_shows_each_suspect_beside_its_scenario(site: Path) -> None:
    listed = table(run_page(site, "run-2"), "red")
    rows = {row[1].rpartition(" not seen")[0]: row[0] for row in listed}
    for name, (verdict, suspect) in TOLD.items():
        assert rows[name].endswith(f"{verdict} {SHOWN[suspect]}"), name
    assert rows["shaky"] == "~flaky product product changed"


def test_a_run_counts_by_whose_trouble_it_is_without_what_is_excused(site: Path) -> None:
    tree = run_page(site, "run-2")
    assert fact(tree, "Suspects") == ["3 product", "1 test", "3 infrastructure", "1 unknown"]
    rows = [row for row in table(tree, "red") if row[1].startswith("excused")]
    assert [row[0] for row in rows] == ["kknown product product changed"]
    assert fact(run_page(site, "run-1"), "Suspects") == []


def test_the_first_page_shows_the_suspects_of_what_is_red_and_what_they_mean(site: Path) -> None:
    tree = tree_of(site / "index.html")
    red = {row[1].partition(" not seen")[0]: row[0] for row in table(tree, "red")}
    assert red["Кнопка найдена"] == "!errored test test or reference stale"
    assert red["日本語の画面が出る"] == "✗failed infrastructure host overloaded"
    assert "שלום עולם" not in red, "what is incomplete says nothing about the image"
    told = ["2 product", "1 test", "1 infrastructure", "1 unknown"]
    assert fact(tree, "Suspects of the red") == told
    (meanings,) = tree.xpath("//section[@aria-labelledby='suspects']//dl")
    assert {text_of(each) for each in meanings.iter("dt")} == set(SHOWN.values())
    assert all(text_of(each) for each in meanings.iter("dd"))


def test_the_history_of_a_scenario_shows_the_suspect_of_each_attempt(site: Path) -> None:
    tree = page_of(site, "Ελληνικά & <b>")
    assert fact(tree, "Suspect") == ["product machine crashed"]
    (row,) = table(tree, "history")
    assert row[3] == "product machine crashed not seen"
    attempts = {
        row[1].partition(" ")[0]: row[3] for row in table(page_of(site, "shaky"), "history")
    }
    assert attempts["✓passed"] == ""
    assert attempts["✗failed"] == "product product changed not seen"
    assert fact(page_of(site, "gut"), "Suspect") == []


def test_side_by_side_gives_the_reason_that_the_evidence_gives(tmp_path: Path) -> None:
    record_two_runs(tmp_path)
    build(tmp_path, folders=[tmp_path])
    words = "Suspect of the failure: product product changed the image answered something else"
    (sides,) = page_of(tmp_path / "site", "The language can be confirmed").xpath(
        "//section[@aria-labelledby='sides']"
    )
    assert words in text_of(sides)


def test_the_suspect_belongs_to_the_failure_that_is_told(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        run = made_run(1, {"x": ["failed", "incomplete"]}, machines={"x": ["uefi usb", "bios dvd"]})
        run.scenarios[0].attempts[1].suspicion = Suspicion(Suspect.AGENT)
        run.scenarios[0].attempts[0].suspicion = Suspicion(Suspect.CRASH)
        add_run(store, run)
    build(tmp_path)
    (row,) = table(tree_of(tmp_path / "site" / "index.html"), "red")
    assert row[0] == "✗failed product machine crashed"
    history = table(page_of(tmp_path / "site", "x"), "history")
    assert [row[3].partition(" not seen")[0] for row in history] == [
        "product machine crashed",
        "infrastructure agent lost",
    ]


def test_what_a_person_said_leaves_no_suspect(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"x": "failed"}))
        with store.reading() as connection:
            run, scenario = find_run(connection, "latest"), find_scenario(connection, "x")
        record_by_hand(store, run.id, scenario.id, Verdict.FAILED, person="Ana", note="it hums")
    build(tmp_path)
    (row,) = table(tree_of(tmp_path / "site" / "index.html"), "red")
    assert row[:2] == ["✗failed", "x it hums"]


def test_a_store_from_before_suspects_has_pages_without_them(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"x": "failed"}))
        with store.writing() as connection:
            connection.exec_driver_sql("UPDATE attempts SET suspect = NULL")
    build(tmp_path)
    (row,) = table(tree_of(tmp_path / "site" / "index.html"), "red")
    assert row[:2] == ["✗failed", "x not seen"]
    assert fact(page_of(tmp_path / "site", "x"), "Suspect") == []
