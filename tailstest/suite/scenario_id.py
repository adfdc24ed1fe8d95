"""Ids of scenarios that stay the same when lines move, rows are added or folders are changed."""

from __future__ import annotations

import json
from typing import Any


class ScenarioIds:
    """Hands out ids; true duplicates are counted in the order in which they stand in the file."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def of(self, feature_file: str, item: Any, row: Any) -> str:
        """Return the id of a scenario.

        Args:
            feature_file: relative to the suite's folder.
            item: behave's Scenario or ScenarioOutline as written.
            row: behave's Scenario: `item` itself, or the one made for a row. An outline's id has
                the name of the Examples, if they have one, and the values as JSON.
        """
        name = f"{feature_file}#{item.name}"
        values = getattr(row, "_row", None)
        if row is not item and values is not None:
            pairs = dict(zip(values.headings, values.cells, strict=False))
            examples = _examples_name(item, values)
            name += f" {examples}" if examples else ""
            name += json.dumps(pairs, ensure_ascii=False)
        self._taken[name] = self._taken.get(name, 0) + 1
        return name if self._taken[name] == 1 else f"{name}~{self._taken[name]}"


def _examples_name(outline: Any, row: Any) -> str:
    for examples in outline.examples:
        if examples.table is not None and any(each is row for each in examples.table.rows):
            return str(examples.name)
    return ""
