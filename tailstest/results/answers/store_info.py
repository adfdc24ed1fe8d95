"""What a store holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from tailstest.results.store.engine import Store
from tailstest.results.store.reading import RunInfo, newest_runs
from tailstest.results.store.tables import SCHEMA, attempts, images, runs, scenarios, steps


@dataclass(frozen=True)
class StoreInfo:
    """A store in numbers; `size` in bytes, None where it is no file."""

    name: str
    schema: str
    size: int | None
    counts: dict[str, int]
    newest: tuple[RunInfo, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "store": self.name,
            "schema": self.schema,
            "bytes": self.size,
            **self.counts,
            "newest": [run.to_json() for run in self.newest],
        }


def store_info(store: Store, *, last: int) -> StoreInfo:
    """Return what a store holds, with its newest runs."""
    tables = (runs, scenarios, attempts, steps, images)
    with store.reading() as connection:
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        }
        newest = tuple(newest_runs(connection, last)) if last else ()
    size = None
    if store.is_file:
        file = Path(str(store.url.database))
        parts = [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))]
        size = sum(part.stat().st_size for part in parts if part.exists())
    return StoreInfo(store.name, SCHEMA, size, counts, newest)
