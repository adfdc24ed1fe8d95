"""Texts that the store keeps once, found by their digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2s
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tailstest.core.text import printable, shortened
from tailstest.results.store.tables import (
    DIGEST_DIGITS,
    causes,
    images,
    scenarios,
    step_texts,
    tag_sets,
)

#: Characters kept of a name or key, and of a cause.
MAX_NAME = 4_000
MAX_CAUSE = 2_000
#: Values in one statement; SQLite takes 32,766, and smaller ones are as quick.
BATCH = 500


T = TypeVar("T")


def in_batches(values: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """Yield values in parts that fit into one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def storable(text: object, limit: int = MAX_NAME) -> str:
    """Return a text that every database takes: bounded, without NUL and single surrogates."""
    return printable(shortened(str(text), limit))


def digest_of(text: str) -> str:
    """Return the digest by which a text is found."""
    return blake2s(text.encode("utf-8"), digest_size=DIGEST_DIGITS // 2).hexdigest()


class KeptTexts:
    """Gives texts their numbers, adding those that the store has not seen.

    Remembers what it has given; use one for each writer, and `forget` what a transaction that
    failed may have given.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Ask the store again for everything."""
        self._known.clear()

    def scenarios(
        self, connection: Connection, planned: Sequence[Mapping[str, str]]
    ) -> dict[str, int]:
        """Return the numbers of scenarios by their key.

        Args:
            planned: each with "key", "name", "feature" and "location".
        """
        rows = {}
        for each in planned:
            key = storable(each["key"])
            rows[digest_of(key)] = {
                "key": key,
                "name": storable(each["name"]),
                "feature": storable(each["feature"]),
                "location": storable(each["location"]),
            }
        numbers = self._numbers(connection, scenarios, rows)
        self._rename(connection, numbers, rows)
        return {each["key"]: numbers[digest_of(storable(each["key"]))] for each in planned}

    def image(self, connection: Connection, digest: str, name: str) -> int:
        """Return the number of an image."""
        digest = storable(digest, 100)
        rows = {digest: {"name": storable(name)}}
        return self._numbers(connection, images, rows)[digest]

    def causes(self, connection: Connection, texts: Iterable[str]) -> dict[str, int]:
        """Return the numbers of causes by their text."""
        return self._texts(connection, causes, texts, MAX_CAUSE)

    def steps(self, connection: Connection, texts: Iterable[str]) -> dict[str, int]:
        """Return the numbers of the texts of steps."""
        return self._texts(connection, step_texts, texts, MAX_NAME)

    def tags(self, connection: Connection, texts: Iterable[str]) -> dict[str, int]:
        """Return the numbers of sets of tags, each written with blanks between."""
        return self._texts(connection, tag_sets, texts, MAX_NAME)

    def _rename(
        self,
        connection: Connection,
        numbers: Mapping[str, int],
        rows: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Let scenarios be called as they are called now, and stand where they stand now."""
        columns = (scenarios.c.name, scenarios.c.feature, scenarios.c.location)
        changed = []
        for part in in_batches(list(numbers.values())):
            wanted = select(scenarios.c.digest, *columns).where(scenarios.c.id.in_(part))
            for digest, *was in connection.execute(wanted):
                now = rows[digest]
                if was != [now["name"], now["feature"], now["location"]]:
                    changed.append({"number": numbers[digest], **now})
        if changed:
            own = update(scenarios).where(scenarios.c.id == bindparam("number"))
            fields: dict[str, Any] = {column.name: bindparam(column.name) for column in columns}
            for each in changed:
                each.pop("key")
            connection.execute(own.values(fields), changed)

    def _texts(
        self, connection: Connection, table: Table, texts: Iterable[str], limit: int
    ) -> dict[str, int]:
        stored = {text: storable(text, limit) for text in texts}
        rows = {digest_of(each): {"text": each} for each in stored.values()}
        numbers = self._numbers(connection, table, rows)
        return {text: numbers[digest_of(each)] for text, each in stored.items()}

    def _numbers(
        self, connection: Connection, table: Table, rows: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, int]:
        missing = [digest for digest in rows if (table.name, digest) not in self._known]
        self._look_up(connection, table, missing)
        # In one order everywhere, so that two writers never wait for each other.
        fresh = sorted(digest for digest in missing if (table.name, digest) not in self._known)
        if fresh:
            kind = postgresql if connection.dialect.name == "postgresql" else sqlite
            insert = kind.insert(table).on_conflict_do_nothing(index_elements=["digest"])
            connection.execute(insert, [{"digest": each, **rows[each]} for each in fresh])
            self._look_up(connection, table, fresh)
        return {digest: self._known[table.name, digest] for digest in rows}

    def _look_up(self, connection: Connection, table: Table, digests: Sequence[str]) -> None:
        for part in in_batches(digests):
            wanted = select(table.c.digest, table.c.id).where(table.c.digest.in_(part))
            for digest, number in connection.execute(wanted):
                self._known[table.name, digest] = number
