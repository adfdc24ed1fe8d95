"""The environment of a run as rows for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

#: Fact that says what was changed in the guests: not the image as it is was tested.
CHANGED = "changed by --late-patch"
#: Rows shown at most, and characters of one value.
MAX_ROWS = 200
MAX_VALUE = 2_000


class Row(NamedTuple):
    """One fact: a name in words and its value."""

    name: str
    value: str


def environment_rows(environment: Mapping[str, Any]) -> list[Row]:
    """Return every fact of a run's environment, nested names joined ("host: accelerator")."""
    return list(_rows(environment, ()))[:MAX_ROWS]


def find_fact(environment: Mapping[str, Any], *names: str) -> str:
    """Return the first simple value whose key (at any depth) is one of `names`, "" if none is."""
    for name in names:
        for path, value in _leaves(environment, ()):
            if path[-1] == name and value not in (None, "", []):
                return _as_text(value)
    return ""


def image_digest(environment: Mapping[str, Any]) -> str:
    """Return the digest of the image under test, "" when unknown."""
    return find_fact(environment, "image_digest", "sha256", "image_sha256", "digest")


def image_name(environment: Mapping[str, Any]) -> str:
    """Return name or path of the image under test, "" when unknown."""
    image = environment.get("image")
    if isinstance(image, Mapping):
        return find_fact(image, "name", "path", "file")
    return _as_text(image) if image else find_fact(environment, "image_name", "image_path")


def _rows(value: Mapping[str, Any], path: tuple[str, ...]) -> list[Row]:
    return [
        Row(": ".join(part.replace("_", " ") for part in leaf), _as_text(item)[:MAX_VALUE])
        for leaf, item in _leaves(value, path)
    ]


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    leaves: list[tuple[tuple[str, ...], Any]] = []
    for key, item in value.items():
        here = (*path, str(key))
        if isinstance(item, Mapping) and len(path) < 5:
            leaves += _leaves(item, here)
        else:
            leaves.append((here, item))
    return leaves


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "unknown"
    if isinstance(value, (list, tuple)):
        return ", ".join(_as_text(item) for item in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
