"""Addresses that people gave, before they are put where others click on them."""

from __future__ import annotations

import re

from tailstest.core.errors import UsageError
from tailstest.results.shown import one_line

_LINK = re.compile(r"^https?://[^\s<>\"'`\\()\[\]]{1,2000}$")


def checked_link(link: str) -> str:
    """Return an address.

    Raises:
        UsageError: it is none of a web page.
    """
    if link and not _LINK.match(link):
        raise UsageError(
            f'"{one_line(link, 200)}" is no address of a page', hint="write https://HOST/PATH"
        )
    return link


def with_link(markdown: str, link: str) -> str:
    """Return Markdown that ends with a link to the report, if there is one."""
    return f"{markdown}\n[The whole report]({link})\n" if link else markdown
