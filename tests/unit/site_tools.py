"""Reading a site as a strict parser, a crawler and a reader do."""

from __future__ import annotations

import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import html
from store_tools import made_run, open_store

from tailstest.results.site.build import SiteReport, build_site
from tailstest.results.store.adding import add_run

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


def text_of(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def tree_of(page: Path) -> html.HtmlElement:
    return html.fromstring(page.read_text(encoding="utf-8"))


def page_of(site: Path, name: str) -> html.HtmlElement:
    """Return the page of the scenario with this name."""
    for page in sorted((site / "scenario").iterdir()):
        tree = tree_of(page)
        if text_of(tree.find(".//h1")) == name:
            return tree
    raise AssertionError(f"no scenario is called {name}")


def table(tree: html.HtmlElement, kind: str) -> list[list[str]]:
    """Return the cells of the rows of the table with this class."""
    (found,) = tree.xpath(f"//table[contains(concat(' ', @class, ' '), ' {kind} ')]")
    rows = found.xpath(".//tbody/tr")
    return [[text_of(cell) for cell in row.xpath("./th|./td")] for row in rows]


def sample_store(folder: Path) -> None:
    """Write a store with every verdict, over four runs and two images."""
    tags = {"hand": ["manual"], "excused": ["known:bug-1:2027-01-01"], "good": ["slow", "a"]}
    with open_store(folder) as store:
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
            run = made_run(
                number, steady | verdicts, image=image, tags=tags, is_finished=number < 4
            )
            add_run(store, run)


def build(folder: Path, output: str = "site", **options: object) -> SiteReport:
    with open_store(folder) as store:
        values = {"today": DAY, "now": 1_790_100_000.0} | options
        return build_site(store, folder / output, **values)  # type: ignore[arg-type]
