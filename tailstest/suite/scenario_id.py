"""Ids of scenarios that stay the same when lines move, rows are added or folders are changed."""

from __future__ import annotations

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
            row: behave's Scenario: `item` itself, or the one made for a row.
        """
        name = f"{feature_file}#{item.name}"
        values = getattr(row, "_row", None)
        if row is not item and values is not None:
            pairs = zip(values.headings, values.cells, strict=False)
            name += f"[{', '.join(f'{key}={value}' for key, value in pairs)}]"
        self._taken[name] = self._taken.get(name, 0) + 1
        return name if self._taken[name] == 1 else f"{name}~{self._taken[name]}"
