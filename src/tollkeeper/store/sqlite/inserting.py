"""Putting rows of events into the table, as few statements as can be, and telling which were new."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    Row = tuple[Any, ...]

__all__ = ["insert_events"]

COLUMNS = "source_id, id, time, consumer_id, route_id, status, elapsed, bytes, units, path, detail, gated"
VALUES = f"({', '.join('?' for _ in COLUMNS.split(', '))})"
ROWS_AT_ONCE = 64
INSERT_ONE, INSERT_MANY = (
    f"INSERT INTO event ({COLUMNS}) VALUES {', '.join([VALUES] * count)} ON CONFLICT (source_id, id) DO NOTHING"
    for count in (1, ROWS_AT_ONCE)
)


def insert_events(connection: sqlite3.Connection, batches: Sequence[Sequence[Row]]) -> list[Counter[int]]:
    """Insert batches in their order; for each, how many rows were new, by source.

    Nearly always all of them are, and one pass is enough. Only when some were there already is it undone and each batch
    inserted for itself, so that every sender is told of its own.
    """
    everything = list(chain.from_iterable(batches))
    connection.execute("SAVEPOINT inserting")
    if _insert(connection, everything) == len(everything):
        connection.execute("RELEASE inserting")
        return [Counter(row[0] for row in batch) for batch in batches]
    connection.execute("ROLLBACK TO inserting")
    connection.execute("RELEASE inserting")
    return [_insert_by_source(connection, batch) for batch in batches]


def _insert_by_source(connection: sqlite3.Connection, rows: Sequence[Row]) -> Counter[int]:
    by_source: dict[int, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row[0], []).append(row)
    return Counter({source: _insert(connection, group) for source, group in by_source.items()})


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Insert rows, those that are there already passed over; how many were new."""
    whole = len(rows) // ROWS_AT_ONCE * ROWS_AT_ONCE
    new = 0
    for start in range(0, whole, ROWS_AT_ONCE):
        values = list(chain.from_iterable(rows[start : start + ROWS_AT_ONCE]))
        new += connection.execute(INSERT_MANY, values).rowcount
    return new + (connection.executemany(INSERT_ONE, rows[whole:]).rowcount if whole < len(rows) else 0)
