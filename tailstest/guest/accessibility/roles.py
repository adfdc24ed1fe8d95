"""Kinds of nodes ("roles"), by AT-SPI's names and by the words that people use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rapidfuzz import fuzz, process

from tailstest.core.errors import UsageError
from tailstest.guest.accessibility.tree_helper import ROLES

#: A word that people use, and the roles that it means. What programs of one kind call a frame is
#: a window in others, and what looks like a button may stay down.
PLAIN_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "button": ("push button", "toggle button", "push button menu"),
        "checkbox": ("check box",),
        "combobox": ("combo box",),
        "drop-down list": ("combo box",),
        "entry": ("text", "entry", "password text"),
        "field": ("text", "entry", "password text", "spin button"),
        "item": ("list item", "menu item", "check menu item", "radio menu item", "tree item"),
        "list": ("list", "list box"),
        "menu item": ("menu item", "check menu item", "radio menu item"),
        "password": ("password text",),
        "picture": ("image", "icon"),
        "radiobutton": ("radio button",),
        "switch": ("toggle button",),
        "tab": ("page tab",),
        "table": ("table", "tree table", "tree"),
        "text": ("text", "entry", "password text", "label", "paragraph", "static", "heading"),
        "window": ("frame", "window", "dialog", "alert", "file chooser"),
    }
)


def roles_of(word: str) -> tuple[str, ...]:
    """Return the roles that a word means: a plain word, or the name of one role.

    Raises:
        UsageError: there is no such role; near misses are named.
    """
    plain = " ".join(word.replace("_", " ").split()).casefold()
    found = PLAIN_WORDS.get(plain) or ((plain,) if plain in ROLES else None)
    if found is None and plain.replace("-", " ") in ROLES:
        found = (plain.replace("-", " "),)
    if found is None:
        known = [*PLAIN_WORDS, *ROLES]
        near = process.extract(plain, known, scorer=fuzz.ratio, limit=3, score_cutoff=60)
        names = " or ".join(dict.fromkeys(f"{name!r}" for name, _, _ in near))
        raise UsageError(
            f"there is no kind of node called {word!r}",
            hint=f"did you mean {names}?" if near else 'write for example "button" or "entry"',
        )
    return found
