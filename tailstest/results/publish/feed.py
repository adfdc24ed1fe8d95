"""An Atom feed (RFC 4287) of the runs in which something changed."""

from __future__ import annotations

import datetime
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from tailstest.results.shown import one_line, shown
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import RunInfo, newest_runs
from tailstest.results.telling.message import body_of, link_to, title_of
from tailstest.results.telling.news import Change, News, news_of

ATOM = "http://www.w3.org/2005/Atom"
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "tailstest feed")
_ALL = tuple(Change)


def feed_news(
    store: Store, today: datetime.date, *, last: int, images: Sequence[str] = (), every: bool
) -> list[News]:
    """Return what the newest runs brought, the newest first.

    Args:
        last: how many runs are looked at.
        images: patterns of names of images that are one line; see `news_of`.
        every: also runs in which nothing changed.
    """
    with store.reading() as connection:
        runs = newest_runs(connection, last)
    found = [news_of(store, (run.run_id,), today, images=images) for run in runs]
    return [each for each in found if every or each.changed]


def feed_xml(news: Sequence[News], *, title: str, link: str = "", own: str = "") -> str:
    """Return the feed.

    Args:
        title: of the whole.
        link: address of the report of a run, with {run} for its id; "" for none.
        own: address under which the feed itself will be found; "" when unknown.
    """
    ET.register_namespace("", ATOM)
    root = ET.Element(f"{{{ATOM}}}feed")
    _add(root, "id", uuid.uuid5(_NAMES, f"feed {title}").urn)
    _add(root, "title", one_line(title))
    newest = max((_ended(each.runs[0]) for each in news), default=0.0)
    _add(root, "updated", _moment(newest))
    ET.SubElement(_add(root, "author"), f"{{{ATOM}}}name").text = "tailstest"
    if own:
        ET.SubElement(root, f"{{{ATOM}}}link", {"rel": "self", "href": own})
    for each in news:
        run = each.runs[0]
        entry = _add(root, "entry")
        _add(entry, "id", uuid.uuid5(_NAMES, f"run {run.run_id}").urn)
        _add(entry, "title", title_of(each, one_line(run.run_id, 60), _ALL))
        _add(entry, "updated", _moment(_ended(run)))
        if link:
            href = link_to(link, run.run_id)
            ET.SubElement(entry, f"{{{ATOM}}}link", {"rel": "alternate", "href": href})
        content = _add(entry, "content", shown(body_of(each, _ALL)))
        content.set("type", "text")
    ET.indent(root)
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    return head + ET.tostring(root, encoding="unicode") + "\n"


def _add(place: ET.Element, name: str, text: str = "") -> ET.Element:
    element = ET.SubElement(place, f"{{{ATOM}}}{name}")
    if text:
        element.text = text
    return element


def _ended(run: RunInfo) -> float:
    return max(run.started, run.ended)


def _moment(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(min(max(0.0, seconds), 2e11), datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
