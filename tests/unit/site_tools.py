"""Reading a site as a strict parser, a crawler and a reader do."""

from __future__ import annotations

import datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import html
from results_sample import HOSTILE, Sample
from store_tools import made_run, open_store

from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.site.build import SiteReport, build_site
from tailstest.results.store.adding import add_run
from tailstest.results.store.engine import Store

DAY = datetime.date(2026, 11, 26)
#: Elements without an end tag (https://html.spec.whatwg.org/#void-elements).
VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class StrictParser(HTMLParser):
    """Notes whatever is not as the author of a page meant it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append(tag)
        if len(given) != len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        self.wrong += [f"{tag} has {name}" for name in given if name.startswith("on")]
        if "style" in given:
            self.wrong.append(f"{tag} has a style of its own")
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.links += [str(given[name]) for name in ("href", "src", "action") if name in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else at {self.getpos()}")


def parsed(page: Path) -> StrictParser:
    parser = StrictParser()
    parser.feed(page.read_text(encoding="utf-8"))
    parser.close()
    return parser


def troubles(site: Path) -> list[str]:
    """Return what is wrong with the pages of a site: their form, and links that lead nowhere."""
    pages = {page.resolve(): parsed(page) for page in sorted(site.rglob("*.html"))}
    found = []
    for page, parser in pages.items():
        name = page.relative_to(site.resolve())
        found += [f"{name}: {each}" for each in parser.wrong]
        found += [f"{name}: <{tag}> stays open" for tag in parser.open]
        twice = {each for each in parser.ids if parser.ids.count(each) > 1}
        found += [f"{name}: id {each} is there twice" for each in twice]
        for link in parser.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("/"):
                found.append(f"{name}: {link} leads out of the site")
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file():
                found.append(f"{name}: {link} leads nowhere")
            elif parts.fragment and target in pages and parts.fragment not in pages[target].ids:
                found.append(f"{name}: {link} has no such place in it")
    return found


def barriers(site: Path) -> list[str]:
    """Return what would stop somebody who uses a screen reader or the keyboard."""
    found = []
    for page in sorted(site.rglob("*.html")):
        tree = tree_of(page)
        wrong = []
        levels = [int(each.tag[1]) for each in tree.xpath("//h1|//h2|//h3|//h4|//h5|//h6")]
        deeper = any(below > above + 1 for above, below in pairwise(levels))
        if levels[:1] != [1] or levels.count(1) != 1 or deeper:
            wrong.append(f"headings {levels}")
        if len(tree.xpath("//main")) != 1 or tree.get("lang") != "en":
            wrong.append("no main part or language")
        first = tree.xpath("//body//a")[0]
        if first.get("href") != "#main" or not tree.xpath("//main[@id='main' and @tabindex='-1']"):
            wrong.append("no link to skip to the main part")
        wrong += ["nav without a name" for nav in tree.xpath("//nav[not(@aria-label)]")]
        for one in tree.xpath("//table"):
            if not text_of(one.xpath("./caption")[0]):
                wrong.append("table without a caption")
            if not one.xpath(".//thead//th") or one.xpath(".//th[not(@scope)]"):
                wrong.append("heading of a table without a scope")
            if one.xpath(".//tbody/tr[not(th) and not(td[@colspan])]"):
                wrong.append("row without a heading")
        wrong += ["picture without words" for _ in tree.xpath("//img[not(@alt) or @alt='']")]
        for plot in tree.xpath("//svg[not(@aria-hidden)]"):
            if plot.get("role") != "img" or not tree.xpath(
                f"//*[@id='{plot.get('aria-labelledby')}']"
            ):
                wrong.append("plot without a title")
        for field in tree.xpath("//input|//select"):
            if not field.xpath("ancestor::label"):
                wrong.append("field without a label")
        for box in tree.xpath("//*[contains(concat(' ', @class, ' '), ' scroll ')]"):
            if (
                box.get("tabindex") != "0"
                or box.get("role") != "region"
                or not box.get("aria-label")
            ):
                wrong.append("part that the keyboard cannot scroll")
        wrong += [
            "link without words"
            for link in tree.xpath("//a")
            if not text_of(link) and not link.xpath(".//img[@alt]")
        ]
        found += [f"{page.relative_to(site)}: {each}" for each in wrong]
    return found


def text_of(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def tree_of(page: Path) -> html.HtmlElement:
    return html.fromstring(page.read_text(encoding="utf-8"))


def scenario_file(site: Path, name: str) -> Path:
    """Return the page of the scenario with this name."""
    for page in sorted((site / "scenario").iterdir()):
        if text_of(tree_of(page).find(".//h1")) == name:
            return page
    raise AssertionError(f"no scenario is called {name}")


def page_of(site: Path, name: str) -> html.HtmlElement:
    return tree_of(scenario_file(site, name))


def table(tree: html.HtmlElement, kind: str) -> list[list[str]]:
    """Return the cells of the rows of the table with this class."""
    (found,) = tree.xpath(f"//table[contains(concat(' ', @class, ' '), ' {kind} ')]")
    rows = found.xpath(".//tbody/tr")
    return [[text_of(cell) for cell in row.xpath("./th|./td")] for row in rows]


def sample_store(folder: Path) -> None:
    """Write a store with every verdict, over four runs and two images."""
    with open_store(folder) as store:
        fill_store(store)


def fill_store(store: Store) -> None:
    tags = {"hand": ["manual"], "excused": ["known:bug-1:2027-01-01"], "good": ["slow", "a"]}
    steady = {"good": "passed", "other": "passed", "hand": "manual", "left": "skipped"}
    more: list[tuple[str, dict[str, str | list[str]]]] = [
        ("a", {"breaks": "passed", "excused": "failed"}),
        ("a", {"breaks": "failed", "excused": "failed"}),
        ("b", {"breaks": "failed", "shaky": ["failed", "passed"]}),
        (
            "b",
            {"breaks": "failed", "shaky": "passed", "host": "incomplete", "late": "planned"},
        ),
    ]
    for number, (image, verdicts) in enumerate(more, 1):
        run = made_run(number, steady | verdicts, image=image, tags=tags, is_finished=number < 4)
        add_run(store, run)


def recorded(folder: Path, name: str, tell: str) -> RunFolder:
    run, events = RunFolder.create(folder, output=folder / name), Events()
    with attach(events, run, Settings()):
        sample = Sample(run, events)
        sample.now += 10_000 * len(name)
        sample.opening()
        sample.start("grey", "The language can be confirmed", ["the menu", "I confirm"])
        sample.step("grey", 0, "the menu", frame="grub-menu")
        sample.text_file("serial", "Serial console of machine-1", f"{name} console {HOSTILE}")
        sample.text_file("log", f"Who machine-{len(name)} talked to on the network", f"{name} talk")
        if tell == "passed":
            sample.step("grey", 1, "I confirm", frame="memtest")
        else:
            error = "it is greyed out"
            sample.step("grey", 1, "I confirm", verdict="failed", frame="ipxe", error=error)
        sample.end("grey", tell)
    return run


def record_two_runs(folder: Path) -> list[RunFolder]:
    """Write a run that passed and one that failed into folders and into the store."""
    made = [recorded(folder, "good", "passed"), recorded(folder, "broken", "failed")]
    with open_store(folder) as store:
        for run in made:
            add_run(store, load_run(run), run.path)
    return made


def build(folder: Path, output: str = "site", **options: object) -> SiteReport:
    with open_store(folder) as store:
        values = {"today": DAY, "now": 1_790_100_000.0} | options
        return build_site(store, folder / output, **values)  # type: ignore[arg-type]
