"""How a SQLite file is walked through: rows as its sorter gives them."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from tollkeeper.store.sql.walking import Dialect, read_walk
from tollkeeper.store.sqlite.usage import select

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Sequence

    from tollkeeper.store.protocols import EventSpan, StoredEvent
    from tollkeeper.store.sql.walked import Rows

__all__ = ["walk_events"]

ROWS_AT_ONCE = 2_000
DIALECT = Dialect(
    pairs="SELECT CAST(json_extract(value, '$[0]') AS INTEGER), CAST(json_extract(value, '$[1]') AS INTEGER)"
    " FROM json_each(?)",
    aside="+",
)


def walk_events(
    connection: sqlite3.Connection, span: EventSpan, groups: Sequence[Sequence[str]] | None
) -> Generator[tuple[int, StoredEvent], None, None]:
    """Read events in the snapshot that a connection is in; to be closed before that ends. See ``EventStore.walk``."""
    return read_walk(partial(select, connection), partial(_stream, connection), DIALECT, span, groups)


def _stream(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> Generator[Rows, None, None]:
    with closing(connection.execute(sql, values)) as rows:
        yield from iter(partial(rows.fetchmany, ROWS_AT_ONCE), [])
