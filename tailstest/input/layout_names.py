"""The names of keyboard layouts that xkb data knows, and which of them a person may have meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from rapidfuzz import fuzz, process

from tailstest.core.errors import SetupError

#: "de" or "de(nodeadkeys)": the characters that names in xkb rules consist of.
_NAME = re.compile(r"(?P<layout>[A-Za-z0-9_]+)(?:\((?P<variant>[A-Za-z0-9_-]+)\))?")

#: A line of the section "variant": name, the layout it belongs to, description.
_VARIANT = re.compile(r"\s+(\S+)\s+(\S+): (.+)")
_LAYOUT = re.compile(r"\s+(\S+)\s+(.+)")

#: Below this similarity (0 to 100, rapidfuzz) a suggestion confuses more than it helps.
_SIMILAR = 70


def split_name(name: str) -> tuple[str, str] | None:
    """Return layout and variant ("" without one) of "de" or "de(nodeadkeys)", None if malformed."""
    parts = _NAME.fullmatch(name.strip())
    return (parts["layout"], parts["variant"] or "") if parts else None


@lru_cache(maxsize=4)
def known_layouts(xkb_root: Path) -> Mapping[str, str]:
    """Return every layout and variant by name, with its description ("German (no dead keys)").

    Args:
        xkb_root: folder of the xkb data; its rules/evdev.lst is read.

    Raises:
        SetupError: the list is missing.
    """
    file = xkb_root / "rules" / "evdev.lst"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SetupError(
            f"{file}: the list of keyboard layouts cannot be read: {error.strerror}",
            hint="install the package xkb-data",
        ) from error
    found: dict[str, str] = {}
    section = ""
    for line in lines:
        if line.startswith("!"):
            section = line[1:].strip()
        elif section == "layout" and (row := _LAYOUT.fullmatch(line)):
            found[row[1]] = row[2]
        elif section == "variant" and (row := _VARIANT.fullmatch(line)):
            found[f"{row[2]}({row[1]})"] = row[3]
    return found


def similar_layouts(wanted: str, known: Mapping[str, str], *, limit: int = 5) -> list[str]:
    """Return the names of layouts whose name or description resembles `wanted`, best first."""
    layout = wanted.partition("(")[0].strip()
    if "(" in wanted and layout in known:
        own = [name for name in known if name == layout or name.startswith(f"{layout}(")]
        hits = process.extract(wanted, own, scorer=fuzz.ratio, limit=limit)
        return [name for name, _, _ in hits]
    descriptions = {name: text.casefold() for name, text in known.items() if "(" not in name}
    by_text = process.extract(
        wanted.casefold(), descriptions, scorer=fuzz.ratio, limit=limit, score_cutoff=_SIMILAR
    )
    by_name = process.extract(
        wanted, list(known), scorer=fuzz.ratio, limit=limit, score_cutoff=_SIMILAR
    )
    names = [str(name) for _, _, name in by_text] + [name for name, _, _ in by_name]
    return list(dict.fromkeys(names))[:limit]
